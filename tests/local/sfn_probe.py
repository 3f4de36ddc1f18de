"""An account on the local AWS for the tests of Step Functions: clients, and short methods for machines and runs."""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

TABLE = "probes"
BUCKET = "probes"
ROLE = "arn:aws:iam::000000000000:role/probes"
THROW = {"Type": "Fail", "Error": "Boom", "Cause": "on purpose"}
_numbers = itertools.count(1)

Json = dict[str, Any]


@dataclass(frozen=True)
class Account:
    """The services behind one URL."""

    url: str
    access_key: str = "test"
    secret_key: str = "test"
    role: str = ROLE

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        return _client(service, self.url, self.access_key, self.secret_key)

    @property
    def sfn(self) -> Any:
        """The Step Functions client."""
        return self.client("stepfunctions")

    def machine(self, states: Json, *, kind: str = "STANDARD", **more: Any) -> str:
        """Create a state machine whose first state is the first given; `more` goes to CreateStateMachine."""
        timeout = {"TimeoutSeconds": more.pop("timeout")} if "timeout" in more else {}
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **timeout}
        name = f"probe-{next(_numbers)}"
        arn: str = self.sfn.create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=self.role, type=kind, **more
        )["stateMachineArn"]
        return arn

    def start(self, states: Json, value: Any = None, **more: Any) -> str:
        """Create a machine, start it and return the ARN of the execution."""
        arn: str = self.sfn.start_execution(
            stateMachineArn=self.machine(states, **more), input=json.dumps({} if value is None else value)
        )["executionArn"]
        return arn

    def run(self, states: Json, value: Any = None, **more: Any) -> Json:
        """Create a machine, run it and return the description of the ended execution."""
        return self.ended(self.start(states, value, **more))

    def result(self, states: Json, value: Any = None, **more: Any) -> Any:
        """Run to the end and return the output; the run must succeed."""
        end = self.run(states, value, **more)
        assert end["status"] == "SUCCEEDED", end
        return json.loads(end["output"])

    def ended(self, arn: str) -> Json:
        """Wait for the end of an execution and describe it."""
        end: Json = until(lambda: self.sfn.describe_execution(executionArn=arn), lambda e: e["status"] != "RUNNING")
        return end

    def events(self, arn: str) -> list[Json]:
        """Return the first 1,000 events of an execution."""
        events: list[Json] = self.sfn.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return events

    def map_run(self, arn: str) -> Json:
        """Describe the only Map Run of an execution, once there is one."""
        runs = until(lambda: self.sfn.list_map_runs(executionArn=arn)["mapRuns"], bool)
        description: Json = self.sfn.describe_map_run(mapRunArn=runs[0]["mapRunArn"])
        return description

    def children(self, arn: str) -> list[Json]:
        """Return the child executions of the only Map Run of an execution."""
        found: list[Json] = self.sfn.list_executions(mapRunArn=self.map_run(arn)["mapRunArn"])["executions"]
        return found

    def token(self, key: str) -> str:
        """Wait for a task token stored by `park(key)` and return it."""
        table = self.client("dynamodb")
        item = until(
            lambda: table.get_item(TableName=TABLE, Key={"pk": {"S": key}}).get("Item"),
            lambda item: item is not None and "token" in item,
        )
        token: str = item["token"]["S"]
        return token

    def items(self, key: str, items: list[Any]) -> None:
        """Store JSON lines as an object of the bucket."""
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body="\n".join(map(json.dumps, items)))

    def object(self, key: str) -> str:
        """Return the text of an object of the bucket."""
        text: str = self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
        return text


@cache
def _client(service: Any, url: str, access_key: str, secret_key: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(retries={"total_max_attempts": 1}, proxies={}, s3={"addressing_style": "path"}),
    )


def until(read: Callable[[], Any], enough: Callable[[Any], bool], *, seconds: float = 15) -> Any:
    """Read again until the value passes a check, and return it."""
    deadline = time.monotonic() + seconds
    while not enough(value := read()):
        assert time.monotonic() < deadline, f"still {value} after {seconds} s"
        time.sleep(0.02)
    return value


def task(resource: str, arguments: Any, **more: Any) -> Json:
    """Return a Task state that ends its chain, unless `more` has a Next."""
    end = {} if "Next" in more else {"End": True}
    return {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Arguments": arguments, **end, **more}


def give(output: Any, **more: Any) -> Json:
    """Return a Pass state that ends its chain, unless `more` has a Next."""
    end = {} if "Next" in more else {"End": True}
    return {"Type": "Pass", "Output": output, **end, **more}


def endless() -> Json:
    """Return states that run until the history is full."""
    choices = [{"Condition": "{% false %}", "Next": "Out"}]
    return {
        "Spin": {"Type": "Choice", "Choices": choices, "Default": "Spin"},
        "Out": {"Type": "Succeed"},
    }


def put(key: str, resource: str = "aws-sdk:dynamodb:updateItem", **more: Any) -> Json:
    """Return a Task state that writes an item which must not exist yet."""
    return task(
        resource,
        {
            "TableName": TABLE,
            "Key": {"pk": {"S": key}},
            "UpdateExpression": "SET v = :v",
            "ConditionExpression": "attribute_not_exists(pk)",
            "ExpressionAttributeValues": {":v": {"S": "x"}},
            "ReturnValues": "ALL_NEW",
        },
        **more,
    )


def park(key: str, **more: Any) -> Json:
    """Return a Task state that stores its token under a key and waits. The key may be a JSONata expression."""
    return task(
        "aws-sdk:dynamodb:updateItem.waitForTaskToken",
        {
            "TableName": TABLE,
            "Key": {"pk": {"S": key}},
            "UpdateExpression": "SET #t = :t",
            "ExpressionAttributeNames": {"#t": "token"},
            "ExpressionAttributeValues": {":t": {"S": "{% $states.context.Task.Token %}"}},
        },
        **more,
    )


def distributed(states: Json, items: str | None = None, *, execution_type: str = "STANDARD", **more: Any) -> Json:
    """Return a Distributed Map over JSON lines of the bucket, or over the input; the first state starts a child."""
    reader = (
        {
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSONL"},
                "Arguments": {"Bucket": BUCKET, "Key": items},
            }
        }
        if items
        else {}
    )
    end = {} if "Next" in more else {"End": True}
    return {
        "Type": "Map",
        "Label": "Jobs",
        **reader,
        **end,
        **more,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": execution_type},
            "StartAt": next(iter(states)),
            "States": states,
        },
    }


def prepare(account: Account) -> None:
    """Create the table and the bucket."""
    account.client("s3").create_bucket(Bucket=BUCKET)
    account.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )


def with_role(account: Account, name: str, service: str, *statements: dict[str, Any]) -> Account:
    """Return the account with a role for its machines that `service` may assume, with these statements."""
    iam = account.client("iam")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    policy = {"Statement": [{"Effect": "Allow", **statement} for statement in statements]}
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
    return replace(account, role=role)


def failed(end: dict[str, Any]) -> str:
    """Return the error of an execution that failed."""
    assert end["status"] == "FAILED", end
    return str(end["error"])


def queue_of_events(account: Account, source: str) -> str:
    """Return the URL of a queue that receives every event of a source."""
    name = f"events-of-{source.replace('.', '-')}"
    url: str = account.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    events = account.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:us-east-1:000000000000:{name}"}])
    return url


def received(account: Account, queue: str, count: int) -> list[str]:
    """Return the bodies of at least that many messages."""
    bodies: list[str] = []

    def receive() -> int:
        answer = account.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        bodies.extend(message["Body"] for message in answer.get("Messages", []))
        for message in answer.get("Messages", []):
            account.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(bodies)

    until(receive, lambda received: received >= count)
    return bodies
