"""Permissions: the job's service role, the caller's permissions, and the ARNs on which IAM checks them.

The role's trust and the buckets are always checked. Permissions are checked only if the engine enforces IAM
(`AUTH=true`).
"""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from ministack import app
from ministack.core import iam_actions, iam_evaluator, router
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam

from local import roles, vpc
from local.bedrock import storage
from local.bedrock.documents import InvalidInput
from local.bedrock.models import GEOGRAPHY

_SERVICE = "bedrock.amazonaws.com"
_PROFILE_PATH = re.compile(r"/inference-profiles/(.+)")
_ON_DEMAND = re.compile(r"/model/(.+)/(invoke|converse|invoke-with-response-stream|converse-stream)")


def model_arn(model_id: str) -> str:
    """Return the full ARN of a model id or a profile id, in the account and Region of the request."""
    if model_id.startswith("arn:"):
        return model_id
    if GEOGRAPHY.match(model_id):
        return f"arn:aws:bedrock:{get_region()}:{get_account_id()}:inference-profile/{model_id}"
    return f"arn:aws:bedrock:{get_region()}::foundation-model/{model_id}"


def install(behind: Callable[[str], str]) -> None:
    """Make the engine check Bedrock actions on the same ARNs as AWS.

    `behind` returns the base model of a model id, a profile id or an ARN.
    """
    engines_own = iam_actions.extract_resource_arn

    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        if service == "bedrock" and path == "/model-invocation-job":
            model = behind(str(json.loads(body or b"{}").get("modelId", "")))
            return f"arn:aws:bedrock:{region}::foundation-model/{model}"
        if service == "bedrock" and path.startswith("/model-invocation-job/"):
            job_id = path.removesuffix("/stop").rsplit("/", 1)[-1]
            return f"arn:aws:bedrock:{region}:{account}:model-invocation-job/{job_id}"
        if service == "bedrock" and (match := _PROFILE_PATH.fullmatch(path)):
            return model_arn(unquote(match[1]))
        if service == "bedrock-runtime" and (match := _ON_DEMAND.fullmatch(path)):
            return model_arn(unquote(match[1]))
        return str(engines_own(service, method, path, headers, body, query, region, account))

    iam_actions.extract_resource_arn = resource_arn

    engines_actions = iam_actions.extract_iam_action

    def iam_action(service: str, method: str, path: str, *rest: Any, **more: Any) -> Any:
        if service == "bedrock-runtime" and (match := _ON_DEMAND.fullmatch(path)):
            # Converse has no permission of its own.
            return "bedrock:InvokeModelWithResponseStream" if "stream" in match[2] else "bedrock:InvokeModel"
        return engines_actions(service, method, path, *rest, **more)

    iam_actions.extract_iam_action = iam_action


def may_pass_role(role_arn: str, headers: dict[str, str]) -> bool:
    """Return whether the caller may pass a role to Bedrock."""
    if not app.AUTH:
        return True
    denied = iam_evaluator.enforce(
        router.extract_access_key_id(headers, {}),
        "iam:PassRole",
        "iam",
        get_region(),
        resource_arn=role_arn,
        service_context={"iam:PassedToService": _SERVICE},
    )
    return denied is None


def check_job(request: dict[str, Any], *, job_arn: str, base_model: str) -> None:
    """Check that Bedrock can assume the job's role and reach its buckets. Raises InvalidInput."""
    role_arn = request["roleArn"]
    if role_arn.split(":")[4] != get_account_id():
        raise InvalidInput(f"The role {role_arn} is not in the account of the job")
    role = iam._roles.get(role_arn.rsplit("/", 1)[-1])
    if role is None:
        raise InvalidInput(f"The role {role_arn} does not exist")
    context = roles.context(role_arn, ("sts:AssumeRole", role_arn, _keys(job_arn)))
    if not any(_trusts(statement, context) for statement in _statements(role["AssumeRolePolicyDocument"])):
        raise InvalidInput(f"The role {role_arn} does not trust {_SERVICE} for this job: check its trust policy")
    (source,), (target,) = request["inputDataConfig"].values(), request["outputDataConfig"].values()
    try:
        storage.check_bucket(target["s3Uri"])
    except storage.StorageError as error:
        raise InvalidInput(str(error)) from error
    if "vpcConfig" in request and (problem := vpc.problem_of_job(request["vpcConfig"], role_arn, job_arn)):
        raise InvalidInput(problem)
    needs = _needs(request, source=source["s3Uri"], target=target["s3Uri"], job_arn=job_arn, base_model=base_model)
    if need := roles.lacks(role_arn, needs):
        if need[0] == "bedrock:InvokeModel":
            raise InvalidInput("Customer doesn't have permissions to invokeModel")
        raise InvalidInput(f"The role {role_arn} lacks {need[0]} on {need[1]}")


def _needs(request: dict[str, Any], *, source: str, target: str, job_arn: str, base_model: str) -> list[roles.Need]:
    model = model_arn(request["modelId"])
    bucket, key = storage.split(source)
    results = f"{'/'.join(storage.split(target)).rstrip('/')}/{job_arn[-12:]}/manifest.json.out"
    keys = _keys(job_arn)
    invoked = []
    if "inference-profile/" in model:  # AWS documents no such permission for a plain model.
        keys["bedrock:inferenceprofilearn"] = model
        invoked = [model, f"arn:aws:bedrock:{get_region()}::foundation-model/{base_model}"]
    return [
        ("s3:ListBucket", f"arn:aws:s3:::{bucket}", keys | {"s3:prefix": key}),
        ("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", keys),
        ("s3:PutObject", f"arn:aws:s3:::{results}", keys),
        *(("bedrock:InvokeModel", one, keys) for one in invoked),
    ]


def _keys(job_arn: str) -> dict[str, Any]:
    return {"aws:sourceaccount": get_account_id(), "aws:sourcearn": job_arn}


def _statements(policy: str) -> list[dict[str, Any]]:
    statements = json.loads(policy).get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


def _trusts(statement: dict[str, Any], context: iam_evaluator.EvalContext) -> bool:
    actions = statement.get("Action", [])
    return (
        statement.get("Effect") == "Allow"
        and "sts:AssumeRole" in ([actions] if isinstance(actions, str) else actions)
        and iam_evaluator._service_principal_matches(statement.get("Principal"), _SERVICE)
        and iam_evaluator._conditions_met(statement.get("Condition", {}), context)
    )
