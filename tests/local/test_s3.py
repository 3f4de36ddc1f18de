"""S3 on the local AWS: conditional writes, and answers for a missing object."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from local.process import Engine
from tests.local.conftest import Aws
from tests.local.sfn_probe import BUCKET, Account, failed, prepare, task, with_role
from tests.local.test_access import allow

OBJECTS = f"arn:aws:s3:::{BUCKET}/*"
LIST = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"}
READ = {"Action": "s3:GetObject", "Resource": OBJECTS}


def claim(aws: Aws, body: str, key: str = "claims/monday.json") -> str:
    """Write an object that must not be there yet; return the code of the error, or nothing."""
    try:
        aws.s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode(), IfNoneMatch="*")
    except ClientError as error:
        status, code = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        return f"{status} {code}"
    return ""


@pytest.fixture
def bucket(aws: Aws) -> Aws:
    aws.s3.create_bucket(Bucket=BUCKET)
    return aws


def read(aws: Aws) -> str:
    text: str = aws.s3.get_object(Bucket=BUCKET, Key="claims/monday.json")["Body"].read().decode()
    return text


def test_an_object_that_is_there_is_not_written_over(bucket: Aws) -> None:
    assert claim(bucket, "first") == ""
    assert claim(bucket, "second") == "412 PreconditionFailed"
    assert claim(bucket, "first") == "412 PreconditionFailed", "the same bytes are no excuse"
    assert read(bucket) == "first"
    bucket.s3.delete_object(Bucket=BUCKET, Key="claims/monday.json")
    assert claim(bucket, "third") == ""


def test_of_those_that_write_at_once_one_wins(bucket: Aws) -> None:
    begin = threading.Barrier(8)

    def compete(number: int) -> str:
        begin.wait()
        return claim(bucket, str(number))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(compete, range(8)))
    assert sorted(answers) == ["", *["412 PreconditionFailed"] * 7]
    assert read(bucket) == str(answers.index(""))


def test_a_conditional_write_may_meet_another_one(engine: Engine, bucket: Aws) -> None:
    """S3 answers 409 if two writes overlap. The object may or may not exist then."""
    for after in (False, True):
        key = f"claims/{after}.json"
        rule = {"service": "s3", "operation": "PutObject", "error": "ConditionalRequestConflict", "after": after}
        engine.fail([rule])
        assert claim(bucket, "x", key) == "409 ConditionalRequestConflict"
        engine.fail([])
        assert claim(bucket, "y", key) == ("412 PreconditionFailed" if after else "")


# --- With IAM enforced ---


def test_who_may_not_list_a_key_does_not_see_that_it_is_missing(guarded: Engine) -> None:
    guarded.reset()
    account = Account(guarded.url)
    prepare(account)
    claims = LIST | {"Condition": {"StringLike": {"s3:prefix": "claims/*"}}}
    states = "states.amazonaws.com"
    callers = {
        "nothing": with_role(account, "reader", states, READ),
        "all": with_role(account, "lister", states, READ, LIST),
        "claims": with_role(account, "lister-of-claims", states, READ, claims),
    }

    def ends(key: str) -> dict[str, str]:
        call = task("aws-sdk:s3:getObject", {"Bucket": BUCKET, "Key": key})
        return {name: failed(caller.run({"A": call})) for name, caller in callers.items()}

    missing, hidden = "S3.NoSuchKeyException", "S3.AccessDeniedException"
    assert ends("claims/monday.json") == {"nothing": hidden, "all": missing, "claims": missing}
    assert ends("work/monday.json") == {"nothing": hidden, "all": missing, "claims": hidden}
    account.client("s3").put_object(Bucket=BUCKET, Key="claims/monday.json", Body=b"{}")
    call = task("aws-sdk:s3:getObject", {"Bucket": BUCKET, "Key": "claims/monday.json"})
    assert [caller.result({"A": call})["Body"] for caller in callers.values()] == ["{}"] * 3


def test_a_head_request_is_told_no_more(guarded: Engine) -> None:
    guarded.reset()
    aws = Aws(guarded.url)
    aws.s3.create_bucket(Bucket=BUCKET)
    client = aws.as_user("s3", allow(OBJECTS, "s3:GetObject"))
    with pytest.raises(ClientError) as error:
        client.head_object(Bucket=BUCKET, Key="nowhere")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize(
    ("entries", "allowed"),
    [
        ([("bedrock-batch", "Bedrock Batch Run Ended")], True),
        ([("other", "Bedrock Batch Run Ended")], False),
        ([("bedrock-batch", "Other")], False),
        ([("bedrock-batch", "Bedrock Batch Run Ended"), ("other", "Bedrock Batch Run Ended")], False),
    ],
)
def test_a_policy_may_name_the_events_that_are_put(
    guarded: Engine, entries: list[tuple[str, str]], allowed: bool
) -> None:
    guarded.reset()
    condition = {"events:source": "bedrock-batch", "events:detail-type": "Bedrock Batch Run Ended"}
    put = {
        "Action": "events:PutEvents",
        "Resource": "arn:aws:events:us-east-1:000000000000:event-bus/default",
        "Condition": {"StringEquals": condition},
    }
    caller = with_role(Account(guarded.url), "caller", "states.amazonaws.com", put)
    listed = [{"Source": source, "DetailType": kind, "Detail": {"name": "monday"}} for source, kind in entries]
    end = caller.run({"A": task("events:putEvents", {"Entries": listed})})
    if allowed:
        assert json.loads(end["output"])["FailedEntryCount"] == 0
    else:
        assert failed(end) == "EventBridge.AccessDeniedException"
