"""Play a schedule against the applied module, with all its stops, redrives and faults."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.batch import Batch, Ended
from tests.e2e.neighbour import Attempt, try_name
from tests.soak.lost_source import lose_source, source_files, source_uri
from tests.soak.played import Played
from tests.soak.schedules import Schedule

_STOP_SECONDS = 300


def play(batch: Batch, schedule: Schedule, copy: str) -> Played:
    """Run a schedule to its end, with its stops and redrives. Its fault rules must be in force.

    `copy` is the machine whose executions try to take the name of the run.
    """
    started, run_id = time.monotonic(), schedule.run_id
    for key, body in source_files(schedule, run_id, schedule.table()).items():
        batch.upload(key.removeprefix("datasets/"), body)
    run_input = schedule.run_input(source_uri(schedule, batch.bucket, run_id))
    arn = batch.start(run_id, run_input)
    over, attempts = Event(), list[Attempt]()

    def try_again() -> None:
        if schedule.again is not None:
            while not batch.keys(f"{batch.root}/claims/{run_id}.json"):
                time.sleep(0.2)
            over.wait(schedule.again)
            attempts.append(try_name(batch, run_id, run_input, machine=copy))

    with ThreadPoolExecutor(2) as pool:
        others = [pool.submit(lose_source, batch, schedule, run_id, over), pool.submit(try_again)]
        try:
            if schedule.plan_dies:
                ended = batch.wait(arn)
                assert ended.error == "Runtime.ExitError", ended
                attempts.append(try_name(batch, run_id, run_input, machine=copy))
                batch.sfn.redrive_execution(executionArn=arn)
            ended, salvaged = _to_the_end(batch, schedule, run_id, arn)
        finally:
            over.set()
        for other in others:
            other.result()
    seconds = time.monotonic() - started
    _wait_for_stop_machine(batch, arn)
    return Played(schedule, batch, run_id, arn, ended, seconds, tuple(salvaged), tuple(attempts))


def _to_the_end(batch: Batch, schedule: Schedule, run_id: str, arn: str) -> tuple[Ended, list[dict[str, Any]]]:
    """Stop and redrive a run according to its schedule; return its end, and its report of each missing permission."""
    for stop in schedule.stops:
        _wait_for_round(batch, run_id, arn, stop.round)
        time.sleep(stop.seconds)
        if _status(batch, arn) != "RUNNING":
            break
        batch.sfn.stop_execution(executionArn=arn)
        time.sleep(stop.redriven)
        if _status(batch, arn) == "ABORTED":  # If not, the stop came too late.
            batch.sfn.redrive_execution(executionArn=arn)
            with suppress(ClientError):  # Another thread redrives it too, and is refused while it runs.
                batch.sfn.redrive_execution(executionArn=arn)
    ended = batch.wait(arn)
    salvaged: list[dict[str, Any]] = []
    # Every fault occurs only a limited number of times.
    while ended.error == "PermissionMissing" or (schedule.may_break and ended.error.startswith("States.")):
        if ended.error == "PermissionMissing":
            salvaged.append(_wait_for_salvage(batch, run_id, arn))
        else:
            time.sleep(schedule.seed % 4 / 2)
        batch.sfn.redrive_execution(executionArn=arn)
        ended = batch.wait(arn)
    return ended, salvaged


def _status(batch: Batch, arn: str) -> str:
    return str(batch.sfn.describe_execution(executionArn=arn)["status"])


def _wait_for_round(batch: Batch, run_id: str, arn: str, round_: int) -> None:
    """Wait until a round begins, or the run ends without it."""
    while (
        round_
        and not batch.keys(f"{batch.root}/work/{run_id}/jobs-{round_}.jsonl")
        and _status(batch, arn) == "RUNNING"
    ):
        time.sleep(0.2)


def _wait_for_salvage(batch: Batch, run_id: str, arn: str) -> dict[str, Any]:
    """Wait until stop-run has ended for a failed run, as the run's error asks people to do; return the report."""
    deadline = time.monotonic() + _STOP_SECONDS
    before = len(_salvages(batch, run_id))
    while len(_salvages(batch, run_id)) == before:
        assert time.monotonic() < deadline, f"{run_id} is not salvaged"
        time.sleep(0.2)
    _wait_for_stop_machine(batch, arn)
    for failed in _executions_of_stop_run(batch, arn, "FAILED"):  # A fault of the run's Map may hit that of stop-run.
        batch.sfn.redrive_execution(executionArn=failed)
    _wait_for_stop_machine(batch, arn)
    return batch.report(run_id)


def _salvages(batch: Batch, run_id: str) -> list[str]:
    """Return the manifests of the joins of stop-run: one for each time that stop-run ran for this run."""
    return [key for key in batch.keys(f"{batch.root}/work/{run_id}/results/salvage/") if key.endswith("/manifest.json")]


def _wait_for_stop_machine(batch: Batch, arn: str) -> None:
    """Wait for all executions of stop-run for this run, so that none of them changes its end later."""
    deadline = time.monotonic() + _STOP_SECONDS
    while any(_executions_of_stop_run(batch, arn, "RUNNING")):
        assert time.monotonic() < deadline, f"the stop machine of {arn} does not end"
        time.sleep(0.2)


def _executions_of_stop_run(batch: Batch, arn: str, status: str) -> Iterator[str]:
    """Yield the executions of stop-run for this run that have this status."""
    machine = batch.outputs["stop_run_state_machine_arn"]
    for one in batch.sfn.list_executions(stateMachineArn=machine, statusFilter=status)["executions"]:
        asked = batch.sfn.describe_execution(executionArn=one["executionArn"]).get("input", "")
        if f'"{arn}"' in asked:
            yield one["executionArn"]
