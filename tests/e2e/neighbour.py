"""A second installation in the bucket of the first. Tests may deploy it again, or create its machine again."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local.process import Engine
from local.provision import Deployment
from tests.e2e.batch import Batch

NEIGHBOUR = "e2e-next"
"""Its name begins with the first installation's name, so rules and roles that match too much would be noticed."""


class Neighbour:
    """An installation that is applied at once. `batch` is the present version of it."""

    def __init__(self, engine: Engine, deployment: Deployment) -> None:
        self.deployment = deployment
        self.batch = Batch(engine, deployment.apply())

    def deploy(self, other: Deployment) -> None:
        """Apply another version of the module in place of the one before."""
        mine = self.deployment
        self.deployment = dataclasses.replace(
            other, work=mine.work, url=mine.url, variables={**mine.variables, **other.variables}
        )
        self.deployment.apply()

    def make_machine_anew(self) -> None:
        """Replace the machine of runs: its executions end and are forgotten, and their names may be used again."""
        place = 'module.batch.aws_sfn_state_machine.this["run"]'
        self.deployment.call("apply", "-input=false", "-auto-approve", f"-replace={place}")


@dataclass(frozen=True)
class Attempt:
    """An execution that was started under a taken name. `stop` is the state in which its stop-run machine ended."""

    status: str
    error: str
    message: str
    stop: str

    @property
    def was_refused(self) -> bool:
        return (self.status, self.error, self.stop) == ("FAILED", "RunNameTaken", "Not the run of this name")


def try_name(batch: Batch, run_id: str, run_input: Any, *, machine: str = "") -> Attempt:
    """Start a run under a taken name. `machine` is a copy of the run state machine.

    No event rule matches the copy, so stop-run is started here, with the input that the event would give.
    """
    machine_arn = machine or batch.outputs["run_state_machine_arn"]
    arn = batch.sfn.start_execution(stateMachineArn=machine_arn, name=run_id, input=json.dumps(run_input))
    ended = batch.wait(arn["executionArn"])
    started = round(arn["startDate"].timestamp() * 1000)
    detail = {"executionArn": arn["executionArn"], "name": run_id, "startDate": started}
    if machine:
        stop_machine = batch.outputs["stop_run_state_machine_arn"]
        batch.sfn.start_execution(stateMachineArn=stop_machine, input=json.dumps({"detail": detail}))
    message = json.loads(ended.cause)["errorMessage"] if ended.cause.startswith("{") else ended.cause
    return Attempt(ended.status, ended.error, message, batch.states(batch.stop_of(**detail))[-1])


@contextlib.contextmanager
def copy_of_machine(batch: Batch) -> Iterator[str]:
    """Create a copy of the run state machine and yield its ARN. Its executions have other ARNs."""
    machine = batch.sfn.describe_state_machine(stateMachineArn=batch.outputs["run_state_machine_arn"])
    arn: str = batch.sfn.create_state_machine(
        name=f"{machine['name']}-copy", definition=machine["definition"], roleArn=machine["roleArn"]
    )["stateMachineArn"]
    yield arn
    batch.sfn.delete_state_machine(stateMachineArn=arn)


def everything_of(batch: Batch, run_id: str) -> dict[str, Any]:
    """Return everything that exists of a run, for comparison: objects, inventory items, Bedrock jobs."""
    found: dict[str, Any] = dict(batch.inventory(run_id))
    for kind in ("claims", "work", "output", "reports"):
        for page in batch.s3.get_paginator("list_object_versions").paginate(
            Bucket=batch.bucket, Prefix=f"{batch.root}/{kind}/{run_id}"
        ):
            found |= {(item["Key"], item["VersionId"]): item["ETag"] for item in page.get("Versions", ())}
    jobs = [key.removeprefix("job/") for key in found if str(key).startswith("job/")]
    for name in jobs:
        listed = batch.bedrock.list_model_invocation_jobs(nameContains=name)["invocationJobSummaries"]
        found[f"at Bedrock: {name}"] = [job["status"] for job in listed]
    return found
