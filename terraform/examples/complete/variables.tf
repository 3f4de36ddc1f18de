variable "code_path" {
  description = "Path of the zip with the functions' code; null means the one `make package` has built."
  type        = string
  default     = null
}

variable "layer_path" {
  description = "Path of the zip with the libraries; null means the one `make package` has built."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete everything, the runs included. Apply it before you destroy."
  type        = bool
  default     = false
}

variable "permissions_boundary_arn" {
  description = "ARN of the permissions boundary for every role; null means none."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Subnets with the endpoints of docs/network.md, in several Availability Zones."
  type        = set(string)
}

variable "security_group_ids" {
  description = "Security groups that allow HTTPS to these endpoints."
  type        = set(string)
}
