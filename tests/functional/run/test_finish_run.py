"""How a run ends and what its report says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.results import JobCounts
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.errors import InputNotFound, TooLarge, TooManyFailures
from bedrock_batch.handlers.answer_on_demand import handler as answer_handler
from bedrock_batch.handlers.finish_run import handler as finish_handler
from bedrock_batch.handlers.gather_leftovers import handler as gather_handler
from bedrock_batch.handlers.pool_leftovers import handler as pool_handler
from bedrock_batch.run.by_bedrock import read_manifests
from tests.conftest import BUCKET
from tests.functional.played import RUN, Bench, Jobs, finished, reviewed
from tests.functional.whole import LITE, MICRO, Fate, MemoryS3, Verdict, WholeRun, asked, reviews
from tests.unit.factories import keys_of, make_run

REFUSED: Verdict = {"error": {"errorCode": 400, "errorMessage": "no such parameter"}}


@pytest.fixture
def s3() -> S3:
    return S3(MemoryS3())


class CountedRun(WholeRun):
    """A run whose Bedrock loses the answers of the first job's records below `lost`, but counts them."""

    lost = 0
    uncounted = False

    def _job(self, line: dict[str, Any]) -> dict[str, Any]:
        tokens = {"inputTokenCount": 0, "outputTokenCount": 0}
        verdict = self.verdict

        def lose(model_id: str, record_id: str) -> Verdict:
            row = int(record_id[5:])
            return None if line["round"] == 0 and row < self.lost else verdict(model_id, record_id)

        self.verdict = lose
        # The manifest is there before the child of the job joins its shard.
        count = line["records"]
        manifest = {"totalRecordCount": count, "processedRecordCount": count, "successRecordCount": count}
        manifest |= {"errorRecordCount": 0, **tokens}
        if not self.uncounted:
            self.s3.put_json(BUCKET, f"{line['raw_prefix']}abc123/manifest.json.out", manifest)
        try:
            return super()._job(line)
        finally:
            self.verdict = verdict


def test_a_report_is_for_reading(s3: S3) -> None:
    reviews(s3, 60)
    played = WholeRun(s3)
    played.run(asked(LITE, price={"input": 1.0, "output": 1.0}))
    text = s3.read(BUCKET, keys_of(RUN).report).decode()
    assert text.startswith('{\n  "contract": 1,\n  "run_id": "monday",\n  "status": "SUCCEEDED",\n  "rows": 60,\n')
    names = list(json.loads(text))
    assert names[:8] == ["contract", "run_id", "status", "rows", "outcomes", "cost_usd", "output", "warnings"]
    assert names[-1] == "parts"


def test_a_run_adds_to_the_metrics_when_its_report_is_written(s3: S3, caplog: pytest.LogCaptureFixture) -> None:
    reviews(s3, 60)
    with caplog.at_level("INFO", "bedrock_batch"):
        WholeRun(s3).run(asked(LITE, price={"input": 1.0, "output": 1.0}))
    (record,) = [record.__dict__ for record in caplog.records if record.message == "metrics"]
    assert (record["run_id"], record["status"], record["Installation"]) == (RUN, "SUCCEEDED", "reviews")
    assert (record["Rows"], record["RowsSucceeded"], record["RowsFailed"]) == (60, 60, 0)
    report = s3.get_json(BUCKET, keys_of(RUN).report)
    assert (record["CostUSD"], record["InputTokens"]) == (report["cost_usd"], report["input_tokens"])


def test_a_run_that_is_redriven_counts_once_in_the_metrics(s3: S3, caplog: pytest.LogCaptureFixture) -> None:
    reviews(s3, 60)
    unreadable: Fate = ("Failed", "the role may not read the bucket")
    first_job = (0, 1)
    played = WholeRun(
        s3, fate=lambda line: unreadable if (line["round"], line["number"]) == first_job else None, redrives=1
    )
    with caplog.at_level("INFO", "bedrock_batch"):
        played.run(asked(LITE, price={"input": 1.0, "output": 1.0}))
    first, last = [record.__dict__ for record in caplog.records if record.message == "metrics"]
    assert (first["status"], last["status"]) == ("FAILED", "SUCCEEDED")
    assert first["unanswered"] == first["RowsMissing"] == -last["RowsMissing"] > 0
    report = played.report()
    for key, metric in (("rows", "Rows"), ("input_tokens", "InputTokens"), ("cost_usd", "CostUSD")):
        assert first[metric] + last[metric] == pytest.approx(report[key])
        assert last[key] == report[key], "by run, the record has the numbers of its report"
    assert first["RowsSucceeded"] + last["RowsSucceeded"] == 60


@pytest.mark.parametrize(
    "edited",
    [b"{", b"[" * 100_000, b"[]", b'{"outcomes": []}', b'{"outcomes": {"failed": "many"}}'],
    ids=["cut", "deep", "list", "outcomes", "numbers"],
)
def test_a_report_that_somebody_has_edited_fails_no_run(s3: S3, edited: bytes) -> None:
    reviews(s3, 20)
    played = WholeRun(s3)
    played.run(asked(LITE))
    s3.put(BUCKET, keys_of(RUN).report, edited)
    assert finished(s3, played.state)["outcomes"]["succeeded"] == 20
    assert played.report()["rows"] == 20


def test_a_run_of_which_most_failed_fails_when_all_is_written(s3: S3) -> None:
    """Bedrock refused nine records of ten: such a run must not succeed."""
    reviews(s3, 100)
    played = WholeRun(s3, lambda model_id, record_id: {} if record_id.startswith("00000") else REFUSED)
    with pytest.raises(TooManyFailures) as caught:
        played.run(asked(LITE))
    told = str(caught.value)
    assert told.startswith(
        "90 of 100 rows that were sent have no answer (90.0%, but at most 20% are tolerated): 10 succeeded, 90 failed."
    )
    assert '400 (90 rows): "no such parameter"' in told
    assert f"The table in s3://{BUCKET}/reviews/output/{RUN}/ and the report are complete" in told
    assert "bedrock_error" in told
    assert "start a new run over the failed rows. A redrive sends nothing again." in told
    assert played.table().num_rows == 100
    report = played.report()
    assert (report["status"], report["error"], report["message"]) == ("FAILED", "TooManyFailures", told)
    assert report["error_messages"] == {"400": "no such parameter"}


def test_few_rows_fail_only_when_all_do(s3: S3) -> None:
    reviews(s3, 40)
    played = WholeRun(s3, lambda model_id, record_id: {} if record_id.endswith("0") else REFUSED)
    played.run(asked(LITE))
    assert played.report()["outcomes"]["failed"] == 36


def test_answers_that_met_their_limit_are_a_warning(s3: S3) -> None:
    reviews(s3, 60)

    def verdict(model_id: str, record_id: str) -> Verdict:
        content = [{"text": "cut"}]
        stopped = "max_tokens" if record_id.endswith("0") else "guardrail" if record_id.endswith("1") else "end_turn"
        return {"modelOutput": {"output": {"message": {"content": content}}, "stopReason": stopped, "usage": {}}}

    played = WholeRun(s3, verdict)
    ended = played.run(asked(LITE, inference={"max_tokens": 3}))
    assert ended["first_warnings"] == ["6 of 60 answers met max_tokens (3). Raise it, or use retry"]
    assert played.report()["warnings"] == ended["first_warnings"]
    assert ended["warnings"] == 1


def test_records_that_bedrock_counted_and_lost_are_told(s3: S3) -> None:
    reviews(s3, 20)
    played = CountedRun(s3)
    played.lost = 4
    ended = played.run(asked(LITE))
    report = played.report()
    assert report["outcomes"]["succeeded"] == 20, "they were asked again"
    counted = report["by_bedrock"]
    assert (counted["jobs"], counted["records"], counted["found"]["records"]) == (3, 28, 20)
    first, second, _ = (line["job_name"] for line in played.jobs)
    assert counted["differing_jobs"] == {name: {"counted": 10, "found": 6} for name in (first, second)}
    (told,) = [warning for warning in ended["first_warnings"] if "different numbers of records" in warning]
    assert f"different numbers of records (the first: {first}, manifest 10" in told
    assert "8 were paid and lost; they are sent and paid again" in told
    assert told in report["warnings"]


def test_manifests_that_agree_say_nothing_and_may_be_missing(s3: S3) -> None:
    reviews(s3, 20)
    played = CountedRun(s3)
    ended = played.run(asked(LITE, MICRO))
    assert not [told for told in ended["first_warnings"] if "records" in told]
    assert [section["by_bedrock"]["records"] for section in played.report()["models"]] == [20, 20]
    other = S3(MemoryS3())
    reviews(other, 20)
    without = CountedRun(other)
    without.uncounted = True
    without.run(asked(LITE))
    assert without.report()["by_bedrock"] is None


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        (b'{"successRecordCount": 3, "errorRecordCount": 2.0}', JobCounts(records=5, answered=3)),
        (b'{"successRecordCount": NaN, "errorRecordCount": -1, "inputTokenCount": Infinity}', JobCounts()),
        (b'{"successRecordCount": "3", "outputTokenCount": 1e300}', JobCounts()),
        (b"[" * 100_000, None),
        (b"\xff{", None),
        (b"[]", None),
    ],
)
def test_what_is_not_a_count_in_a_manifest_is_not_counted(s3: S3, body: bytes, counts: JobCounts | None) -> None:
    run = make_run(bucket=BUCKET)
    s3.put(BUCKET, f"{run.keys.raw_folder}job/abc123/manifest.json.out", body)
    assert read_manifests(s3, run) == ({} if counts is None else {"job": counts})


def test_tokens_that_bedrock_counts_otherwise_are_told(s3: S3) -> None:
    reviews(s3, 20)
    ended = CountedRun(s3).run(asked(LITE))
    assert [told.split(" (")[0] for told in ended["first_warnings"]] == [
        f"Bedrock's manifests count 0 {kind}, but the answers in its output have {count}"
        for kind, count in tokens_of(s3)
    ]


def tokens_of(s3: S3) -> Iterator[tuple[str, int]]:
    report = s3.get_json(BUCKET, keys_of(RUN).report)
    yield from ((kind, report[kind]) for kind in ("input_tokens", "output_tokens"))


def test_more_that_went_on_demand_than_was_foretold_is_a_warning(s3: S3) -> None:
    reviews(s3, 20)
    seen: set[str] = set()

    def verdict(model_id: str, record_id: str) -> Verdict:
        again = record_id in seen
        seen.add(record_id)
        return None if record_id.endswith("0") and not again else {}

    ended = WholeRun(s3, verdict).run(asked(LITE))
    assert ended["first_warnings"] == [
        "2 more records than estimated were answered on demand, at about twice the batch price"
    ]


# --- Dry runs ---


def dry_run(s3: S3, *models: str, **given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the result and the report of a dry run."""
    state = reviewed(s3, Jobs(), WholeRun(s3).plan(asked(*models, dry_run=True, **given)))
    assert state["next"] == "finish"
    result = finished(s3, state)
    return result, s3.get_json(BUCKET, keys_of(RUN).report)


def test_a_dry_run_writes_what_it_found_out(s3: S3) -> None:
    reviews(s3, 4, nulls={0})
    result, report = dry_run(s3, LITE, price={"input": 1.0, "output": 1.0})
    assert (report["dry_run"], report["status"], report["rows"]) == (True, "SUCCEEDED", 4)
    assert report["estimate"]["cost_unknown"] == "the run input has no inference.max_tokens, which limits the answers"
    assert report["warnings"] == [
        "3 records are fewer than 5, so they are answered on demand, at about twice the batch price"
    ]
    assert report["first_record"]["modelInput"]["messages"][0]["content"][0]["text"] == "Judge review 1"
    assert (result["estimate"], result["first_warnings"]) == (report["estimate"], report["warnings"])
    assert "Judge" not in json.dumps(result), "a state machine's output may be logged"


def test_a_dry_run_shows_a_record_of_every_model(s3: S3) -> None:
    reviews(s3, 12)
    _, report = dry_run(s3, LITE, MICRO)
    assert list(report["first_record"]) == [LITE, MICRO]
    assert report["rows"] == 12


def test_media_and_very_long_cells_are_cut_in_the_shown_record(s3: S3) -> None:
    s3.put(BUCKET, "in/t.jsonl", json.dumps({"id": 0, "review": "x" * 30_000}).encode())
    _, report = dry_run(s3, LITE)
    assert report["first_record"]["modelInput"]["messages"][0]["content"][0]["text"].endswith("… (30006 characters)")


# --- What became of jobs that failed ---


def test_a_failed_job_says_what_became_of_its_records(aws: None) -> None:
    bench = Bench([150, 150])
    state = bench.review()
    first, second = bench.lines(state["jobs_key"])
    results = [bench.job_result(first, range(120), status="Stopped"), bench.job_result(second, (), status="Failed")]
    state = bench.gather(state, results)
    (pooled,) = bench.lines(state["jobs_key"])
    state = bench.gather(state, [bench.job_result(pooled)])
    (event,) = bench.lines(state["joins_key"])
    done = bench.gather(state, [bench.joined(event, ())])
    finished(bench.s3, done)
    assert bench.s3.get_json(BUCKET, keys_of(RUN).report)["failed_jobs"] == [
        {"job_name": one["job_name"], "status": status, "records": 150, "now": "all 150 records have an answer"}
        for one, status in ((first, "Stopped"), (second, "Failed"))
    ]
    event_again = event | {"step": 99}
    done = bench.gather(state, [bench.joined(event_again, range(30))])
    finished(bench.s3, done | {"next": "finish"})
    stopped, failed = bench.s3.get_json(BUCKET, keys_of(RUN).report)["failed_jobs"]
    assert (stopped["now"], failed["now"]) == ("30 of 150 records have no answer", "all 150 records have an answer")


# --- Errors behind the spend ---


def test_an_error_of_finish_run_says_what_is_kept(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench([150])
    monkeypatch.setattr("bedrock_batch.aws.clients.s3", lambda: bench.client)
    monkeypatch.setenv("INVENTORY_TABLE_NAME", "reviews-inventory")
    bench.client.delete_object(Bucket=BUCKET, Key=keys_of(RUN).run())
    with pytest.raises(Exception, match="run.json does not exist") as caught:
        finish_handler(bench.planned(), None)
    told = str(caught.value)
    assert type(caught.value).__name__ == "InputNotFound"
    kept = f"all answers in s3://{BUCKET}/reviews/work/{RUN}/raw/. A redrive only counts again"
    assert f"The table is kept in s3://{BUCKET}/reviews/output/{RUN}/, {kept}" in told
    assert "A prefix must end" not in told


def test_errors_between_the_jobs_say_what_is_kept(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench([150])
    monkeypatch.setattr("bedrock_batch.aws.clients.s3", lambda: bench.client)
    monkeypatch.setattr("bedrock_batch.aws.clients.client", lambda name: bench.bedrock)
    lines = {"shard": 0, "start": 0, "stop": 150, "step": None}
    folder = f"reviews/work/{RUN}"
    event = {"contract": CONTRACT, "bucket": BUCKET, "run_key": keys_of(RUN).run(), "leftover_lines": [lines]}
    bench.client.delete_object(Bucket=BUCKET, Key=keys_of(RUN).input(0))
    for call, more, kept in (
        (pool_handler, {"input_key": f"{folder}/input/r1-00000.jsonl"}, "none of them was paid again"),
        (answer_handler, {"raw_key": f"{folder}/raw/on-demand-0/00000.jsonl.out", "chunk": 0}, "a new run over"),
    ):
        with pytest.raises(
            InputNotFound, match=r"input/00000.jsonl does not exist \(404\)\. Put the object back"
        ) as caught:
            call(event | more, None)
        assert kept in str(caught.value)
    gone = bench.planned() | {"results": {"jobs": [{"Bucket": BUCKET, "Key": "gone"}], "answers": [], "joins": []}}
    with pytest.raises(InputNotFound, match=f"gone does not exist .*kept in s3://{BUCKET}/{folder}/raw/. A redrive"):
        gather_handler(gone | {"step": 0, "rounds": 1, "passes": 0, "jobs": 1, "next": "run_jobs"}, None)


def test_a_pool_that_is_too_large_says_that_nothing_was_paid(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench([150], quotas={"min_records": 100, "max_records": 1000, "max_file_bytes": 99, "concurrent_jobs": 1})
    monkeypatch.setattr("bedrock_batch.aws.clients.s3", lambda: bench.client)
    lines = {"shard": 0, "start": 0, "stop": 150, "step": None}
    event = {
        "contract": CONTRACT,
        "bucket": BUCKET,
        "run_key": keys_of(RUN).run(),
        "leftover_lines": [lines],
        "input_key": f"reviews/work/{RUN}/input/r1.jsonl",
    }
    with pytest.raises(TooLarge, match="that a file may have. No job was created for these records"):
        pool_handler(event, None)
