module "batch" {
  source = "../.."

  name          = var.name
  models        = var.models
  prompts       = var.prompts
  package       = var.package
  force_destroy = var.force_destroy
}
