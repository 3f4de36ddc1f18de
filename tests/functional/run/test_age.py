"""A run's limits must end it before its work may be deleted. An older run is refused everywhere."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Chunk, LeftoverLines, Pool, ShardJoin
from bedrock_batch.contracts.state import RunState
from bedrock_batch.errors import InvalidRunInput, RunExpired
from bedrock_batch.join.join_shard import join_shard
from bedrock_batch.plan.plan_run import plan_run
from bedrock_batch.records.pool_leftovers import pool_leftovers
from bedrock_batch.run import salvage
from bedrock_batch.run.answer_on_demand import answer_on_demand
from tests.conftest import BUCKET
from tests.functional.planned import ServiceQuotas
from tests.functional.played import RUN, Bench, finished, gathered
from tests.report_schema import check
from tests.unit.factories import claimed, keys_of, settings, stopped

NOVA = "amazon.nova-lite-v1:0"


def plan(work_days: int, **given: Any) -> RunState:
    s3 = S3(clients.s3())
    s3.put(BUCKET, "in/t.csv", b"text\na\n")
    asked = {"s3_uri": f"s3://{BUCKET}/in/t.csv", "model_id": NOVA, "prompt": {"text": "{text}"}, **given}
    return plan_run(
        s3, ServiceQuotas(), claimed("monday", BUCKET), settings=settings(NOVA, work_days=work_days), input=asked
    )


@pytest.mark.parametrize(
    ("given", "days"),
    [
        ({}, 23),  # Three rounds of 72 hours, and 14 days.
        ({"limits": {"max_rounds": 0, "job_timeout_hours": 24}}, 15),
        ({"limits": {"max_rounds": 10, "job_timeout_hours": 168}}, 91),
        ({"limits": {"max_rounds": 0, "job_timeout_hours": 25}}, 16),
        ({"inference": {"max_tokens": 5}, "retry": {"outcomes": ["truncated"], "max_tokens": 9}}, 26),
    ],
)
def test_limits_with_which_a_run_could_outlive_its_work_are_refused(aws: None, given: Any, days: int) -> None:
    with pytest.raises(InvalidRunInput, match=rf"are {days} days, but .* {days - 1} days \(retention.work_days\)"):
        plan(days - 1, **given)
    assert plan(days, **given).rows == 1


def test_nothing_is_done_with_a_run_that_is_too_old(aws: None) -> None:
    bench = Bench([150])
    state = bench.review()
    old = bench.run.to_json() | {"started_at": "2026-08-01T00:00:00.000Z"}
    bench.s3.put_json(BUCKET, keys_of(RUN).run(), old)
    before = {item.key: item.etag for item in bench.s3.list(BUCKET, "")}
    lines = [LeftoverLines(0, 0, 150)]
    run_key, raw_key = keys_of(RUN).run(), keys_of(RUN).on_demand(0, 0)
    calls: list[Callable[[], object]] = [
        lambda: gathered(bench.s3, bench.bedrock, state),
        lambda: finished(bench.s3, state),
        lambda: join_shard(bench.s3, ShardJoin(BUCKET, run_key, 0, 0, 150, jobs=[])),
        lambda: pool_leftovers(bench.s3, Pool(BUCKET, run_key, keys_of(RUN).pooled(1, 0), lines)),
        lambda: answer_on_demand(bench.s3, None, Chunk(BUCKET, run_key, 0, lines, raw_key)),
    ]
    for call in calls:
        with pytest.raises(RunExpired, match=r"'monday' started at 2026-08-01.*more than 90 days ago .*new run"):
            call()
    found = salvage.gather(bench.s3, bench.bedrock, stopped(RUN, BUCKET))
    assert (found.next, "more than 90 days ago" in (found.message or "")) == ("end", True)
    after = {item.key: item.etag for item in bench.s3.list(BUCKET, "")}
    keys = keys_of(RUN)
    assert after.keys() - before.keys() == {keys.report, keys.page, keys.table_sql}
    assert {key: after[key] for key in before} == before
    report = bench.s3.get_json(BUCKET, keys.report)
    check(report)
    assert (report["error"], "jobs" in report) == ("RunExpired", False)


def test_no_job_is_made_whose_answers_could_come_too_late_for_their_join(aws: None) -> None:
    """A redrive may come on the last day, and find its run's work deleted when its jobs end."""
    bench = Bench([150])
    line = bench.lines(bench.review()["jobs_key"])[0]
    hours = line["request"]["TimeoutDurationInHours"]
    last_end = datetime.fromisoformat(line["expires_at"]) + timedelta(hours=hours)
    assert timedelta(days=1) <= bench.run.expires_at - last_end < timedelta(days=1, seconds=2)
