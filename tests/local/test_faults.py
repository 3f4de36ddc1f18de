"""Calls to S3, DynamoDB, Lambda and Step Functions fail when a rule says so, before or after their effect."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.process import Engine
from tests.local.bench import code_of
from tests.local.conftest import Aws
from tests.local.sfn_probe import Account, park, prepare, put
from tests.local.test_lambda import invoke, make_function


@pytest.fixture(autouse=True)
def no_faults_remain(engine: Engine) -> Iterator[None]:
    yield
    engine.fail([])


@pytest.fixture
def account(engine: Engine, aws: Aws) -> Account:
    """The tests' account in an empty engine, because other tests here reset the engine."""
    account = Account(engine.url)
    prepare(account)
    return account


def test_a_call_that_fails_by_itself_is_not_counted(engine: Engine, aws: Aws) -> None:
    aws.s3.create_bucket(Bucket="faults")
    engine.fail([{"service": "s3", "contains": "reviews/late", "error": "SlowDown", "after": True}])
    assert code_of(lambda: aws.s3.get_object(Bucket="faults", Key="reviews/late")) == "NoSuchKey"
    assert code_of(lambda: aws.s3.put_object(Bucket="faults", Key="reviews/late", Body=b"1")) == "SlowDown"
    assert aws.s3.get_object(Bucket="faults", Key="reviews/late")["Body"].read() == b"1"


def test_s3_fails_so_often_and_only_where_the_key_fits(engine: Engine, aws: Aws) -> None:
    aws.s3.create_bucket(Bucket="faults")
    aws.s3.put_object(Bucket="faults", Key="reviews/work/x/a b", Body=b"1")
    engine.fail(
        [
            {
                "service": "s3",
                "operation": "GetObject",
                "contains": "reviews/work/x/a b",
                "error": "SlowDown",
                "times": 2,
            },
            {"service": "s3", "operation": "ListObjectsV2", "contains": "reviews/work/x", "error": "InternalError"},
            {"service": "s3", "operation": "HeadObject", "error": "ServiceUnavailable"},
            {"service": "s3", "operation": "UploadPart", "error": "InternalError"},
        ]
    )
    assert [code_of(lambda: aws.s3.get_object(Bucket="faults", Key="reviews/work/x/a b")) for _ in range(2)] == [
        "SlowDown"
    ] * 2
    assert aws.s3.get_object(Bucket="faults", Key="reviews/work/x/a b")["Body"].read() == b"1"
    aws.s3.list_objects_v2(Bucket="faults", Prefix="reviews/work/y")
    assert code_of(lambda: aws.s3.list_objects_v2(Bucket="faults", Prefix="reviews/work/x/")) == "InternalError"
    assert code_of(lambda: aws.s3.head_object(Bucket="faults", Key="reviews/work/x/a b")) == "503"
    upload = aws.s3.create_multipart_upload(Bucket="faults", Key="big")["UploadId"]
    part = {"Bucket": "faults", "Key": "big", "UploadId": upload, "PartNumber": 1, "Body": b"2"}
    assert code_of(lambda: aws.s3.upload_part(**part)) == "InternalError"
    assert aws.s3.upload_part(**part)["ETag"]
    assert [rule["fired"] for rule in engine.faults()] == [2, 1, 1, 1]


def test_a_put_that_took_effect_and_seems_to_have_failed(engine: Engine, aws: Aws) -> None:
    aws.s3.create_bucket(Bucket="faults")
    engine.fail([{"service": "s3", "operation": "PutObject", "error": "InternalError", "after": True}])
    assert code_of(lambda: aws.s3.put_object(Bucket="faults", Key="k", Body=b"there")) == "InternalError"
    assert aws.s3.get_object(Bucket="faults", Key="k")["Body"].read() == b"there"


def test_dynamodb_throttles_an_item(engine: Engine, account: Account) -> None:
    engine.fail(
        [{"service": "dynamodb", "operation": "UpdateItem", "contains": "job/x-1", "error": "ThrottlingException"}]
    )
    dynamodb = account.client("dynamodb")

    def update(key: str) -> Any:
        return dynamodb.update_item(
            TableName="probes",
            Key={"pk": {"S": key}},
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
            ReturnValues="ALL_NEW",
        )

    update("job/x-2")
    with pytest.raises(ClientError, match="ThrottlingException"):
        update("job/x-1")
    assert update("job/x-1")["Attributes"]["n"] == {"N": "1"}


@pytest.mark.parametrize("error", ["Runtime.ExitError", "Runtime.OutOfMemory", "Sandbox.Timedout"])
def test_a_function_dies_before_or_after_its_work(engine: Engine, aws: Aws, error: str) -> None:
    make_function(aws)
    _, first = invoke(aws, {"run": "x"})
    engine.fail([{"service": "lambda", "operation": "Invoke", "contains": ["/f/", '"run": "x"'], "error": error}])
    kind, said = invoke(aws, {"run": "x"})
    assert (kind, said["errorType"]) == ("Unhandled", error)
    _, second = invoke(aws, {"run": "x"})
    assert second["calls"] == first["calls"] + 1, "the handler did not run"
    engine.fail([{"service": "lambda", "contains": "/f/", "error": error, "after": True}])
    assert invoke(aws, {"run": "x"})[0] == "Unhandled"
    _, third = invoke(aws, {"run": "x"})
    assert third["calls"] == second["calls"] + 2, "the handler did run"


def test_a_rule_may_name_the_function_that_is_called_apart_from_what_it_is_given(engine: Engine, aws: Aws) -> None:
    arn = make_function(aws)
    engine.fail([{"service": "lambda", "contains": f"/functions/{arn}", "error": "Runtime.ExitError"}])
    other = make_function(aws, "other")
    assert invoke(aws, {"call": arn}, other)[0] is None
    assert invoke(aws, {}, arn)[0] == "Unhandled"


def test_lambda_itself_fails_or_throttles(engine: Engine, aws: Aws) -> None:
    make_function(aws)
    engine.fail(
        [{"service": "lambda", "error": "ServiceException"}, {"service": "lambda", "error": "TooManyRequestsException"}]
    )
    codes = [code_of(lambda: invoke(aws, {})) for _ in range(2)]
    assert codes == ["ServiceException", "TooManyRequestsException"]
    assert invoke(aws, {})[0] is None


def test_faults_reach_states_under_the_names_that_a_retry_catches(engine: Engine, account: Account) -> None:
    engine.fail(
        [
            {
                "service": "dynamodb",
                "operation": "UpdateItem",
                "contains": "throttled",
                "error": "ProvisionedThroughputExceededException",
            }
        ]
    )
    retry = [{"ErrorEquals": ["DynamoDb.ProvisionedThroughputExceededException"], "IntervalSeconds": 1}]
    ended = account.run({"Put": put("throttled", Retry=retry, End=True)})
    assert ended["status"] == "SUCCEEDED", ended
    kinds = [event["type"] for event in account.events(ended["executionArn"])]
    assert kinds.count("TaskFailed") == 1


def test_an_answer_to_a_waiting_task_is_throttled_once_for_its_job(engine: Engine, account: Account) -> None:
    engine.fail(
        [{"service": "states", "operation": "SendTaskSuccess", "contains": "job-7", "error": "ThrottlingException"}]
    )
    arn = account.start({"Park": park("throttle", TimeoutSeconds=20)}, {"job_name": "job-7"})
    token = account.token("throttle")
    with pytest.raises(ClientError, match="ThrottlingException"):
        account.sfn.send_task_success(taskToken=token, output="{}")
    account.sfn.send_task_success(taskToken=token, output="{}")
    assert account.ended(arn)["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"service": "sqs", "error": "SlowDown"}], "service must be one of s3"),
        ([{"service": "s3", "error": "Boom"}], "error of s3 must be one of SlowDown"),
        ([{"service": "s3", "error": "SlowDown", "key": "k"}], "unknown key"),
        ({"service": "s3"}, "must be a list"),
    ],
)
def test_rules_are_checked(engine: Engine, rules: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        engine.fail(rules)


def test_a_reset_forgets_them(engine: Engine) -> None:
    engine.fail([{"service": "s3", "error": "SlowDown"}])
    engine.reset()
    assert engine.faults() == []
