"""How far a run is."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bedrock_batch.contracts.estimate import Estimate
from bedrock_batch.run import review_run
from bedrock_batch_client import follow, progress, show
from bedrock_batch_client.api import Batch
from bedrock_batch_client.errors import NotFound, ServiceTrouble
from bedrock_batch_client.installation import Installation
from tests.client import fakes
from tests.unit.factories import make_run

NAMES = "reviews-0123456789"
ESTIMATE = {"records": 400, "jobs": 4, "cost_usd": 4.0, "input_tokens": 800, "output_tokens": 1200}
REPORT: dict[str, Any] = {
    "status": "SUCCEEDED",
    "rows": 400,
    "outcomes": {"succeeded": 399, "failed": 1, "missing": 0},
    "jobs": {"Completed": 4},
    "failed_jobs": [],
    "cost_usd": 3.5,
    "input_tokens": 790,
    "output_tokens": 300,
    "warnings": ["one"],
}
AN_HOUR_ON = fakes.BEGAN + timedelta(hours=1)


@pytest.fixture
def goes_on(at: Installation, services: fakes.Aws) -> Installation:
    services.states.put("monday")
    services.dynamodb.put_run("monday", rows=400, job_names=NAMES)
    return at


def seen(at: Installation) -> progress.Status:
    return progress.status(at, "monday", now=AN_HOUR_ON)


def test_a_run_of_10_000_jobs_takes_20_calls_and_3_seconds_at_most(
    goes_on: Installation, services: fakes.Aws, put: Any
) -> None:
    put(goes_on.report_key("monday", "estimate.json"), ESTIMATE | {"records": 1_000_000})
    for number in range(10_000):
        status = "Completed" if number < 4_000 else "InProgress" if number < 9_990 else "Failed"
        services.bedrock.put(f"{NAMES}-r0-{number:05d}", status, done=50)
    services.bedrock.put("another-r0-00000", "Failed")
    calls = services.count()
    began = time.process_time()
    found = seen(goes_on)
    assert time.process_time() - began < 3
    installation_and_estimate = 2
    assert services.count() - calls + installation_and_estimate <= 20
    assert found.jobs == {"InProgress": 5_990, "Completed": 4_000, "Failed": 10}
    assert found.records == progress.Records(total=1_000_000, processed=500_000, succeeded=500_000)
    assert found.seconds_left == 3_600


def test_a_run_that_goes_on(goes_on: Installation, services: fakes.Aws, put: Any) -> None:
    put(goes_on.report_key("monday", "estimate.json"), ESTIMATE)
    services.bedrock.put(f"{NAMES}-r0-00000", "Completed", done=100)
    services.bedrock.put(f"{NAMES}-r0-00001", "InProgress", done=50)
    status = seen(goes_on)
    assert (status.status, status.state, status.rows, status.ended) == ("RUNNING", "Run jobs", 400, False)
    assert status.spent == progress.Spent(False, 1.5, 300, 450)
    assert status.seconds_left == 6_000
    assert status.to_json()["estimated"] is True


def test_nobody_knows_how_long_queued_jobs_wait(goes_on: Installation, services: fakes.Aws, put: Any) -> None:
    put(goes_on.report_key("monday", "estimate.json"), ESTIMATE)
    services.bedrock.put(f"{NAMES}-r0-00000", "InProgress", done=50)
    for status in progress.QUEUED:
        services.bedrock.put(f"{NAMES}-r0-00001", status)
        assert seen(goes_on).seconds_left is None
        services.bedrock.jobs.pop()
    assert seen(goes_on).seconds_left is not None


def test_the_pace_is_that_since_the_redrive(goes_on: Installation, services: fakes.Aws, put: Any) -> None:
    put(goes_on.report_key("monday", "estimate.json"), ESTIMATE)
    services.states.put("monday", redriveDate=fakes.BEGAN + timedelta(minutes=30))
    services.bedrock.put(f"{NAMES}-r0-00000", "Stopped", done=100, submitTime=fakes.BEGAN - timedelta(days=3))
    services.bedrock.put(f"{NAMES}-r1-00000", "InProgress", done=100, submitTime=fakes.BEGAN + timedelta(minutes=30))
    assert seen(goes_on).seconds_left == 200 * 1800 / 100


def test_the_estimate_that_review_run_writes_is_read(goes_on: Installation, services: fakes.Aws, put: Any) -> None:
    estimate = Estimate(
        rows=400, records=400, skipped=0, jobs=4, on_demand_records=0, input_bytes=9, input_tokens=800,
        output_tokens=1200, cost_usd=4.0,
    )  # fmt: skip
    put(goes_on.report_key("monday", "estimate.json"), review_run._document([make_run()], estimate))
    services.bedrock.put(f"{NAMES}-r0-00000", "InProgress", done=100)
    assert seen(goes_on).spent == progress.Spent(False, 1.0, 200, 300)


def test_without_an_estimate_nothing_is_made_up(goes_on: Installation, services: fakes.Aws) -> None:
    services.bedrock.put(f"{NAMES}-r0-00000", "InProgress", done=50)
    status = seen(goes_on)
    assert (status.seconds_left, status.spent, status.records.total) == (None, None, None)
    assert status.records.processed == 50


def test_jobs_that_went_wrong_are_named_with_bedrocks_words(goes_on: Installation, services: fakes.Aws) -> None:
    services.bedrock.put(f"{NAMES}-r0-00000", "Failed", done=60)
    services.dynamodb.put_job(f"{NAMES}-r0-00000", "Internal error")
    for number in range(1, 9):
        services.bedrock.put(f"{NAMES}-r0-{number:05d}", "Expired")
    problems = seen(goes_on).problems
    assert problems[0] == "a job ended Failed after 60 of 100 records: Internal error"
    assert len(problems) == 3


def test_a_run_that_has_ended_is_what_its_report_says(at: Installation, services: fakes.Aws, put: Any) -> None:
    services.states.put("monday", "SUCCEEDED")
    services.dynamodb.put_run("monday", status="SUCCEEDED_WITH_WARNINGS", rows=400, job_names=NAMES)
    put(at.report_key("monday"), REPORT)
    status = seen(at)
    assert (status.status, status.good, status.warnings) == ("SUCCEEDED_WITH_WARNINGS", True, ("one",))
    assert status.spent == progress.Spent(True, 3.5, 790, 300)
    assert status.outcomes == {"succeeded": 399, "failed": 1}
    assert services.bedrock.calls.total() == 0


def test_the_report_of_an_earlier_end_does_not_count(goes_on: Installation, put: Any) -> None:
    put(goes_on.report_key("monday"), REPORT)
    assert seen(goes_on).report == ""


def test_the_report_of_the_end_before_a_redrive_does_not_count(at: Installation, services: fakes.Aws, put: Any) -> None:
    put(at.report_key("monday"), REPORT | {"status": "FAILED", "error": "PermissionMissing"})
    services.dynamodb.put_run("monday", status="ABORTED")
    now = datetime.now(UTC)
    for redriven, report in ((now + timedelta(days=1), False), (now - timedelta(days=1), True)):
        services.states.put("monday", "ABORTED", redriveDate=redriven)
        assert (bool(seen(at).report), seen(at).error) == (report, "PermissionMissing" if report else "")
    services.states.put("monday", "SUCCEEDED", redriveDate=now + timedelta(days=1))
    assert seen(at).report, "its last state may have been redriven, after its report"


@pytest.mark.parametrize(
    ("execution", "item", "status"),
    [
        ("FAILED", "RUNNING", "STOPPING"),
        ("FAILED", "STOPPING", "STOPPING"),
        ("ABORTED", "ABORTED", "ABORTED"),
        ("SUCCEEDED", "FAILED", "SUCCEEDED"),
        ("SUCCEEDED", "RUNNING", "SUCCEEDED"),
        ("RUNNING", "ABORTED", "RUNNING"),
        (None, "TIMED_OUT", "TIMED_OUT"),
        ("FAILED", None, "FAILED"),
    ],
)
def test_the_status_comes_from_execution_and_inventory(
    at: Installation, services: fakes.Aws, execution: str | None, item: str | None, status: str
) -> None:
    if execution:
        services.states.put("monday", execution)
    if item:
        services.dynamodb.put_run("monday", status=item)
    assert seen(at).status == status


@pytest.mark.parametrize("cause", ["no {a}", '{"errorMessage": "no {a}", "stackTrace": ["line 1"]}'])
def test_until_there_is_a_report_the_cause_says_why(at: Installation, services: fakes.Aws, cause: str) -> None:
    services.states.put("monday", "FAILED", error="MissingColumn", cause=cause)
    services.dynamodb.put_run("monday", status="FAILED")
    assert seen(at).why == "MissingColumn: no {a}"


def test_a_run_that_is_not_there(at: Installation) -> None:
    with pytest.raises(NotFound, match="no run 'monday'"):
        seen(at)


# --- Follow


def followed(at: Installation, steps: list[Any]) -> list[str]:
    """Return the statuses that are seen; before each next look a step is taken."""
    left = iter(steps)
    return [one.status for one in follow.follow(at, "monday", every=1, pause=lambda _: next(left)())]


def test_a_run_is_followed_until_its_report_is_there(goes_on: Installation, services: fakes.Aws, put: Any) -> None:
    def fails() -> None:
        services.states.put("monday", "FAILED", stopDate=datetime.now(UTC))

    def stopped() -> None:
        services.dynamodb.put_run("monday", status="FAILED")

    def joined() -> None:
        put(goes_on.report_key("monday"), REPORT | {"status": "FAILED"})

    assert followed(goes_on, [fails, stopped, joined]) == ["RUNNING", "STOPPING", "FAILED", "FAILED"]
    assert followed(goes_on, []) == ["FAILED"]


def test_a_report_that_does_not_come_is_waited_for_for_a_minute(goes_on: Installation, services: fakes.Aws) -> None:
    waited: list[float] = []

    def pause(seconds: float) -> None:
        services.states.put("monday", "FAILED", error="MissingColumn")
        services.dynamodb.put_run("monday", status="FAILED")
        waited.append(seconds)

    seen = list(follow.follow(goes_on, "monday", every=30, pause=pause))
    assert waited == [30, *[5] * 12]
    assert seen[-1].ended and not seen[-1].report
    said = [
        line for before, now in zip([None, *seen], seen, strict=False) for line in show.lines_of_change(before, now)
    ]
    assert said.count("MissingColumn") == sum("not written yet" in line for line in said) == 1
    assert len(list(follow.follow(goes_on, "monday", every=30, pause=pause))) == 1, "it had ended before"


def test_a_network_that_is_away_for_a_moment_ends_nothing(goes_on: Installation, services: fakes.Aws) -> None:
    def away() -> None:
        services.bedrock.failing["ListModelInvocationJobs"] = fakes.error("List", "ThrottlingException")

    def back() -> None:
        services.bedrock.failing.clear()
        services.states.put("monday", "SUCCEEDED")
        services.dynamodb.put_run("monday", status="SUCCEEDED", job_names=NAMES)

    assert followed(goes_on, [away, lambda: None, back]) == ["RUNNING", "SUCCEEDED"]
    services.states.put("monday")
    with pytest.raises(ServiceTrouble, match="Throttling"):
        followed(goes_on, [away, *[lambda: None] * 9])


def test_a_stop_run_that_never_begins_is_told(at: Installation, services: fakes.Aws) -> None:
    services.states.put("monday", "FAILED", stopDate=fakes.BEGAN - timedelta(days=1))
    services.dynamodb.put_run("monday")
    with pytest.raises(ServiceTrouble, match="stop-run has not begun"):
        followed(at, [])


def test_a_stopped_run_has_ended_when_its_answers_are_joined(at: Installation, services: fakes.Aws, put: Any) -> None:
    services.states.put("monday", "ABORTED", stopDate=fakes.BEGAN - timedelta(days=365))
    services.dynamodb.put_run("monday", status="ABORTED", rows=400)
    looks: list[float] = []

    def joined(seconds: float) -> None:
        looks.append(seconds)
        put(at.report_key("monday"), REPORT)

    assert follow.until_salvaged(at, "monday", every=1, pause=joined).outcomes["succeeded"] == 399
    assert looks == [1]


def test_a_network_that_is_away_while_answers_are_joined_ends_nothing(
    at: Installation, services: fakes.Aws, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.states.put("monday", "ABORTED", stopDate=fakes.BEGAN - timedelta(days=365))
    services.dynamodb.put_run("monday", status="ABORTED", rows=400)
    put(at.report_key("monday"), REPORT)
    own, away = follow._has_report, [True, True]

    def looked(*asked: Any) -> bool:
        if away and away.pop():
            raise ServiceTrouble("no answer")
        return own(*asked)

    monkeypatch.setattr(follow, "_has_report", looked)
    assert follow.until_salvaged(at, "monday", every=1, pause=lambda _: None).status == "ABORTED"
    assert away == []


def test_the_report_of_an_earlier_end_is_not_waited_for(at: Installation, services: fakes.Aws, put: Any) -> None:
    put(at.report_key("monday"), REPORT)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    stopped = progress.Status("monday", "ABORTED", tomorrow, rows=400, ended_at=tomorrow)
    assert not follow._has_report(at, stopped)
    assert follow._has_report(at, replace(stopped, ended_at=tomorrow - timedelta(days=1, seconds=5)))


def test_a_run_without_a_plan_has_nothing_to_join(at: Installation, services: fakes.Aws) -> None:
    services.states.put("monday", "ABORTED")
    services.dynamodb.put_run("monday", status="ABORTED")
    assert follow.until_salvaged(at, "monday", every=1).status == "ABORTED"


def test_a_page_without_jobs_may_lack_their_list(goes_on: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goes_on.aws.bedrock, "_list", lambda **_: iter([{}]))
    assert seen(goes_on).jobs == {}


def test_a_wait_ends_at_its_time_out(
    batch: Batch, goes_on: Installation, services: fakes.Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("time.monotonic", lambda: sum(slept))
    with pytest.raises(TimeoutError, match="'monday' goes on after 25 s"):
        batch.attach("monday").wait(every=10, timeout=25)
    assert slept == [10, 10, 5]


def test_the_rows_of_several_models_count_for_each(at: Installation, services: fakes.Aws, put: Any) -> None:
    services.states.put("monday", "SUCCEEDED")
    services.dynamodb.put_run("monday", status="SUCCEEDED")
    put(at.report_key("monday"), REPORT | {"outcomes": {"succeeded": 799, "failed": 1}})
    assert show.outcomes(seen(at)) == "400 for each model: 799 succeeded, 1 failed"
