# --- Required

variable "name" {
  description = "Name of this installation. Every resource name, every Bedrock job name and the event rule start with it. It cannot change later."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) <= 24
    error_message = "name must start with a letter and hold at most 24 lower-case letters, digits and single inner hyphens, like \"product-reviews\"."
  }
}

variable "models" {
  description = <<-EOT
    Models that runs may use; every other model is refused by the plan and by IAM. Each entry is one of
    - a foundation model id, as `amazon.nova-lite-v1:0`
    - a cross-Region inference profile id, as `us.anthropic.claude-haiku-4-5-20251001-v1:0` (us., us-gov., eu., apac., jp., au., ca., global.; any other by its ARN)
    - the ARN of a foundation model, an inference profile, an application inference profile or a custom model
  EOT
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.models) > 0
    error_message = "models must name at least one model, like [\"amazon.nova-lite-v1:0\"]."
  }

  validation {
    condition = alltrue([for model in var.models : anytrue([
      can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)*\\.[a-z0-9][a-z0-9._:-]*$", model)),
      can(regex("^arn:aws[a-z-]*:bedrock:[a-z0-9-]+::foundation-model/[a-z0-9][a-zA-Z0-9._:-]+$", model)),
      can(regex("^arn:aws[a-z-]*:bedrock:[a-z0-9-]+:[0-9]{12}:(inference-profile|application-inference-profile|custom-model)/[a-zA-Z0-9._:/-]+$", model)),
    ])])
    error_message = "Each of models must be a model id (provider.model), a profile id (us.provider.model) or a Bedrock ARN of a foundation-model, inference-profile, application-inference-profile or custom-model."
  }
}

# --- What runs read and say

variable "prompts" {
  description = "Prompt templates by prompt_id, with {column} places; {{ and }} stand for braces. A run names one by its prompt_id."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for id, template in var.prompts : can(regex("^[A-Za-z0-9_-]{1,64}$", id))])
    error_message = "Each key of prompts must be 1-64 letters, digits, underscores or hyphens, like \"sentiment\"."
  }

  validation {
    condition     = alltrue([for id, template in var.prompts : trimspace(template) != ""])
    error_message = "Each of prompts must be a template that is not blank."
  }
}

variable "inputs" {
  description = <<-EOT
    What runs may read besides the runs bucket.
    - `buckets`: names of other S3 buckets, in any Region. The policy of a bucket in another account must allow the functions' roles.
    - `kms_key_arns`: customer-managed keys that encrypt objects in these buckets, or the secrets
    - `secret_arns`: secrets that hold a token of the Hugging Face hub, for datasets that are gated or private
  EOT
  type = object({
    buckets      = optional(set(string), [])
    kms_key_arns = optional(set(string), [])
    secret_arns  = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for bucket in var.inputs.buckets : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", bucket))])
    error_message = "Each of inputs.buckets must be a bucket's name alone: no s3:// in front, no path, no ARN."
  }

  validation {
    condition     = alltrue([for arn in var.inputs.kms_key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", arn))])
    error_message = "Each of inputs.kms_key_arns must be the ARN of a key (arn:aws:kms:…:key/…), not of an alias."
  }

  validation {
    condition     = alltrue([for arn in var.inputs.secret_arns : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^*?]+$", arn))])
    error_message = "Each of inputs.secret_arns must be the whole ARN of one secret (arn:aws:secretsmanager:…:secret:…), without wildcards."
  }
}

# --- Where things are kept

variable "bucket" {
  description = <<-EOT
    The bucket that holds the runs: their inputs to Bedrock, raw answers and output tables.
    null means the module creates one. `{ name = "…" }` uses yours, in the module's account and Region, and changes none of its settings.
    The choice between the two cannot change later.
    When the bucket encrypts with a KMS key of yours, `encryption` must name that key, so that Bedrock and the functions may use it.
  EOT
  type        = object({ name = string })
  default     = null

  validation {
    condition     = var.bucket == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket.name))
    error_message = "bucket.name must be a bucket's name alone: no s3:// in front, no path, no ARN."
  }
}

variable "retention" {
  description = <<-EOT
    How long things are kept.
    - `inventory_days`: days until the state of a run and of its jobs leaves the inventory table
    - `runs_days`: days until everything below `runs/`, output tables included, is deleted from the module's own bucket; null means never.
      Deleted and overwritten versions stay for another 30 days, whatever the number of days here.
    - `log_days`: days that log events are kept; one of the values CloudWatch Logs knows
  EOT
  type = object({
    inventory_days = optional(number, 90)
    runs_days      = optional(number)
    log_days       = optional(number, 30)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.retention.inventory_days >= 30 && floor(var.retention.inventory_days) == var.retention.inventory_days
    error_message = "retention.inventory_days must be a whole number of at least 30: the inventory has to outlive the longest run and its redrive."
  }

  validation {
    condition     = var.retention.runs_days == null ? true : var.retention.runs_days >= 30 && floor(var.retention.runs_days) == var.retention.runs_days
    error_message = "retention.runs_days must be a whole number of at least 30, or null to keep runs for ever: fewer days could delete a run that is still going on."
  }

  validation {
    condition     = var.retention.runs_days == null || var.bucket == null
    error_message = "retention.runs_days is for the module's own bucket. With a bucket of yours, put a lifecycle rule for the prefix runs/ on it yourself."
  }

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.retention.log_days)
    error_message = "retention.log_days must be 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "encryption" {
  description = <<-EOT
    Encrypt with a KMS key of yours: objects of the module's own bucket, what Bedrock writes, and the inventory table.
    The key is in the module's Region, and its policy must allow access through IAM policies of the account. null means keys that AWS owns.
  EOT
  type        = object({ kms_key_arn = string })
  default     = null

  validation {
    condition     = var.encryption == null ? true : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.encryption.kms_key_arn))
    error_message = "encryption.kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not of an alias: Bedrock and DynamoDB store it as given."
  }
}

# --- How the work is done

variable "package" {
  description = <<-EOT
    The zips that `make package` builds. The first apply needs them, and so does every apply that changes the code.
    - `code_path`: our code and boto3; null means build/code.zip beside this module
    - `layer_path`: the libraries (pyarrow and others, for arm64); null means build/layer.zip beside this module
  EOT
  type = object({
    code_path  = optional(string)
    layer_path = optional(string)
  })
  default  = {}
  nullable = false
}

variable "functions" {
  description = <<-EOT
    Size and number of the Lambda functions.
    - `shard_concurrency`: shards prepared or joined at once, 1-1000; keep it below the account's free Lambda concurrency
    - `reserved_concurrency`: concurrent executions reserved for a function, by its name, as `{ join_shard = 40 }`
    - `memory_mb`: memory in MB in place of the module's own, by the function's name, 128-10240
  EOT
  type = object({
    shard_concurrency    = optional(number, 40)
    reserved_concurrency = optional(map(number), {})
    memory_mb            = optional(map(number), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.functions.shard_concurrency >= 1 && var.functions.shard_concurrency <= 1000 && floor(var.functions.shard_concurrency) == var.functions.shard_concurrency
    error_message = "functions.shard_concurrency must be a whole number from 1 to 1000."
  }

  validation {
    condition     = length(setsubtract(concat(keys(var.functions.reserved_concurrency), keys(var.functions.memory_mb)), keys(local.functions))) == 0
    error_message = "The keys of functions.reserved_concurrency and functions.memory_mb must be functions: ${join(", ", keys(local.functions))}."
  }

  validation {
    condition     = alltrue([for name, number in var.functions.reserved_concurrency : number >= 1 && floor(number) == number])
    error_message = "Each of functions.reserved_concurrency must be a whole number of at least 1: with 0 the function could never run."
  }

  validation {
    condition     = alltrue([for name, size in var.functions.memory_mb : size >= 128 && size <= 10240 && floor(size) == size])
    error_message = "Each of functions.memory_mb must be a whole number from 128 to 10240."
  }
}

# --- Watching it

variable "logging" {
  description = <<-EOT
    What the state machines log.
    - `level`: OFF, FATAL, ERROR or ALL, as Step Functions means them
    - `include_execution_data`: also log inputs and outputs of states. They hold task tokens: whoever reads the log can end a wait in place of Bedrock.
  EOT
  type = object({
    level                  = optional(string, "ERROR")
    include_execution_data = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["OFF", "FATAL", "ERROR", "ALL"], var.logging.level)
    error_message = "logging.level must be OFF, FATAL, ERROR or ALL."
  }
}

variable "notifications" {
  description = <<-EOT
    Publish to an SNS topic when a run ends. null means no notifications.
    - `topic_arn`: a topic whose policy allows events.amazonaws.com to publish. EventBridge supplies no condition keys, so the statement must have no condition.
    - `on`: how runs end that are published: SUCCEEDED (without warnings), SUCCEEDED_WITH_WARNINGS, FAILED, TIMED_OUT, ABORTED
  EOT
  type = object({
    topic_arn = string
    on        = optional(set(string), ["SUCCEEDED_WITH_WARNINGS", "FAILED", "TIMED_OUT", "ABORTED"])
  })
  default = null

  validation {
    condition = var.notifications == null ? true : (
      length(var.notifications.on) > 0 && length(setsubtract(var.notifications.on, ["SUCCEEDED", "SUCCEEDED_WITH_WARNINGS", "FAILED", "TIMED_OUT", "ABORTED"])) == 0
    )
    error_message = "notifications.on must hold one or more of SUCCEEDED, SUCCEEDED_WITH_WARNINGS, FAILED, TIMED_OUT, ABORTED."
  }

  validation {
    condition     = var.notifications == null ? true : can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+$", var.notifications.topic_arn))
    error_message = "notifications.topic_arn must be the ARN of an SNS topic (arn:aws:sns:…)."
  }
}

variable "alarms" {
  description = <<-EOT
    CloudWatch alarms for problems that do not fail a run: undelivered events, and executions of the machines job-event and stop-run that failed, ran out of time or were stopped. null means no alarms.
    - `topic_arn`: an SNS topic whose policy allows cloudwatch.amazonaws.com to publish
  EOT
  type        = object({ topic_arn = string })
  default     = null

  validation {
    condition     = var.alarms == null ? true : can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+$", var.alarms.topic_arn))
    error_message = "alarms.topic_arn must be the ARN of an SNS topic (arn:aws:sns:…)."
  }
}

# --- House rules of your account

variable "permissions_boundary_arn" {
  description = "ARN of the permissions boundary put on every role of the module. null means none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null ? true : can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of an IAM policy (arn:aws:iam::…:policy/…)."
  }
}

variable "role_path" {
  description = "IAM path of every role of the module."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([!-~]+/)?$", var.role_path)) && length(var.role_path) <= 512
    error_message = "role_path must begin and end with a slash, like \"/service/bedrock/\"."
  }
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete everything, the runs in the module's own bucket included. false means that the destroy stops at the inventory table, before anything else is touched. A new value counts once it has been applied."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Tags for cost allocation, put on every Bedrock job and on every resource of the module except objects in the bucket. A job also gets the provider's default_tags, bedrock-batch:name and bedrock-batch:run."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.tags : can(regex("^[a-zA-Z0-9 ._:/=+@-]{1,128}$", key)) && can(regex("^[a-zA-Z0-9 ._:/=+@-]{0,256}$", value))])
    error_message = "Each of tags must have a key of 1-128 and a value of 0-256 letters (a-z, A-Z), digits, spaces or . _ : / = + @ -: Bedrock refuses jobs with others."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "No key of tags may begin with aws: these belong to AWS, which refuses them."
  }

  validation {
    condition     = length(var.tags) <= 47
    error_message = "tags must be 47 at most: a Bedrock job takes 50, and three are the module's."
  }
}
