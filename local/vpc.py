"""Check the subnets and security groups of a function or a job: they must exist, and the role may use them.

MiniStack takes any ids, and looks at no role. Lambda refuses both when a function is created or changed, as AWS does.
Of jobs AWS documents what the role needs and not when it is missed: here the job fails when it is validated. Roles are
looked at only when the engine enforces IAM (`AUTH=true`).
"""

from collections.abc import Callable, Iterable
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import ec2, lambda_svc

from local.roles import Need, lacks

Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Put the checks into the engine."""
    lambda_svc._create_function = _checking_create(lambda_svc._create_function)
    lambda_svc._update_config = _checking_update(lambda_svc._update_config)


# --- Functions ---


def _checking_create(create: Callable[[dict[str, Any]], Answer]) -> Any:
    def creating(data: dict[str, Any]) -> Answer:
        return _refusal(data.get("VpcConfig"), str(data.get("Role", ""))) or create(data)

    return creating


def _checking_update(update: Callable[[str, dict[str, Any]], Answer]) -> Any:
    def updating(name: str, data: dict[str, Any]) -> Answer:
        config = (lambda_svc._functions.get(name) or {}).get("config", {})
        return _refusal(data.get("VpcConfig"), str(data.get("Role", config.get("Role", "")))) or update(name, data)

    return updating


def _refusal(vpc: dict[str, Any] | None, role_arn: str) -> Answer | None:
    if not vpc or not vpc.get("SubnetIds"):
        return None
    subnets, groups = vpc["SubnetIds"], vpc.get("SecurityGroupIds") or []
    message = missing(subnets, groups) or _of_action(lacks(role_arn, _of_function(subnets, groups)))
    if not message:
        return None
    refusal: Answer = error_response_json("InvalidParameterValueException", message, 400)
    return refusal


def _of_action(need: Need | None) -> str:
    name = need[0].removeprefix("ec2:") if need else ""
    return f"The provided execution role does not have permissions to call {name} on EC2" if name else ""


def _of_function(subnets: Iterable[str], groups: Iterable[str]) -> list[Need]:
    interfaces = arn("network-interface/*")
    return [
        ("ec2:DescribeNetworkInterfaces", "*", {}),
        ("ec2:DescribeSubnets", "*", {}),
        *(("ec2:CreateNetworkInterface", place, {}) for place in [interfaces, *_places(subnets, groups)]),
        ("ec2:DeleteNetworkInterface", interfaces, {}),
        ("ec2:AssignPrivateIpAddresses", interfaces, {}),
        ("ec2:UnassignPrivateIpAddresses", interfaces, {}),
    ]


# --- Jobs ---


def problem_of_job(vpc: dict[str, Any], role_arn: str, job_arn: str) -> str:
    """Return why a job cannot use its `vpcConfig`, or nothing."""
    subnets, groups = vpc["subnetIds"], vpc["securityGroupIds"]
    need = lacks(role_arn, _of_job(subnets, groups, job_arn))
    return missing(subnets, groups) or (f"The role {role_arn} lacks {need[0]} on {need[1]}" if need else "")


def _of_job(subnets: Iterable[str], groups: Iterable[str], job_arn: str) -> list[Need]:
    described = ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
    handled = ("CreateNetworkInterfacePermission", "DeleteNetworkInterface", "DeleteNetworkInterfacePermission")
    interfaces = arn("network-interface/*")
    tags = {"BedrockManaged": "true", "BedrockModelInvocationJobArn": job_arn}
    asked = {f"aws:requesttag/{key.lower()}": value for key, value in tags.items()} | {"aws:tagkeys": list(tags)}
    tagged = {f"ec2:resourcetag/{key.lower()}": value for key, value in tags.items()}
    return [
        *((f"ec2:Describe{name}", "*", {}) for name in described),
        *(("ec2:CreateNetworkInterface", place, asked) for place in [interfaces, *_places(subnets, groups)]),
        ("ec2:CreateTags", interfaces, asked | {"ec2:createaction": "CreateNetworkInterface"}),
        *(
            (f"ec2:{name}", interfaces, tagged | {"ec2:subnet": arn(f"subnet/{subnet}")})
            for name in handled
            for subnet in subnets
        ),
    ]


# --- Both ---


def missing(subnets: Iterable[str], groups: Iterable[str]) -> str:
    """Return EC2's sentence for the first id that does not exist, or nothing."""
    ec2._ensure_defaults_initialized()
    known = {"subnet ID": (subnets, ec2._subnets), "security group": (groups, ec2._security_groups)}
    for kind, (ids, held) in known.items():
        for one in ids:
            if held.get(one) is None:
                return f"The {kind} '{one}' does not exist"
    return ""


def arn(resource: str) -> str:
    return f"arn:aws:ec2:{get_region()}:{get_account_id()}:{resource}"


def _places(subnets: Iterable[str], groups: Iterable[str]) -> list[str]:
    return [*(arn(f"subnet/{one}") for one in subnets), *(arn(f"security-group/{one}") for one in groups)]
