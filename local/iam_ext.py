"""Repairs of MiniStack's IAM, for engines that enforce it (`AUTH=true`): the resources and keys that it checks.

MiniStack checks calls about a Map Run on `*`, not on its ARN. It checks a call of a function's version on the function,
if the version is the parameter `Qualifier`. It has no condition keys for PutEvents. Its `aws:PrincipalArn` is that of a
session, not of the session's role. It says that an object is missing even to callers who may not list it.
`local/bedrock/access.py` has the rules of Bedrock.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from ministack.core import iam_actions, iam_evaluator, router
from ministack.core.responses import get_region
from ministack.services import iam, lambda_svc, s3

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Answer]]


def install(app: Any) -> None:
    """Put the repairs into the engine."""
    iam_actions.extract_resource_arn = _naming_map_run_and_version(iam_actions.extract_resource_arn)
    iam_actions.request_tag_context = _with_keys_of_events(iam_actions.request_tag_context)
    iam_evaluator._resolve_condition_key = _naming_the_role(iam_evaluator._resolve_condition_key)
    if app.AUTH:
        app.SERVICE_HANDLERS["s3"] = _hiding_what_is_missing(app.SERVICE_HANDLERS["s3"])


def _naming_map_run_and_version(engines_own: Callable[..., Any]) -> Any:
    def resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> str:
        arn = str(engines_own(service, method, path, headers, body, query, region, account))
        if service == "states" and arn == "*":
            return str(json.loads(body or b"{}").get("mapRunArn", arn))
        if service == "lambda" and ":function:" in arn and ":" not in arn.partition(":function:")[2]:
            qualifier = lambda_svc._qp_first(query or {}, "Qualifier")
            return f"{arn}:{qualifier}" if qualifier else arn
        return arn

    return resource_arn


def _naming_the_role(engines_own: Callable[[str, Any], Any]) -> Any:
    """Resolve `aws:PrincipalArn` of a session to the ARN of its role, with its path, as IAM documents."""

    def resolve(key: str, context: Any) -> Any:
        value = engines_own(key, context)
        if key.lower() != "aws:principalarn" or ":assumed-role/" not in str(value):
            return value
        role = iam._roles.get(str(value).split("/")[1])
        return role["Arn"] if role else value

    return resolve


def _with_keys_of_events(engines_own: Callable[..., dict[str, Any]]) -> Any:
    """Add `events:source` and `events:detail-type` of the entries of PutEvents."""

    def context(service: str, action: str, body: bytes, query: Any) -> dict[str, Any]:
        keys = engines_own(service, action, body, query)
        if action != "events:PutEvents":
            return keys
        try:
            entries = json.loads(body or b"{}")["Entries"]
            members = {"events:source": "Source", "events:detail-type": "DetailType"}
            found = {key: sorted({entry[member] for entry in entries}) for key, member in members.items()}
        except (ValueError, KeyError, TypeError):
            return keys  # The service refuses this call.
        # With several values in one call there is no key, because a condition on one value must not allow the others.
        return keys | {key: values[0] for key, values in found.items() if len(values) == 1}

    return context


def _hiding_what_is_missing(engines_own: Handler) -> Handler:
    """Answer 403 for a missing object to callers who may not list its key, as S3 documents."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        answer = await engines_own(method, path, headers, body, query)
        bucket, _, key = path.strip("/").partition("/")
        if answer[0] != 404 or method not in ("GET", "HEAD") or not key:
            return answer
        denied = iam_evaluator.enforce(
            router.extract_access_key_id(headers, query),
            "s3:ListBucket",
            "s3",
            get_region(),
            resource_arn=f"arn:aws:s3:::{bucket}",
            service_context={"s3:prefix": key},
        )
        if not denied:
            return answer
        status, its_headers, its_body = s3._error("AccessDenied", "Access Denied", 403)
        return status, its_headers, b"" if method == "HEAD" else its_body

    return handle
