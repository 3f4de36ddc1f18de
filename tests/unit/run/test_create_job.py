"""The request that creates a job, checked against botocore's model."""

from typing import Any

import pytest
from botocore.model import Shape
from botocore.session import get_session
from botocore.validate import ParamValidator

from bedrock_batch.run import create_job
from tests.unit.factories import make_run


def from_pascal_case(value: Any, shape: Shape) -> Any:
    """Translate Step Functions' member names into the API's; a name that the API lacks stays, and fails."""
    if shape.type_name == "structure":
        names = {name[0].upper() + name[1:]: name for name in shape.members}
        return {
            names.get(key, key): from_pascal_case(part, shape.members[names[key]]) if key in names else part
            for key, part in value.items()
        }
    if shape.type_name == "list":
        return [from_pascal_case(part, shape.member) for part in value]
    return value


NETWORK = {"subnet_ids": ["subnet-0123456789abcdef0"], "security_group_ids": ["sg-0123456789abcdef0"]}


@pytest.mark.parametrize(
    "run", [make_run(), make_run(kms_key_arn="arn:aws:kms:us-east-1:123456789012:key/k"), make_run(network=NETWORK)]
)
def test_create_job_fits_the_service_model(run: Any) -> None:
    request = create_job.create_job(
        run, job_name="reviews-0-r0-00000", input_key="reviews/work/monday/input/00000.jsonl"
    )
    operation = get_session().get_service_model("bedrock").operation_model("CreateModelInvocationJob")
    parameters = from_pascal_case(request, operation.input_shape)
    report = ParamValidator().validate(parameters, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert set(parameters) <= set(operation.input_shape.members)
    assert request["OutputDataConfig"]["S3OutputDataConfig"].get("S3EncryptionKeyId") == run.kms_key_arn
    assert ("VpcConfig" in request) == (run.network is not None)


def test_invocation_type_is_left_out_where_it_is_the_default() -> None:
    arguments = {"job_name": "j", "input_key": "k"}
    assert create_job.create_job(make_run(), **arguments)["ModelInvocationType"] == "Converse"
    assert "ModelInvocationType" not in create_job.create_job(make_run(invocation_type="InvokeModel"), **arguments)


def test_a_job_has_the_modules_tags_and_its_own() -> None:
    run = make_run(tags={"team": "reviews", "bedrock-batch:run": "forged"})
    request = create_job.create_job(
        run, job_name="reviews-0-r0-00000", input_key="reviews/work/monday/input/00000.jsonl"
    )
    assert request["Tags"] == [
        {"Key": "bedrock-batch:name", "Value": "reviews"},
        {"Key": "bedrock-batch:run", "Value": "monday"},
        {"Key": "team", "Value": "reviews"},
    ]
