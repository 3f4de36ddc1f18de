"""Many runs at the same time, each with its own faults: nothing is lost and nothing is paid twice.

They belong to two installations in one bucket. One of these gets another version while runs go on. When its runs have
ended, its machine is deleted and created again, and the runs' names are used again.

make test                                    a hundred and fifty schedules
make soak                                    a thousand schedules
SOAK_SEED=1234 pytest tests/soak             one of them again: the draw is the same, the timing of threads is not
SOAK_SCHEDULES=50 SOAK_FIRST=7000 pytest …   fifty new ones
"""

import json
import os
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bedrock_batch.contracts.version import CONTRACT
from local.bedrock.config import FAULTS
from local.provision import Deployment
from tests.e2e import batch as batch_module
from tests.e2e.batch import Batch
from tests.e2e.neighbour import NEIGHBOUR, Neighbour, copy_of_machine, everything_of, try_name
from tests.e2e.test_deploy_twice import released
from tests.soak.complaints import TOKEN_BEGINS, complaints
from tests.soak.draws import draw
from tests.soak.lost_source import source_files, source_uri
from tests.soak.play import play
from tests.soak.schedules import ANSWERS, FORBIDDEN, REFUSED_CREATE, Schedule

AT_ONCE = int(os.environ.get("SOAK_AT_ONCE", "12"))
CHUNK = 200
"""The number of schedules that share one list of fault rules: if rules change, their counts start at 0 again."""

NAMES_USED_AGAIN = 10
"""The number of ended runs whose names are used again after the machine was created again."""

if "SOAK_SEED" in os.environ:
    SEEDS = [int(os.environ["SOAK_SEED"])]
else:
    FIRST = int(os.environ.get("SOAK_FIRST", "0"))
    SEEDS = list(range(FIRST, FIRST + int(os.environ.get("SOAK_SCHEDULES", "60"))))


@dataclass(slots=True)
class Soaked:
    """What is wrong with the end of each seed's runs, and the times of runs and deployments."""

    verdicts: dict[int, list[str]] = field(default_factory=lambda: {seed: [] for seed in SEEDS})
    spans: list[tuple[Schedule, float, float]] = field(default_factory=list)
    deploys: list[tuple[float, float]] = field(default_factory=list)

    def outlasted_a_deploy(self) -> list[Schedule]:
        return [
            schedule
            for schedule, began, ended in self.spans
            if schedule.installation == NEIGHBOUR
            and any(began < started and done < ended for started, done in self.deploys)
        ]


@pytest.fixture(scope="module")
def soaked(batch: Batch, neighbour: Neighbour, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soaked]:
    found = Soaked()
    engine = batch.engine
    versions = [released(tmp_path_factory.mktemp(f"contract-{one}"), one) for one in (CONTRACT + 1, CONTRACT)]
    batches = {"e2e": batch, NEIGHBOUR: neighbour.batch}
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(batch_module, "PATIENCE_SECONDS", 600)  # A dozen runs share this computer.
        engine.configure(seconds_per_status=0.05, concurrent_jobs=AT_ONCE, answers=ANSWERS)
        engine.wait_scale(0.04)
        places = {name: (one, stack.enter_context(copy_of_machine(one))) for name, one in batches.items()}
        for number, at in enumerate(range(0, len(SEEDS), CHUNK)):
            schedules = [draw(seed) for seed in SEEDS[at : at + CHUNK]]
            play_all(found, neighbour, versions[number % 2], places, schedules)
            use_names_again(found, neighbour, schedules)
        yield found
    engine.configure(seconds_per_status=0.2, concurrent_jobs=100, faults=[], answers=[])
    engine.fail([])
    engine.wait_scale(0.05)


def play_all(
    found: Soaked,
    neighbour: Neighbour,
    version: Deployment,
    places: dict[str, tuple[Batch, str]],
    schedules: list[Schedule],
) -> None:
    """Play schedules, each in its installation. Meanwhile, deploy another version of the neighbour."""
    other = {"e2e": NEIGHBOUR, NEIGHBOUR: "e2e"}
    plays = [
        each
        for one in schedules
        for each in (one, *([replace(one, installation=other[one.installation])] if one.twin else []))
    ]
    engine = neighbour.batch.engine
    throttled = {"fail_invoke": {"error": "ThrottlingException", "times": 3}}
    engine.configure(faults=[*(rule for one in plays for rule in one.bedrock_rules()), throttled])
    engine.fail([rule for one in plays for rule in one.service_rules(places[one.installation][0].root)])
    before = len(found.spans)

    def deploy() -> None:
        while len(found.spans) < before + len(plays) / 4:
            time.sleep(0.5)
        began = time.time()
        neighbour.deploy(version)
        found.deploys.append((began, time.time()))

    def judge(schedule: Schedule) -> None:
        began = time.time()
        try:
            its_batch, copy = places[schedule.installation]
            wrong = complaints(play(its_batch, schedule, copy))
        except Exception:  # It must not hide the results of the other schedules.
            wrong = [traceback.format_exc()]
        found.verdicts[schedule.seed] += [f"{schedule.installation}: {text}" for text in wrong]
        found.spans.append((schedule, began, time.time()))

    with ThreadPoolExecutor(AT_ONCE + 1) as pool:
        deployed = pool.submit(deploy)
        list(pool.map(judge, plays))
        deployed.result()


def use_names_again(found: Soaked, neighbour: Neighbour, schedules: list[Schedule]) -> None:
    """Create the machine again when all its runs have ended, so that executions get the same ARNs with other starts."""
    batch = neighbour.batch
    chosen = [one for one in schedules if one.installation == NEIGHBOUR][:NAMES_USED_AGAIN]
    before = {one.run_id: everything_of(batch, one.run_id) for one in chosen}
    neighbour.make_machine_anew()

    def use_again(schedule: Schedule) -> None:
        run_id = schedule.run_id
        attempt = try_name(batch, run_id, schedule.run_input(source_uri(schedule, batch.bucket, run_id)))
        wrong = [] if attempt.was_refused else [f"the name was used again: {attempt}"]
        if everything_of(batch, run_id) != before[run_id]:
            wrong.append("something of the run has changed since its name was used again")
        found.verdicts[schedule.seed] += wrong

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use_again, chosen))


def execution_arn(batch: Batch, seed: int) -> str:
    machine: str = batch.outputs["run_state_machine_arn"]
    return f"{machine.replace(':stateMachine:', ':execution:')}:{draw(seed).run_id}"


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_is_paid_twice(soaked: Soaked, seed: int) -> None:
    found = soaked.verdicts[seed]
    assert not found, "\n".join([f"SOAK_SEED={seed} pytest tests/soak", str(draw(seed)), *found])


def test_no_task_token_was_logged(soaked: Soaked, batch: Batch) -> None:
    arns = [execution_arn(batch, seed) for seed in SEEDS if draw(seed).installation == "e2e"]
    assert any(TOKEN_BEGINS in histories_of_jobs(batch, arn) for arn in arns) or len(SEEDS) < 20, (
        "tokens begin otherwise"
    )
    groups = [group["logGroupName"] for group in batch.logs.describe_log_groups()["logGroups"]]
    leaks = [
        event["message"]
        for group in groups
        for page in batch.logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        for event in page["events"]
        if TOKEN_BEGINS in event["message"]
    ]
    assert not leaks, leaks[:3]


def test_no_event_was_left_undelivered(soaked: Soaked, batch: Batch, neighbour: Neighbour) -> None:
    for one in (batch, neighbour.batch):
        url = one.outputs["undelivered_events_queue_url"].replace("localhost", "127.0.0.1")
        attributes = one.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_runs_outlast_deploys(soaked: Soaked) -> None:
    """Runs overlap with deployments, so that their ends prove something. Some are also stopped and redriven."""
    found = soaked.outlasted_a_deploy()
    assert len(SEEDS) < 100 or (found and any(one.stops for one in found))


def test_faults_happen(soaked: Soaked, batch: Batch) -> None:
    """Most of the drawn call faults hit a call. A rule that matches nothing would prove nothing."""
    fired = [rule["fired"] > 0 for rule in batch.engine.faults()]
    assert not fired or len(SEEDS) < 20 or sum(fired) > len(fired) / 2


def test_sources_are_lost_in_time(soaked: Soaked, batch: Batch) -> None:
    """Most sources are lost while their run goes on. A later loss would prove nothing."""
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
    assert {schedule.installation for schedule in schedules} == {"e2e", NEIGHBOUR}
    for some in (schedules, [one for one in schedules if one.stops]):
        assert any(schedule.twin for schedule in some)
        assert any(schedule.again is not None for schedule in some)
    assert any(schedule.plan_dies for schedule in schedules)
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


def histories_of_jobs(batch: Batch, arn: str) -> str:
    """Return the histories of a run's children, as text."""
    texts: list[str] = []
    for run in batch.sfn.list_map_runs(executionArn=arn)["mapRuns"]:
        for child in batch.sfn.list_executions(mapRunArn=run["mapRunArn"])["executions"]:
            events: list[Any] = batch.sfn.get_execution_history(executionArn=child["executionArn"])["events"]
            texts.append(json.dumps(events, default=str))
    return "\n".join(texts)
