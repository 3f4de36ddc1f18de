variable "name" {
  description = "Name of the installation: lower-case letters, digits, hyphens."
  type        = string
  default     = "reviews"
}

variable "models" {
  description = "Models that runs may use."
  type        = set(string)
  default     = ["amazon.nova-lite-v1:0"]
}

variable "prompts" {
  description = "Prompt templates by prompt_id, with {column} places."
  type        = map(string)
  default = {
    sentiment = "Is this product review positive, negative or neutral? Answer with one word.\n\n{review}"
  }
}

variable "package" {
  description = "Paths of the zips, when they are not where `make package` puts them."
  type = object({
    code_path  = optional(string)
    layer_path = optional(string)
  })
  default = {}
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete everything, the runs included. Apply it before you destroy."
  type        = bool
  default     = false
}
