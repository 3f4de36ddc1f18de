"""The state machine of docs/from-step-functions.md starts a run and waits for it; its role has what the page names."""

import json
from typing import Any

import pytest

from tests.e2e.batch import Batch, client
from tests.unit.test_other_starters import blocks

pytestmark = pytest.mark.e2e

TRUST = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}


def filled(text: str, machine: str) -> str:
    """Put the ARNs of this account into a text of the page."""
    executions = machine.replace(":stateMachine:", ":execution:") + ":*"
    for word, value in (("RUN_STATE_MACHINE_ARN", machine), ("RUN_EXECUTIONS_ARN", executions)):
        text = text.replace(word, value)
    return text.replace("REGION:ACCOUNT", "us-east-1:000000000000")


def call(batch: Batch, name: str, policy: dict[str, Any], **value: Any) -> Any:
    """Run the machine of the page with a role that has this policy; return how it ended."""
    iam = client(batch.engine, "iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [TRUST]}))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="nested", PolicyDocument=json.dumps(policy))
    definition = filled(blocks("from-step-functions.md", "json")[0], batch.outputs["run_state_machine_arn"])
    machine = batch.sfn.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"]
    return batch.wait(
        batch.sfn.start_execution(stateMachineArn=machine, name=name, input=json.dumps(value))["executionArn"]
    )


def test_a_run_is_a_step_of_another_machine(batch: Batch) -> None:
    machine = batch.outputs["run_state_machine_arn"]
    policy = json.loads(filled(blocks("from-step-functions.md", "json")[1], machine))
    table = batch.upload("nested.csv", b"review\ngood\nbad\n")
    ended = call(batch, "nested", policy, table=table)
    assert ended.status == "SUCCEEDED", ended
    assert ended.output["rows"] == 2 and ended.output["output_uri"].endswith("/output/reviews-nested/")
    assert batch.table("reviews-nested").num_rows == 2

    without_rule = policy | {"Statement": policy["Statement"][:2]}
    assert "events:PutTargets" in call(batch, "nested-without-rule", without_rule, table=table).cause


def test_a_run_that_fails_says_why(batch: Batch) -> None:
    policy = json.loads(filled(blocks("from-step-functions.md", "json")[1], batch.outputs["run_state_machine_arn"]))
    ended = call(batch, "nested-fails", policy, table="s3://nowhere-at-all/t.csv")
    assert (ended.status, ended.error) == ("FAILED", "ReviewsNotScored")
    assert json.loads(ended.cause)["Error"] == "InputNotFound"
