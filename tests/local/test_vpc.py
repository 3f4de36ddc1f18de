"""Functions and jobs in a VPC: a missing subnet or group is refused, and so is an action that the role may not do."""

import io
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.process import Engine
from tests.local.bench import NOVA, Bench
from tests.local.conftest import ACCOUNT, Aws

SUBNETS, GROUPS = ["subnet-00000001", "subnet-00000002"], ["sg-00000001"]
"""The default subnets and groups, which every account has."""
EC2 = f"arn:aws:ec2:us-east-1:{ACCOUNT}"
PLACES = [
    f"{EC2}:network-interface/*",
    *(f"{EC2}:subnet/{one}" for one in SUBNETS),
    f"{EC2}:security-group/sg-00000001",
]
JOBS = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:model-invocation-job/*"

Statement = dict[str, Any]


def allow(resource: Any, *actions: str, **condition: Any) -> Statement:
    given: Statement = {"Effect": "Allow", "Action": [f"ec2:{action}" for action in actions], "Resource": resource}
    return given | ({"Condition": condition} if condition else {})


OF_A_FUNCTION = {
    "see": allow("*", "DescribeNetworkInterfaces", "DescribeSubnets"),
    "make": allow(PLACES, "CreateNetworkInterface"),
    "handle": allow(f"{EC2}:*/*", "DeleteNetworkInterface", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"),
}
OF_A_JOB = {
    "see": allow(
        "*",
        *(f"Describe{what}" for what in ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")),
    ),
    "make": allow(
        PLACES,
        "CreateNetworkInterface",
        StringEquals={"aws:RequestTag/BedrockManaged": "true"},
        ArnLike={"aws:RequestTag/BedrockModelInvocationJobArn": JOBS},
    ),
    "handle": allow(
        "*",
        "CreateNetworkInterfacePermission",
        "DeleteNetworkInterface",
        "DeleteNetworkInterfacePermission",
        ArnEquals={"ec2:Subnet": PLACES[1:3]},
        ArnLike={"ec2:ResourceTag/BedrockModelInvocationJobArn": JOBS},
    ),
    "tag": allow(
        PLACES[0],
        "CreateTags",
        **{
            "StringEquals": {"ec2:CreateAction": "CreateNetworkInterface"},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["BedrockManaged", "BedrockModelInvocationJobArn"]},
        },
    ),
}
S3 = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject", "s3:PutObject"], "Resource": "*"}


@pytest.fixture
def account(guarded: Engine) -> Aws:
    guarded.reset()
    guarded.configure(seconds_per_status=0.02, minimum_records=1)
    return Aws(guarded.url)


def make_function(aws: Aws, statements: list[Statement], subnets: list[str], groups: list[str]) -> None:
    role = aws.make_role("f", service="lambda.amazonaws.com", policy=statements or [S3])
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("f.py", "def handler(event, context): return event")
    getattr(aws, "lambda").create_function(
        FunctionName="f",
        Role=role,
        Runtime="python3.13",
        Handler="f.handler",
        Code={"ZipFile": package.getvalue()},
        VpcConfig={"SubnetIds": subnets, "SecurityGroupIds": groups},
    )


def test_a_function_whose_role_may_make_interfaces(account: Aws) -> None:
    make_function(account, list(OF_A_FUNCTION.values()), SUBNETS, GROUPS)
    shown = getattr(account, "lambda").get_function_configuration(FunctionName="f")["VpcConfig"]
    assert (shown["SubnetIds"], shown["SecurityGroupIds"]) == (SUBNETS, GROUPS)
    with pytest.raises(ClientError, match="The subnet ID 'subnet-gone' does not exist"):
        getattr(account, "lambda").update_function_configuration(
            FunctionName="f", VpcConfig={"SubnetIds": ["subnet-gone"], "SecurityGroupIds": GROUPS}
        )


@pytest.mark.parametrize("left_out", OF_A_FUNCTION)
def test_a_function_whose_role_lacks_something(account: Aws, left_out: str) -> None:
    statements = [statement for name, statement in OF_A_FUNCTION.items() if name != left_out]
    with pytest.raises(ClientError, match="execution role does not have permissions to call .* on EC2"):
        make_function(account, statements, SUBNETS, GROUPS)


@pytest.mark.parametrize(
    ("subnets", "groups", "message"),
    [(["subnet-gone"], GROUPS, "'subnet-gone' does not exist"), (SUBNETS, ["sg-gone"], "'sg-gone' does not exist")],
)
def test_a_function_in_a_network_that_is_not_there(
    account: Aws, subnets: list[str], groups: list[str], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        make_function(account, list(OF_A_FUNCTION.values()), subnets, groups)


def run_job(engine: Engine, aws: Aws, statements: list[Statement], subnets: list[str]) -> dict[str, Any]:
    aws.s3.create_bucket(Bucket="runs")
    role = aws.make_role("batch", service="bedrock.amazonaws.com", policy=[S3, *statements])
    bench = Bench(engine, aws, role, "")
    uri = bench.put([{"messages": [{"role": "user", "content": [{"text": "a"}]}]}])
    vpc = {"subnetIds": subnets, "securityGroupIds": GROUPS}
    return bench.end(bench.create(uri, model=NOVA, vpcConfig=vpc))


def test_a_job_whose_role_has_what_aws_documents(guarded: Engine, account: Aws) -> None:
    job = run_job(guarded, account, list(OF_A_JOB.values()), SUBNETS)
    assert (job["status"], job["vpcConfig"]) == (
        "Completed",
        {"subnetIds": SUBNETS, "securityGroupIds": GROUPS},
    )


@pytest.mark.parametrize("left_out", OF_A_JOB)
def test_a_job_whose_role_lacks_something(guarded: Engine, account: Aws, left_out: str) -> None:
    job = run_job(guarded, account, [one for name, one in OF_A_JOB.items() if name != left_out], SUBNETS)
    assert job["status"] == "Failed"
    assert "lacks ec2:" in job["message"]


def test_a_job_in_a_network_that_is_not_there(guarded: Engine, account: Aws) -> None:
    job = run_job(guarded, account, list(OF_A_JOB.values()), ["subnet-gone"])
    assert (job["status"], job["message"]) == ("Failed", "The subnet ID 'subnet-gone' does not exist")


def test_a_job_is_refused_with_more_subnets_than_bedrock_takes(account: Aws) -> None:
    with pytest.raises(ClientError, match="vpcConfig.subnetIds"):
        account.bedrock.create_model_invocation_job(
            jobName="j",
            modelId=NOVA,
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/batch",
            inputDataConfig={"s3InputDataConfig": {"s3Uri": "s3://runs/in/a.jsonl"}},
            outputDataConfig={"s3OutputDataConfig": {"s3Uri": "s3://runs/out/"}},
            vpcConfig={"subnetIds": [f"subnet-{number}" for number in range(17)], "securityGroupIds": GROUPS},
        )
