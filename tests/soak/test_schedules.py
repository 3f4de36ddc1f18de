"""Many runs at once, each with mishaps of its own, and nothing lost, nothing paid twice in any of them.

make test                                    two hundred schedules
make soak                                    a thousand schedules
SOAK_SEED=1234 pytest tests/soak             one of them again: its draw is the same, the moment of a thread is not
SOAK_SCHEDULES=50 SOAK_FIRST=7000 pytest …   fifty that nobody has seen
"""

import json
import os
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.bedrock.config import FAULTS
from tests.e2e import batch as batch_module
from tests.e2e.batch import Batch
from tests.soak.complaints import TOKEN_BEGINS, complaints
from tests.soak.draws import draw
from tests.soak.lost_source import source_files
from tests.soak.play import play
from tests.soak.schedules import ANSWERS, FORBIDDEN, REFUSED_CREATE, Schedule

AT_ONCE = int(os.environ.get("SOAK_AT_ONCE", "12"))
CHUNK = 200
"""So many schedules share one list of fault rules: a change of rules starts their counts anew."""

if "SOAK_SEED" in os.environ:
    SEEDS = [int(os.environ["SOAK_SEED"])]
else:
    FIRST = int(os.environ.get("SOAK_FIRST", "0"))
    SEEDS = list(range(FIRST, FIRST + int(os.environ.get("SOAK_SCHEDULES", "200"))))

Verdicts = dict[int, list[str]]


@pytest.fixture(scope="module")
def verdicts(batch: Batch) -> Iterator[Verdicts]:
    """What is wrong with the end of each seed's run: nothing, it is to be hoped."""
    found: Verdicts = {}
    engine = batch.engine
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_module, "PATIENCE_SECONDS", 600)  # a dozen runs share the machine
        engine.configure(seconds_per_status=0.05, concurrent_jobs=AT_ONCE, answers=ANSWERS)
        engine.wait_scale(0.04)
        for at in range(0, len(SEEDS), CHUNK):
            found |= play_all(batch, [draw(seed) for seed in SEEDS[at : at + CHUNK]])
        yield found
    engine.configure(seconds_per_status=0.2, concurrent_jobs=100, faults=[], answers=[])
    engine.fail([])
    engine.wait_scale(0.05)


def play_all(batch: Batch, schedules: list[Schedule]) -> Verdicts:
    seeds = [schedule.seed for schedule in schedules]
    throttled = {"fail_invoke": {"error": "ThrottlingException", "times": 3}}
    rules = [rule for schedule in schedules for rule in schedule.bedrock_rules()]
    batch.engine.configure(faults=[*rules, throttled])
    batch.engine.fail([rule for schedule in schedules for rule in schedule.service_rules(batch.root)])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(seeds, pool.map(lambda schedule: judged(batch, schedule), schedules), strict=True))


def judged(batch: Batch, schedule: Schedule) -> list[str]:
    try:
        return complaints(play(batch, schedule, schedule.run_id))
    except Exception:  # it must not take the verdicts of the others along
        return [traceback.format_exc()]


def execution_arn(batch: Batch, seed: int) -> str:
    machine: str = batch.outputs["run_state_machine_arn"]
    return f"{machine.replace(':stateMachine:', ':execution:')}:{draw(seed).run_id}"


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_is_paid_twice(verdicts: Verdicts, seed: int) -> None:
    found = verdicts[seed]
    assert not found, "\n".join([f"SOAK_SEED={seed} pytest tests/soak", str(draw(seed)), *found])


def test_no_task_token_was_logged(verdicts: Verdicts, batch: Batch) -> None:
    assert TOKEN_BEGINS in history_of_a_job(batch, execution_arn(batch, SEEDS[0])), "tokens begin otherwise"
    groups = [group["logGroupName"] for group in batch.logs.describe_log_groups()["logGroups"]]
    leaks = [
        event["message"]
        for group in groups
        for page in batch.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        for event in page["events"]
        if TOKEN_BEGINS in event["message"]
    ]
    assert not leaks, leaks[:3]


def test_no_event_was_left_undelivered(verdicts: Verdicts, batch: Batch) -> None:
    url = batch.outputs["undelivered_events_queue_url"].replace("localhost", "127.0.0.1")
    attributes = batch.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_faults_happen(verdicts: Verdicts, batch: Batch) -> None:
    """Most of the drawn faults of calls meet a call; a rule whose words match nothing proves nothing."""
    fired = [rule["fired"] > 0 for rule in batch.engine.faults()]
    assert not fired or len(SEEDS) < 20 or sum(fired) > len(fired) / 2


def test_sources_are_lost_in_time(verdicts: Verdicts, batch: Batch) -> None:
    """Most of them while their run goes on: later nobody could need them."""
    found = {item: batch.s3.head_object(Bucket=batch.bucket, Key=item) for item in batch.keys("datasets/soak/")}
    lost = []
    for seed in (seed for seed in SEEDS if draw(seed).source_loss):
        schedule = draw(seed)
        key, body = next(iter(source_files(schedule, schedule.run_id, schedule.table()).items()))
        table = found.get(key)
        lost.append(table is None or table.get("StorageClass") == "GLACIER" or table["ContentLength"] != len(body))
    assert len(lost) < 10 or sum(lost) > len(lost) / 2


def test_seeds_draw_the_same_again_and_all_there_is_between_them() -> None:
    schedules = [draw(seed) for seed in range(200)]
    assert schedules == [draw(seed) for seed in range(200)]
    drawn = {fault for schedule in schedules for _, _, faults in schedule.job_faults for fault in faults}
    assert drawn == FAULTS - {"fail_invoke"}, "that one knows no job: it is set for all"
    assert {rule["service"] for schedule in schedules for rule in schedule.call_faults} == {
        "s3",
        "dynamodb",
        "lambda",
        "states",
    }
    assert {len(schedule.stops) for schedule in schedules} == {0, 1, 2, 3}
    assert {len(schedule.models) for schedule in schedules} == {1, 2}
    retries = [schedule for schedule in schedules if schedule.cut_every]
    assert any(stop.round for schedule in retries for stop in schedule.stops), "stopped in the middle of a retry"
    for some in (schedules, retries):
        assert any(schedule.canary for schedule in some)
        assert any(schedule.refusals for schedule in some)
    for some in (schedules, [one for one in schedules if one.stops], [one for one in schedules if one.may_break]):
        assert {one.source_loss and one.source_loss.how for one in some} == {"overwritten", "deleted", "archived", None}
    for round_ in (0, 1):
        refused = str([faults for one in schedules for at, _, faults in one.job_faults if at == round_])
        assert all(words in refused for words in (FORBIDDEN, "AccessDenied", REFUSED_CREATE, "of no use"))
    assert {schedule.form for schedule in schedules} == {"jsonl", "folders", "csv", "parquet"}
    assert any(schedule.may_break for schedule in schedules)
    assert min(schedule.rows for schedule in schedules) < 100 < max(schedule.rows for schedule in schedules)


def history_of_a_job(batch: Batch, arn: str) -> str:
    """Return the histories of a run's children, as text."""
    texts: list[str] = []
    for run in batch.sfn.list_map_runs(executionArn=arn)["mapRuns"]:
        for child in batch.sfn.list_executions(mapRunArn=run["mapRunArn"])["executions"]:
            events: list[Any] = batch.sfn.get_execution_history(executionArn=child["executionArn"])["events"]
            texts.append(json.dumps(events, default=str))
    return "\n".join(texts)
