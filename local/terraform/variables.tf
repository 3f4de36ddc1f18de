variable "endpoint_url" {
  description = "Where the local AWS listens, as http://127.0.0.1:4566."
  type        = string
  nullable    = false
}

variable "name" {
  description = "As the module's."
  type        = string
  default     = "demo"
}

variable "models" {
  description = "As the module's."
  type        = set(string)
  default     = ["amazon.nova-lite-v1:0"]
}

variable "prompts" {
  description = "As the module's."
  type        = map(string)
  default     = {}
}

variable "inputs" {
  description = "As the module's."
  type = object({
    buckets      = optional(set(string), [])
    locations    = optional(set(string), [])
    kms_key_arns = optional(set(string), [])
  })
  default = {}
}

variable "bucket" {
  description = "As the module's."
  type = object({
    name       = optional(string)
    prefix     = optional(string, "")
    access_log = optional(object({ bucket = string, prefix = optional(string, "") }))
  })
  default = null
}

variable "package" {
  description = "As the module's; by default what `lambda_src/package.py --local` builds: the layer must hold wheels for this machine."
  type = object({
    code_path  = optional(string)
    layer_path = optional(string)
    s3         = optional(object({ bucket = string, prefix = optional(string, "") }))
  })
  default = {}
}

variable "functions" {
  description = "As the module's. Each function that runs at once is a process on this machine, so few are reserved."
  type = object({
    shard_concurrency    = optional(number, 4)
    reserved_concurrency = optional(map(number), {})
    memory_mb            = optional(map(number), {})
  })
  default = {}
}

variable "network" {
  description = "As the module's. The local AWS has the subnets subnet-00000001 to 3 and the security group sg-00000001."
  type = object({
    subnet_ids         = set(string)
    security_group_ids = set(string)
    jobs               = optional(bool, false)
  })
  default = null
}

variable "encrypted" {
  description = "Encrypt all that the module can encrypt, with a key that is made here."
  type        = bool
  default     = false
}

variable "architecture" {
  description = "As the module's functions.architecture: that of this machine, where the functions run."
  type        = string
  default     = "arm64"
}

variable "logging" {
  description = "As the module's."
  type = object({
    level                  = optional(string, "ERROR")
    include_execution_data = optional(bool, false)
    tracing                = optional(bool, false)
  })
  default = {}
}

variable "notifications" {
  description = "As the module's."
  type = object({
    topic_arn = string
    on        = optional(set(string), ["SUCCEEDED_WITH_WARNINGS", "FAILED", "TIMED_OUT", "ABORTED"])
  })
  default = null
}

variable "alarms" {
  description = "As the module's."
  type = object({
    topic_arn         = string
    job_pending_hours = optional(number, 24)
  })
  default = null
}

variable "dashboard" {
  description = "As the module's."
  type        = bool
  default     = false
}

variable "roles" {
  description = "As the module's."
  type = object({
    path                     = optional(string, "/")
    permissions_boundary_arn = optional(string)
  })
  default = {}
}

variable "force_destroy" {
  description = "As the module's, but here nothing is worth keeping."
  type        = bool
  default     = true
}

variable "default_tags" {
  description = "The provider's."
  type        = map(string)
  default     = {}
}

variable "revision" {
  description = "Of what the module block depends on; null means on nothing."
  type        = string
  default     = null
}
