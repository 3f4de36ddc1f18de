# From the names in var.models to the ARNs that IAM wants. Four kinds of names:
#
#   amazon.nova-lite-v1:0          the model, in this Region
#   us.amazon.nova-lite-v1:0       a profile of this account, which calls the model in several Regions
#   arn:…:inference-profile/us.…   the same profile, in full
#   arn:…:application-inference-profile/abc123
#                                  a profile that a user made; its name does not say which model it calls

locals {
  # What stands before the first dot and is not a provider. The order of `us-gov` and `us` does not matter: the dot must follow.
  profile_prefixes = ["us", "us-gov", "eu", "apac", "jp", "au", "ca", "global"]
  profile_pattern  = "^(?:${join("|", local.profile_prefixes)})\\.([a-z0-9-]+\\..+)$"

  given_model_arns = [for model in var.models : model if startswith(model, "arn:")]
  given_model_ids  = [for model in var.models : model if !startswith(model, "arn:")]

  given_profile_ids = [for id in local.given_model_ids : id if can(regex(local.profile_pattern, id))]
  given_profile_arns = [
    for arn in local.given_model_arns : arn if strcontains(arn, ":inference-profile/")
  ]

  application_profile_arns = [
    for arn in local.given_model_arns : arn if strcontains(arn, ":application-inference-profile/")
  ]

  # Models that are called by their own name.
  model_arns = sort(concat(
    [for id in setsubtract(local.given_model_ids, local.given_profile_ids) : "arn:${local.partition}:bedrock:${local.region}::foundation-model/${id}"],
    [for arn in local.given_model_arns : arn if strcontains(arn, "::foundation-model/") || strcontains(arn, ":custom-model/")],
  ))

  # Of these, the ones that bedrock:InvokeModel knows: a custom model is for jobs alone.
  invoked_model_arns = [for arn in local.model_arns : arn if !strcontains(arn, ":custom-model/")]

  system_profile_arns = sort(concat(
    [for id in local.given_profile_ids : "arn:${local.partition}:bedrock:${local.region}:${local.account}:inference-profile/${id}"],
    local.given_profile_arns,
  ))

  profile_arns = concat(local.system_profile_arns, sort(local.application_profile_arns))

  # Models that profiles call. Any Region, as a profile picks the Region itself; the star also matches the
  # empty Region that models of `global.` profiles have. The name of an application profile does not say which
  # model it calls, so all models are in the list, and calling them is allowed through a listed profile only.
  profile_model_arns = distinct(concat(
    [
      for arn in local.system_profile_arns :
      # Whatever stands before the first dot: the ARN says that it is a profile, even one of a new geography.
      "arn:${local.partition}:bedrock:*::foundation-model/${regex("^[^.]+\\.(.+)$", split("/", arn)[1])[0]}"
    ],
    length(local.application_profile_arns) == 0 ? [] : ["arn:${local.partition}:bedrock:*::foundation-model/*"],
  ))
}
