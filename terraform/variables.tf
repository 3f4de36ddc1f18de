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
    What runs may read. They may always read what this installation's runs wrote, and any object of the module's own bucket.
    - `buckets`: names of other S3 buckets, which runs may read as a whole
    - `locations`: prefixes of buckets, when runs may read only a part of a bucket: `s3://lake/reviews/`, with a slash at the end
    - `kms_key_arns`: customer-managed keys that encrypt objects in these buckets, or the secrets
    - `secret_arns`: secrets that hold a token of the Hugging Face hub, for datasets that are gated or private

    Buckets and keys may lie in any account. The policy of a bucket or key in another account must allow the roles of plan_run and prepare_shard (output `role_arns`).
    If `bucket` names a bucket of yours, runs read in it only what they wrote. List other parts of it here.
  EOT
  type = object({
    buckets      = optional(set(string), [])
    locations    = optional(set(string), [])
    kms_key_arns = optional(set(string), [])
    secret_arns  = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for bucket in var.inputs.buckets : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", bucket))])
    error_message = "Each of inputs.buckets must be a bucket's name alone: no s3:// in front, no path, no ARN. A part of a bucket goes into inputs.locations, like \"s3://lake/reviews/\"."
  }

  validation {
    # Behind a prefix without a slash there could be a folder's beginning (reviews-internal/). A star, a question mark or
    # a dollar would mean something else in an IAM policy.
    condition     = alltrue([for location in var.inputs.locations : can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/|/[^*?$[:cntrl:]]+/)?$", location)) && length(location) <= 512])
    error_message = "Each of inputs.locations must be the URI of a bucket or of a prefix with a slash at its end, 512 characters at most, without the characters * ? $. ${join(" ", [for location in var.inputs.locations : "Not \"${location}\" but \"${location}/\"." if can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^*?$]*[^*?$/]$", location))])}"
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
    null means the module creates one.
    - `access_log`: the module creates the bucket, and S3 logs the access to it.
    - `access_log.bucket`: the bucket of yours that gets the log; its policy must allow logging.s3.amazonaws.com to write
    - `access_log.prefix`: the prefix in it, like `reviews/`
    - `name`: uses this bucket of yours, in the module's account and Region, and changes none of its settings.
    - `prefix`: a prefix in your bucket, like `teams/nlp/`. The installation uses only the keys below `<prefix><name>/`, so several installations can share a bucket.
      No installation may lie below `<prefix><name>/` of another one.

    None of this can change later, except `access_log`: claims and unfinished runs would stay behind.
    When the bucket encrypts with a KMS key of yours, `encryption` must name that key, so that Bedrock and the functions may use it.
  EOT
  type = object({
    name       = optional(string)
    prefix     = optional(string, "")
    access_log = optional(object({ bucket = string, prefix = optional(string, "") }))
  })
  default = null

  validation {
    condition     = var.bucket == null ? true : var.bucket.access_log == null ? var.bucket.name != null : var.bucket.name == null && var.bucket.prefix == ""
    error_message = "bucket must be one of two: { name = \"…\" }, with a prefix if you want, for a bucket of yours; or { access_log = { bucket = \"…\" } } for the module's own. Set the access log of a bucket of yours on that bucket. The module's own bucket has no prefix."
  }

  validation {
    condition     = try(var.bucket.access_log, null) == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket.access_log.bucket))
    error_message = "bucket.access_log.bucket must be a bucket's name alone: no s3:// in front, no path, no ARN. A path goes into bucket.access_log.prefix."
  }

  validation {
    condition     = try(var.bucket.name, null) == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket.name))
    error_message = "bucket.name must be a bucket's name alone: no s3:// in front, no path, no ARN. A path goes into bucket.prefix."
  }

  validation {
    condition     = var.bucket == null ? true : can(regex("^[A-Za-z0-9_./-]*$", var.bucket.prefix))
    error_message = "bucket.prefix may hold only letters, digits and _ . - /, like \"teams/nlp/\": Bedrock refuses most others in the URI of a job's files. So \"team=nlp/\" must become \"team-nlp/\"."
  }

  validation {
    condition     = var.bucket == null ? true : var.bucket.prefix == "" || endswith(var.bucket.prefix, "/")
    error_message = "bucket.prefix must end with a slash, like \"teams/nlp/\", or be empty: the installation's name follows it."
  }

  validation {
    condition     = var.bucket == null ? true : !startswith(var.bucket.prefix, "/") && !strcontains(var.bucket.prefix, "//")
    error_message = "bucket.prefix must have one slash between two names and none at its beginning, like \"teams/nlp/\": not \"/teams/nlp/\", not \"teams//nlp/\"."
  }

  validation {
    condition     = var.bucket == null ? true : length(setintersection(split("/", var.bucket.prefix), [".", ".."])) == 0
    error_message = "bucket.prefix must not have . or .. as a name between slashes: S3 keeps them as they are, and other programs resolve them. Write \"teams/nlp/\", not \"teams/./nlp/\"."
  }

  validation {
    # The policies of the roles repeat it, and IAM ends them at 10,240 characters. Keys of a run have some 300 behind it;
    # S3 and Bedrock end them at 1,024.
    condition     = var.bucket == null ? true : length(var.bucket.prefix) <= 100
    error_message = "bucket.prefix must have 100 characters at most, like \"teams/nlp/\": the policies of the roles repeat it, and IAM limits their length."
  }
}

variable "retention" {
  description = <<-EOT
    How long things are kept, in days. The days of an object count from the day when it was written.
    - `work_days`: what runs work with: requests, raw answers, kept columns of the inputs. At least 30. A run may go on until 14 days before `work_days` are over, but at most a year. After `work_days` it cannot be redriven.
    - `output_days`: output tables; null means for ever
    - `report_days`: reports; null means for ever
    - `inventory_days`: the state of a run and of its jobs in the inventory table; null means `work_days`, and at least 90
    - `log_days`: log events; one of the values CloudWatch Logs knows

    In the module's own bucket, lifecycle rules delete older objects. Claims (which names of runs are taken) and configuration stay.
    Overwritten and deleted versions stay for 30 days more, those below `work/` for one day.

    With a bucket of yours (`bucket`), put lifecycle rules on it yourself (`<root>` is `<prefix><name>`):
    on `<root>/work/`, expiration after `work_days`, never earlier; on `<root>/output/` and `<root>/reports/`, after `work_days` or later, or no rule;
    on `<root>/claims/` and `<root>/config/`, no rule. Set `work_days` to the days of your rule, and leave `output_days` and `report_days` out.
  EOT
  type = object({
    work_days      = optional(number, 90)
    output_days    = optional(number)
    report_days    = optional(number)
    inventory_days = optional(number)
    log_days       = optional(number, 30)
    # Of earlier versions. Terraform drops attributes that a type does not name, and nobody would notice that objects
    # are deleted later than before, or not at all. So it is named, and refused.
    runs_days = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.retention.work_days >= 30 && floor(var.retention.work_days) == var.retention.work_days
    error_message = "retention.work_days must be a whole number of at least 30, like 90: a run and its redrive must find what the run has written."
  }

  validation {
    condition = alltrue([
      for days in [var.retention.output_days, var.retention.report_days, var.retention.inventory_days] :
      days == null ? true : days >= var.retention.work_days && floor(days) == days
    ])
    error_message = "retention.output_days, report_days and inventory_days must be whole numbers of at least work_days (${var.retention.work_days}), like ${max(90, ceil(var.retention.work_days))}; null means for ever; for inventory_days it means work_days, and at least 90. A run must not lose its table or its state as long as it can be redriven, which is work_days. To keep them for fewer days, lower work_days too."
  }

  validation {
    condition     = var.bucket == null || try(var.bucket.access_log, null) != null || (var.retention.output_days == null && var.retention.report_days == null)
    error_message = "retention.output_days and report_days are for the module's own bucket. Put lifecycle rules on a bucket of yours yourself, for the prefixes <prefix><name>/output/ and <prefix><name>/reports/."
  }

  validation {
    condition     = var.retention.runs_days == null
    error_message = "retention.runs_days is gone. work_days is for what runs work with, output_days for the output tables, report_days for the reports. To keep everything for 60 days, write { work_days = 60, output_days = 60, report_days = 60 }."
  }

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.retention.log_days)
    error_message = "retention.log_days must be 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "encryption" {
  description = <<-EOT
    Encrypt with a KMS key of yours. null means keys that AWS owns.
    - `kms_key_arn`: the ARN of the key, which is in the module's Region
    - `covers`: what the key encrypts, one or more of
      - `data`: objects of runs, whatever bucket they are in, what Bedrock writes, and the inventory table
      - `logs`: the log groups of functions and state machines
      - `functions`: the functions' environment variables
      - `queue`: the queue of undelivered events
      - `workflows`: definitions, inputs and outputs of the state machines

    The key's policy must name the module's roles, or allow access through IAM policies of the account. For `logs`, `queue` and `workflows`
    it must also allow services of AWS. The output `key_policy_json` has all these statements.
  EOT
  type = object({
    kms_key_arn = string
    covers      = optional(set(string), ["data"])
  })
  default = null

  validation {
    condition     = var.encryption == null ? true : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.encryption.kms_key_arn))
    error_message = "encryption.kms_key_arn must be the ARN of a key (arn:aws:kms:…:key/…), not of an alias: Bedrock and DynamoDB store it as given."
  }

  validation {
    condition = var.encryption == null ? true : (
      length(var.encryption.covers) > 0 && length(setsubtract(var.encryption.covers, ["data", "logs", "functions", "queue", "workflows"])) == 0
    )
    error_message = "encryption.covers must hold one or more of data, logs, functions, queue, workflows."
  }
}

# --- How the work is done

variable "package" {
  description = <<-EOT
    Where the functions' code and libraries come from, in one of these ways. A zip of another version than the module's is refused at plan.
    - `s3`: where `make publish` has put the zips of a release. Code and libraries are read there, and the installation uploads nothing.
    - `s3.bucket`: the bucket, in the module's Region. Whoever applies the module needs `s3:GetObject` and `s3:ListBucket` on it.
    - `s3.prefix`: the prefix in it, the same as `PREFIX` of `make publish`
    - `code_path`: the zip of the code on the machine that applies, which `make package` builds (for x86_64 with `ARCHITECTURE=x86_64`), with its label (`code.json`) beside it. The installation uploads it. null means build/code.zip beside this module.
      The first apply needs it, and so does every apply that changes the code.
    - `layer_path`: the zip of the libraries, in the same way. null means build/layer.zip beside this module.
    - `layer_arn`: the ARN of a version of a layer that you publish. It takes the place of the libraries; the code comes from `s3` or `code_path`. The layer must hold what lambda_src/requirements-layer.txt pins, for `functions.architecture`. The ARN must be known at plan.
  EOT
  type = object({
    code_path  = optional(string)
    layer_path = optional(string)
    layer_arn  = optional(string)
    s3 = optional(object({
      bucket = string
      prefix = optional(string, "")
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.package.s3 == null || (var.package.code_path == null && var.package.layer_path == null)
    error_message = "package has two places for the same zips. Leave out s3, or leave out code_path and layer_path."
  }

  validation {
    condition     = var.package.layer_arn == null || var.package.layer_path == null
    error_message = "package has two places for the libraries. Leave out layer_arn, or leave out layer_path."
  }

  validation {
    condition     = var.package.s3 == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.package.s3.bucket))
    error_message = "package.s3.bucket must be a bucket's name alone: no s3:// in front, no path, no ARN. A path goes into package.s3.prefix."
  }

  validation {
    condition     = var.package.s3 == null ? true : can(regex("^([^/]+/)*$", var.package.s3.prefix))
    error_message = "package.s3.prefix must end with a slash and not begin with one, like \"bedrock-batch/\", or be empty. Write what PREFIX of `make publish` was."
  }

  validation {
    condition     = var.package.layer_arn == null ? true : can(regex("^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[A-Za-z0-9_-]+:[0-9]+$", var.package.layer_arn))
    error_message = "package.layer_arn must be the ARN of one version of a layer (arn:aws:lambda:…:layer:name:7), with its number."
  }
}

variable "functions" {
  description = <<-EOT
    Kind, size and number of the Lambda functions.
    - `architecture`: arm64, or x86_64 where your Region or your rules want it
    - `shard_concurrency`: shards prepared or joined at once, 1-1000; keep it below the account's free Lambda concurrency
    - `reserved_concurrency`: concurrent executions reserved for a function, by its name, as `{ join_shard = 40 }`
    - `memory_mb`: memory of a function in MB, 128-10240, by its name, as `{ join_shard = 3008 }`; the other functions keep the module's values
  EOT
  type = object({
    architecture         = optional(string, "arm64")
    shard_concurrency    = optional(number, 40)
    reserved_concurrency = optional(map(number), {})
    memory_mb            = optional(map(number), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.functions.architecture)
    error_message = "functions.architecture must be arm64 or x86_64."
  }

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

variable "network" {
  description = <<-EOT
    Put the functions into subnets of yours. null means that they run outside of your VPCs.
    The subnets need a way to S3 and Bedrock: docs/network.md has the endpoints that each function needs.
    - `subnet_ids`: 1 to 16, in several Availability Zones
    - `security_group_ids`: 1 to 5; they need no inbound rule, and outbound HTTPS to the endpoints
    - `jobs`: true means that Bedrock's jobs also read and write S3 through these subnets
  EOT
  type = object({
    subnet_ids         = set(string)
    security_group_ids = set(string)
    jobs               = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.network == null ? true : length(var.network.subnet_ids) >= 1 && length(var.network.subnet_ids) <= 16
    error_message = "network.subnet_ids must be 1 to 16 subnets, like [\"subnet-0123456789abcdef0\"]: Lambda and Bedrock take no more."
  }

  validation {
    condition     = var.network == null ? true : length(var.network.security_group_ids) >= 1 && length(var.network.security_group_ids) <= 5
    error_message = "network.security_group_ids must be 1 to 5 security groups, like [\"sg-0123456789abcdef0\"]: Lambda and Bedrock take no more."
  }

  validation {
    condition = var.network == null ? true : alltrue(concat(
      [for id in var.network.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))],
      [for id in var.network.security_group_ids : can(regex("^sg-[0-9a-f]{8,17}$", id))],
    ))
    error_message = "network takes ids: each of subnet_ids like subnet-0123456789abcdef0, each of security_group_ids like sg-0123456789abcdef0; no names, no ARNs."
  }
}

# --- Watching it

variable "logging" {
  description = <<-EOT
    What the state machines log, and whether X-Ray traces runs.
    - `level`: OFF, FATAL, ERROR or ALL, as Step Functions means them
    - `include_execution_data`: also log inputs and outputs of states. They hold task tokens: whoever reads the log can end a wait in place of Bedrock.
    - `tracing`: X-Ray traces state machines and functions. A run of many shards makes many traces, which X-Ray bills.
  EOT
  type = object({
    level                  = optional(string, "ERROR")
    include_execution_data = optional(bool, false)
    tracing                = optional(bool, false)
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
    - `on`: the ends of runs that are published: SUCCEEDED (without warnings), SUCCEEDED_WITH_WARNINGS, FAILED, TIMED_OUT, ABORTED
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
    CloudWatch alarms that somebody should act on: runs that failed, jobs that Bedrock leaves pending, throttled functions, and faults that fail no run, such as events that are not delivered.
    docs/operations.md says what to do about each alarm. null means no alarms.
    - `topic_arn`: an SNS topic whose policy allows cloudwatch.amazonaws.com to publish
    - `job_pending_hours`: hours that a job may wait at Bedrock, from its creation to its start, before the alarm
  EOT
  type = object({
    topic_arn         = string
    job_pending_hours = optional(number, 24)
  })
  default = null

  validation {
    condition     = var.alarms == null ? true : can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+$", var.alarms.topic_arn))
    error_message = "alarms.topic_arn must be the ARN of an SNS topic (arn:aws:sns:…)."
  }

  validation {
    condition     = var.alarms == null ? true : var.alarms.job_pending_hours >= 1 && var.alarms.job_pending_hours <= 168
    error_message = "alarms.job_pending_hours must be a number from 1 to 168, like 24: waits of less than an hour are not measured, and Bedrock ends a job after 168 hours."
  }
}

variable "dashboard" {
  description = "Make a CloudWatch dashboard of runs, jobs, rows, tokens, cost and functions. CloudWatch bills some 3 USD a month for it."
  type        = bool
  default     = false
  nullable    = false
}

# --- House rules of your account

variable "roles" {
  description = <<-EOT
    What your account demands from every role of the module.
    - `path`: the IAM path
    - `permissions_boundary_arn`: the policy that is their permissions boundary; null means none
  EOT
  type = object({
    path                     = optional(string, "/")
    permissions_boundary_arn = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^/([!-~]+/)?$", var.roles.path)) && length(var.roles.path) <= 512
    error_message = "roles.path must begin and end with a slash, like \"/service/bedrock/\"."
  }

  validation {
    condition     = var.roles.permissions_boundary_arn == null ? true : can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$", var.roles.permissions_boundary_arn))
    error_message = "roles.permissions_boundary_arn must be the ARN of an IAM policy (arn:aws:iam::…:policy/…)."
  }
}

variable "force_destroy" {
  description = "Let `terraform destroy` delete everything, the runs in the module's own bucket included. false means that the destroy stops at the inventory table, before it changes anything. Apply a new value before you destroy."
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
    error_message = "No key of tags may begin with aws: because AWS keeps these keys for itself."
  }

  validation {
    condition     = length(var.tags) <= 47
    error_message = "tags must be at most 47: a Bedrock job takes 50, and the module adds three."
  }
}
