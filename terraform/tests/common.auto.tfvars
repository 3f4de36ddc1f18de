# What every test gives the module, unless it says something else.
name   = "reviews"
models = ["amazon.nova-lite-v1:0"]
package = {
  code_path  = "tests/fixtures/package.zip"
  layer_path = "tests/fixtures/package.zip"
}
