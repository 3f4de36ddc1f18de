variable "package" {
  description = "Paths of the zips, when they are not where `make package` puts them."
  type = object({
    code_path  = optional(string)
    layer_path = optional(string)
  })
  default = {}
}
