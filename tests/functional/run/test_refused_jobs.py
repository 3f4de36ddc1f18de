"""Jobs that do nothing: wrong records or a wrong request end the records, a missing permission ends the run."""

import re
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import NOT_CREATED
from bedrock_batch.errors import PermissionMissing, TooManyFailures
from bedrock_batch.record_ids import record_id
from tests.conftest import BUCKET
from tests.functional.played import RUN, Bench, finished
from tests.functional.whole import LITE, MICRO, Fate, MemoryS3, WholeRun, asked, keys_below, reviews
from tests.unit.factories import keys_of, make_run

INVALID: Fate = (NOT_CREATED, "Bedrock.ValidationException: no such model")
FAILED: Fate = ("Failed", "Unable to parse Amazon S3 file: a.jsonl")
FORBIDDEN: Fate = (NOT_CREATED, "Bedrock.AccessDeniedException: You are not authorized to pass r")
UNREADABLE: Fate = ("Failed", "the role may not read the bucket")
OF_NO_ACCOUNT: list[Fate] = [
    ("Expired", "late"),
    ("Stopped", ""),
    (NOT_CREATED, "Bedrock.ThrottlingException: slow (and Bedrock lists no job of this name)"),
    (NOT_CREATED, "Bedrock.ServiceQuotaExceededException: full (and Bedrock lists no job of this name)"),
    ("Failed", "Encountered an unexpected error when processing the request, please try again"),
]
THROTTLED: dict[str, Any] = {"error": {"errorCode": 429, "errorMessage": "slow down"}}


@pytest.fixture
def s3() -> S3:
    return S3(MemoryS3())


def round_of(line: dict[str, Any]) -> int:
    number: int = line["round"]
    return number


# --- What the records or the request are ---


@pytest.mark.parametrize(("first", "second"), [(INVALID, FAILED), (FAILED, INVALID), (FAILED, FAILED)])
def test_records_that_two_jobs_refused_have_failed(s3: S3, first: Fate, second: Fate) -> None:
    reviews(s3, 30)
    bad = {0: first, 1: second}
    played = WholeRun(s3, fate=lambda line: bad.get(round_of(line)) if line["round"] or line["number"] == 1 else None)
    ended = played.run(asked(LITE, limits={"max_rounds": 5}))
    assert [line["round"] for line in played.jobs] == [0, 0, 0, 1]
    assert "answer" not in played.steps
    assert ended["outcomes"]["succeeded"] == 20
    table = played.table()
    rows = [row for row in table.to_pylist() if row["bedrock_outcome"] != "succeeded"]
    assert [row["id"] for row in rows] == list(range(10, 20))
    assert {(row["bedrock_outcome"], row["bedrock_error_code"]) for row in rows} == {("failed", "RefusedTwice")}
    name = played.jobs[-1]["job_name"]
    assert second
    assert {row["bedrock_error"] for row in rows} == {f"job {name} ended {second[0]}: {second[1]}"}
    report = played.report()
    assert (report["leftovers"], report["errors"]) == (0, {"RefusedTwice": 10})
    assert [job["message"] for job in report["failed_jobs"]] == [bad[0][1], bad[1][1]]  # type: ignore[index]


@pytest.mark.parametrize("end", OF_NO_ACCOUNT)
def test_what_the_records_did_not_cause_ends_none_of_them(s3: S3, end: Fate) -> None:
    reviews(s3, 10)
    ends = [FAILED, end, end, end]
    played = WholeRun(s3, fate=lambda line: ends[round_of(line)] if round_of(line) < len(ends) else None)
    ended = played.run(asked(LITE, limits={"max_rounds": 5}))
    assert len(played.jobs) == 5
    assert ended["outcomes"]["succeeded"] == 10


@pytest.mark.parametrize("evidence", ["processed", "output"])
def test_a_job_that_did_something_refused_nothing(s3: S3, evidence: str) -> None:
    """Bedrock's counters may be late. Then the output shows that the job processed records."""
    reviews(s3, 10)

    def fate(line: dict[str, Any]) -> Fate:
        if evidence == "output":
            s3.put(BUCKET, f"{line['raw_prefix']}abc/x.jsonl.out", b'{"recordId": "')
        return FAILED if round_of(line) < 3 else None

    played = WholeRun(s3, fate=fate)
    plain = played._job

    def processed(line: dict[str, Any]) -> dict[str, Any]:
        return plain(line) | ({"processed": 7} if evidence == "processed" else {})

    played._job = processed  # type: ignore[method-assign]  # what the child returns for the rounds is what counts
    ended = played.run(asked(LITE, limits={"max_rounds": 5}))
    assert len(played.jobs) == 4
    assert ended["outcomes"]["succeeded"] == 10


def test_of_a_shard_that_two_jobs_shared_only_the_refused_records_end(s3: S3) -> None:
    """Round 1 sends rows 0 to 6 with one job, and the other leftovers with another. Only the first is refused."""
    reviews(s3, 20)
    refused = {(0, 0), (1, 0), (2, 0)}
    throttled_once = {f"00001{row:06d}" for row in range(5)}
    throttled_twice = {"00000000007", "00000000008", *throttled_once}

    def verdict(model_id: str, record_id: str) -> dict[str, Any]:
        bad = (throttled_once, throttled_twice, set[str](), set[str]())[played.jobs[-1]["round"]]
        return THROTTLED if record_id in bad else {}

    def fate(line: dict[str, Any]) -> Fate:
        return FAILED if (line["round"], line["number"]) in refused else None

    played = WholeRun(s3, verdict, fate=fate)
    played.run(asked(LITE, limits={"max_rounds": 5}))
    sizes = [(line["round"], line["records"]) for line in played.jobs]
    assert sizes == [(0, 10), (0, 10), (1, 7), (1, 8), (2, 7), (3, 5)]
    table = played.table().to_pylist()
    assert [row["id"] for row in table if row["bedrock_outcome"] != "succeeded"] == list(range(9))
    blamed = [row["bedrock_error"].split(" ")[1].split("-")[-2] for row in table[:9]]
    assert blamed == ["r1"] * 7 + ["r2"] * 2, "each row has the message of the job that refused it last"


def test_records_are_not_sent_again_on_demand_either(s3: S3) -> None:
    reviews(s3, 10)
    played = WholeRun(s3, fate=lambda line: INVALID)
    with pytest.raises(TooManyFailures, match=re.escape(f"the first failed job: {INVALID[1]}")):  # type: ignore[index]
        played.run(asked(LITE, limits={"max_rounds": 5}))
    assert (len(played.jobs), played.sent) == (2, [])


@given(
    rows=st.integers(5, 40),
    most=st.integers(5, 12),
    limits=st.fixed_dictionaries({"max_rounds": st.integers(0, 4), "on_demand_tail": st.booleans()}),
    drawn=st.data(),
)
@settings(max_examples=60, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_a_record_has_two_chances_and_no_third(rows: int, most: int, limits: dict[str, Any], drawn: Any) -> None:
    s3 = S3(MemoryS3())
    table = reviews(s3, rows)
    refusals: dict[str, int] = defaultdict(int)

    def fate(line: dict[str, Any]) -> Fate:
        sent = [record["recordId"] for record in s3.lines(BUCKET, input_of(line))]
        assert all(refusals[record] < 2 for record in sent), "a record is sent to a third job"
        end: Fate = drawn.draw(st.sampled_from([None, None, INVALID, FAILED, FAILED, *OF_NO_ACCOUNT]))
        for record in sent if end in (INVALID, FAILED) else ():
            refusals[record] += 1
        return end

    played = WholeRun(s3, lambda *_: drawn.draw(st.sampled_from([{}, {}, THROTTLED, None])), fate=fate)
    try:
        played.run(asked(LITE, max_records_per_job=most, limits=limits))
    except TooManyFailures:
        assert not played.answered
    assert played.steps.count("run_jobs") <= limits["max_rounds"] + 2
    found = played.table().to_pylist()
    assert [row["id"] for row in found] == [row["id"] for row in table]
    shards = list(s3.lines(BUCKET, keys_of(RUN).plan))
    for shard in shards:
        for row in range(shard["rows"]):
            record = record_id(shard["shard"], row)
            line = found[shard["first_row"] + row]
            ended = (line["bedrock_outcome"], line["bedrock_error_code"]) == ("failed", "RefusedTwice")
            answered = line["bedrock_outcome"] == "succeeded"
            assert ended == (refusals[record] == 2 and not answered), "two refusals end a record, and nothing else"


def input_of(line: dict[str, Any]) -> str:
    uri: str = line["request"]["InputDataConfig"]["S3InputDataConfig"]["S3Uri"]
    return uri.removeprefix(f"s3://{BUCKET}/")


# --- A missing permission ---


@pytest.mark.parametrize("end", [FORBIDDEN, UNREADABLE])
def test_a_missing_permission_ends_the_run_and_a_redrive_asks_again(s3: S3, end: Fate) -> None:
    """Two rounds lack a permission. They do not count, although max_rounds is 0."""
    reviews(s3, 30)
    played = WholeRun(s3, fate=lambda line: end if line["round"] < 2 and line["number"] != 2 else None, redrives=2)
    ended = played.run(asked(LITE, limits={"max_rounds": 0}))
    assert ended["outcomes"]["succeeded"] == 30
    assert played.redriven == 2
    assert [line["records"] for line in played.jobs] == [10, 10, 10, 10, 10, 10, 10]
    assert Counter(record for _, record in played.sent).most_common(1)[0][1] == 1, "none is paid twice"


def test_the_error_says_what_bedrock_said_and_what_to_do(s3: S3) -> None:
    reviews(s3, 30)
    played = WholeRun(s3, fate=lambda line: UNREADABLE if line["number"] == 1 else None)
    with pytest.raises(PermissionMissing) as caught:
        played.run(asked(LITE))
    message = str(caught.value)
    assert "Bedrock says: the role may not read the bucket (10 records have no answer)." in message
    assert "No answer is lost. Grant the permission" in message and "redrive the execution" in message
    outcomes = Counter(row["bedrock_outcome"] for row in played.table().to_pylist())
    assert outcomes == {"succeeded": 20, "missing": 10}, "the round is joined"


@pytest.mark.parametrize("redrives", [0, 1, 4])
def test_each_redrive_gives_one_round_and_no_more(s3: S3, redrives: int) -> None:
    reviews(s3, 10)
    played = WholeRun(s3, fate=lambda line: FORBIDDEN, redrives=redrives)
    with pytest.raises(PermissionMissing):
        played.run(asked(LITE, limits={"max_rounds": 1}))
    assert len(played.jobs) == 1 + redrives


def test_a_redrive_for_another_reason_before_the_round_is_no_leave_to_go_on(s3: S3) -> None:
    reviews(s3, 10)
    played = WholeRun(s3, fate=lambda line: FORBIDDEN if line["round"] else ("Expired", ""))
    played.redriven = played.redrives = 3
    with pytest.raises(PermissionMissing):
        played.run(asked(LITE, limits={"max_rounds": 5}))
    assert len(played.jobs) == 2


def test_of_several_models_each_that_lacks_a_permission_is_named(s3: S3) -> None:
    rows = reviews(s3, 20)
    messages = {LITE: "the role may not use lite", MICRO: "the role may not use micro"}

    def fate(line: dict[str, Any]) -> Fate:
        return ("Failed", messages[line["request"]["ModelId"]]) if line["round"] == 0 else None

    played = WholeRun(s3, fate=fate)
    with pytest.raises(PermissionMissing) as caught:
        played.run(asked(LITE, MICRO))
    assert f"{LITE}: {messages[LITE]} (20 records have no answer)" in str(caught.value)
    assert f"{MICRO}: {messages[MICRO]} (20 records have no answer)" in str(caught.value)

    again = S3(MemoryS3())
    reviews(again, 20)
    of_micro = WholeRun(
        again, fate=lambda line: fate(line) if line["request"]["ModelId"] == MICRO else None, redrives=1
    )
    ended = of_micro.run(asked(LITE, MICRO, limits={"max_rounds": 0}))
    assert of_micro.redriven == 1
    assert [model["outcomes"]["succeeded"] for model in ended["models"]] == [len(rows)] * 2
    assert keys_below(again, "output/")


def test_records_that_were_refused_before_wait_for_the_permission_too(s3: S3) -> None:
    """A round that lacked a permission is not a refusal, so the next refusal is the second one."""
    reviews(s3, 10)
    ends = [FAILED, UNREADABLE, UNREADABLE, None]
    played = WholeRun(s3, fate=lambda line: ends[line["round"]], redrives=2)
    ended = played.run(asked(LITE, limits={"max_rounds": 1}))
    assert (ended["outcomes"]["succeeded"], played.redriven) == (10, 2)


def test_the_end_of_refused_records_outlasts_a_failure_of_the_run(s3: S3) -> None:
    """In round 1 a job refuses records for the second time, and another lacks a permission."""
    reviews(s3, 20)
    ends = {(0, 0): FAILED, (0, 1): ("Expired", ""), (1, 0): INVALID, (1, 1): UNREADABLE}
    played = WholeRun(s3, fate=lambda line: ends.get((line["round"], line["number"])))
    limits = {"max_rounds": 5}
    with pytest.raises(PermissionMissing):
        played.run(asked(LITE, limits=limits))
    before = [(row["bedrock_outcome"], row["bedrock_error"]) for row in played.table().to_pylist()]
    assert Counter(outcome for outcome, _ in before) == {"failed": 10, "missing": 10}
    played.salvage(status="FAILED", error="PermissionMissing")
    assert [(row["bedrock_outcome"], row["bedrock_error"]) for row in played.table().to_pylist()] == before
    report = played.report()
    assert (report["salvaged"], report["errors"]["RefusedTwice"]) == (True, 10)
    ended = [(job["status"], job.get("message", "")) for job in report["failed_jobs"]]
    assert ended == [ends[key] for key in sorted(ends)]

    again = S3(MemoryS3())
    reviews(again, 20)
    played = WholeRun(again, fate=lambda line: ends.get((line["round"], line["number"])), redrives=1)
    assert played.run(asked(LITE, limits=limits))["outcomes"]["succeeded"] == 10
    assert [row["bedrock_error_code"] for row in played.table().to_pylist()] == ["RefusedTwice"] * 10 + [None] * 10


def test_results_of_a_child_without_the_count_end_no_record(aws: None) -> None:
    """A run of an earlier version, without the count of redrives, goes on as before."""
    bench = Bench([100], limits=make_run().limits | {"max_rounds": 1})
    state = bench.review()
    (only,) = bench.lines(state["jobs_key"])
    state = bench.gather(state, [bench.job_result(only, range(100), status="Failed")])
    (pooled,) = bench.lines(state["jobs_key"])
    state = bench.gather(state, [bench.job_result(pooled, status="Failed")])
    (event,) = bench.lines(state["joins_key"])
    assert [job["processed"] for job in event["jobs"]] == [None, None]
    state = bench.gather(state, [bench.joined(event, range(100))])
    with pytest.raises(TooManyFailures):
        finished(bench.s3, state)
