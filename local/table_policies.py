"""The resource policy of a DynamoDB table, which MiniStack keeps and does not heed: a Deny refuses an item's deletion.

It holds for everybody, with IAM enforced and without, the account's root user among them. Only statements for all
principals are looked at, and of the condition keys `dynamodb:LeadingKeys`.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import dynamodb

Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Answer]]


def install(app: Any) -> None:
    """Put the rule into the engine."""
    app.SERVICE_HANDLERS["dynamodb"] = _heeding_policies(app.SERVICE_HANDLERS["dynamodb"])


def _heeding_policies(engines_own: Handler) -> Handler:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        if headers.get("x-amz-target", "").endswith(".DeleteItem"):
            request = json.loads(body or b"{}")
            name = str(request.get("TableName", "")).rpartition("/")[2]
            arn = f"arn:aws:dynamodb:{get_region()}:{get_account_id()}:table/{name}"
            if _denied(arn, dynamodb._tables.get(name), request):
                message = (
                    f"User: arn:aws:iam::{get_account_id()}:root is not authorized to perform: dynamodb:DeleteItem on "
                    f"resource: {arn} with an explicit deny in a resource-based policy"
                )
                refusal: Answer = error_response_json("AccessDeniedException", message, 400)
                return refusal
        return await engines_own(method, path, headers, body, query)

    return handle


def _denied(arn: str, table: Any, request: dict[str, Any]) -> bool:
    policy = dynamodb._resource_policies.get(arn)
    if not policy or not table:
        return False
    leading = next(iter(request.get("Key", {}).get(table["pk_name"], {}).values()), None)
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{get_account_id()}:root",
        principal_type="Root",
        principal_account=get_account_id(),
        action="dynamodb:DeleteItem",
        resource_arn=arn,
        region=get_region(),
        service_context={"dynamodb:leadingkeys": [leading]},
    )
    return bool(iam_evaluator.evaluate_resource_policy(policy["Policy"], context).decision == "Deny")
