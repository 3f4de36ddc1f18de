"""What a role may do. Its policies are looked at only when the engine enforces IAM (`AUTH=true`)."""

from collections.abc import Iterable
from typing import Any

from ministack import app
from ministack.core.iam_evaluator import EvalContext, _gather_role_policies, evaluate
from ministack.core.responses import get_account_id, get_region

Need = tuple[str, str, dict[str, Any]]
"""An action, the resource, and the condition keys that the service has for it."""


def lacks(role_arn: str, needs: Iterable[Need]) -> Need | None:
    """Return the first of these that a role may not do; None if it may do all, or if IAM is not enforced."""
    if not app.AUTH:
        return None
    policies = _gather_role_policies(role_arn.rsplit("/", 1)[-1], get_account_id())
    return next((need for need in needs if evaluate(context(role_arn, need), policies).decision != "Allow"), None)


def context(role_arn: str, need: Need) -> EvalContext:
    """Return a call of a role's session, as the engine's IAM judges it."""
    action, resource, keys = need
    return EvalContext(
        principal_arn=role_arn,
        principal_type="AssumedRole",
        principal_account=get_account_id(),
        action=action,
        resource_arn=resource,
        region=get_region(),
        service_context=dict(keys),
    )
