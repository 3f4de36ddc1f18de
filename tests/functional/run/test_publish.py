"""Every path that writes report.json writes the page and the statement beside it; and what happens when that fails."""

import ast
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import bedrock_batch
from bedrock_batch.aws.run_documents import read_runs
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.errors import BudgetExceeded
from bedrock_batch.page import page, remedies, table_sql
from bedrock_batch.run import salvage
from bedrock_batch.run.publish import publish
from tests.conftest import BUCKET
from tests.functional.played import RUN, Items, Jobs, finished, reviewed
from tests.functional.whole import LITE, MICRO, MemoryS3, WholeRun, asked, reviews
from tests.report_schema import check
from tests.unit.factories import keys_of, stopped
from tests.unit.page.test_markup import seen

PACKAGE = Path(bedrock_batch.__file__).parent
PRICE = {"input": 1.0, "output": 2.0}
KEYS = keys_of(RUN)


@pytest.fixture
def s3() -> S3:
    return S3(MemoryS3())


def text_of(s3: S3, key: str) -> str:
    return s3.read(BUCKET, key).decode()


def test_nothing_but_publish_writes_a_report() -> None:
    """A path that wrote report.json alone would leave a page of an earlier end beside it."""
    reports = (".report", ".page", ".table_sql")
    writers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ".put" in ast.unparse(node.func)
        if any(ast.unparse(argument).endswith(reports) for argument in node.args)
    }
    assert writers == {"run/publish.py"}


def test_a_report_says_what_to_do_until_the_run_has_ended_well(s3: S3) -> None:
    ended = {"contract": CONTRACT, "run_id": RUN, "status": "FAILED", "error": "PermissionMissing", "warnings": []}
    written, _ = publish(s3, BUCKET, KEYS, ended)
    assert list(written) == [*list(ended)[:4], "what_to_do", "warnings"]
    assert f"then redrive (`bedrock-batch redrive {RUN} --name reviews`). Only the records" in written["what_to_do"]
    stopped = {key: written[key] for key in written if key != "error"} | {"status": "ABORTED"}
    again, _ = publish(s3, BUCKET, KEYS, stopped)
    assert again["what_to_do"].startswith("nothing, if it was on purpose")
    assert "what_to_do" not in publish(s3, BUCKET, KEYS, written | {"status": "SUCCEEDED"})[0]


def test_a_remedy_that_cannot_be_found_is_a_warning(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("SECRET of a row")

    monkeypatch.setattr(remedies, "with_commands", broken)
    failed = {"run_id": RUN, "status": "FAILED", "error": "TooManyFailures", "warnings": []}
    written, _ = publish(s3, BUCKET, KEYS, failed)
    assert s3.get_json(BUCKET, KEYS.report) == written
    assert "what_to_do" not in written and written["error"] == "TooManyFailures"
    (warning,) = (one for one in written["warnings"] if "what to do" in one)
    assert "(KeyError)" in warning and "SECRET" not in json.dumps(written)


def test_a_run_leaves_three_files_that_a_browser_shows(s3: S3) -> None:
    reviews(s3, 20)
    WholeRun(s3).run(asked(LITE))
    found = seen(text_of(s3, KEYS.page))
    assert "20 of 20 rows have an answer." in found.text
    assert text_of(s3, KEYS.table_sql).startswith("-- The output of the run monday as a table of Amazon Athena.")
    assert "`bedrock_response` string" in text_of(s3, KEYS.table_sql)
    memory: Any = s3._client
    kinds = {key: memory.content_types[key] for key in (KEYS.page, KEYS.table_sql)}
    assert kinds == {KEYS.page: "text/html; charset=utf-8", KEYS.table_sql: "text/plain; charset=utf-8"}


@pytest.mark.parametrize("models", [[LITE], [LITE, MICRO]])
def test_a_run_that_ended_before_its_first_job_has_no_statement(s3: S3, models: list[str]) -> None:
    reviews(s3, 20)
    WholeRun(s3).plan(asked(*models))
    salvage.gather(s3, Jobs(), stopped(RUN, BUCKET, status="ABORTED"))
    assert text_of(s3, KEYS.table_sql) == (
        "-- There is no statement for the run monday: it ended before its first job, so it has no table.\n"
    )


def test_a_code_of_rows_that_only_looks_like_a_number_is_on_the_page(s3: S3) -> None:
    reviews(s3, 40)
    played = WholeRun(s3, lambda _, row: {"error": {"errorCode": "5²0"}} if row.endswith("3") else {})
    played.run(asked(LITE))
    assert "5²0" in seen(text_of(s3, KEYS.page)).text
    assert played.report()["warnings"] == []


def test_the_statement_of_several_models_has_their_folders(s3: S3) -> None:
    reviews(s3, 20)
    WholeRun(s3).run(asked(LITE, MICRO))
    said = text_of(s3, KEYS.table_sql)
    assert "'projection.bedrock_model.values' = 'amazon.nova-lite-v1-0,amazon.nova-micro-v1-0'" in said


def test_a_page_that_cannot_be_drawn_is_a_warning(
    s3: S3, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> str:
        raise ZeroDivisionError("text of a row")

    monkeypatch.setattr(page, "draw", broken)
    reviews(s3, 20)
    played = WholeRun(s3)
    ended = played.run(asked(LITE))
    told = (
        "report.html says only how the run ended, because the page could not be drawn (ZeroDivisionError); report.json "
        "has everything"
    )
    assert played.report()["warnings"][-1] == told == ended["first_warnings"][-1]
    assert "SUCCEEDED" in text_of(s3, KEYS.page)
    assert "text of a row" not in text_of(s3, KEYS.page)
    assert "a part of the report was not made" in caplog.messages


def test_a_statement_that_cannot_be_made_is_a_warning(
    s3: S3, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> str:
        raise ZeroDivisionError("text of a row")

    monkeypatch.setattr(table_sql, "statement", broken)
    reviews(s3, 20)
    played = WholeRun(s3)
    ended = played.run(asked(LITE))
    assert "(ZeroDivisionError); the table itself is complete" in played.report()["warnings"][-1]
    assert played.report()["warnings"][-1] == ended["first_warnings"][-1]
    assert "the table itself is complete" in text_of(s3, KEYS.page)
    assert text_of(s3, KEYS.table_sql).startswith("-- There is no statement for the run")
    assert "text of a row" not in text_of(s3, KEYS.table_sql)
    assert "a part of the report was not made" in caplog.messages


def test_page_and_statement_are_of_the_report_that_is_there(s3: S3) -> None:
    """A redriven run may have written another report since the machine that stops runs looked."""
    reviews(s3, 20)
    played = WholeRun(s3)
    played.run(asked(LITE))
    before, report = [text_of(s3, key) for key in (KEYS.page, KEYS.table_sql)], played.report()
    ended_before_its_jobs = {key: report[key] for key in ("contract", "run_id", "warnings")} | {"status": "ABORTED"}
    publish(s3, BUCKET, KEYS, ended_before_its_jobs, read_runs(s3, BUCKET, KEYS.run()), replaces='"another"')
    assert [text_of(s3, key) for key in (KEYS.page, KEYS.table_sql)] == before
    assert played.report() == report

    s3.put(BUCKET, KEYS.report, b"edited")
    publish(s3, BUCKET, KEYS, report | {"status": "ABORTED"}, replaces='"another"')
    assert "ABORTED" in text_of(s3, KEYS.page), "a report that cannot be read has no page"


# --- What the report says besides ---


class Timed(Jobs):
    """Bedrock that lists jobs with times."""


def times(*names: str, seconds: int = 600) -> Timed:
    begun = datetime(2026, 11, 29, 7, tzinfo=UTC)
    return Timed(
        *(
            {
                "jobName": name,
                "status": "Completed",
                "modelId": LITE,
                "submitTime": begun + timedelta(seconds=10 * number),
                "endTime": begun + timedelta(seconds=seconds + 60 * number),
            }
            for number, name in enumerate(names)
        )
    )


def ended(s3: S3, played: WholeRun, bedrock: Any, inventory: Any = None) -> dict[str, Any]:
    """Finish the run again, with what Bedrock lists by now."""
    finished(s3, played.state, bedrock, inventory)
    report: dict[str, Any] = played.report()
    check(report)
    return report


def test_the_times_of_jobs_are_those_that_bedrock_lists(s3: S3) -> None:
    reviews(s3, 30)
    played = WholeRun(s3)
    played.run(asked(LITE))
    names = [line["job_name"] for line in played.jobs]
    assert "timeline" not in played.report(), "Bedrock listed no job so far"
    report = ended(s3, played, times(*names))
    assert report["timeline"]["jobs"] == len(names) == 3
    assert report["timeline"]["job_seconds"] == {"least": 600.0, "median": 650.0, "most": 700.0}
    assert [job["job_name"] for job in report["slowest_jobs"]] == names[::-1]
    assert "Every job, in the order of submission" in text_of(s3, KEYS.page)


def test_queued_and_running_are_told_apart(s3: S3) -> None:
    reviews(s3, 30)
    played = WholeRun(s3)
    played.run(asked(LITE))
    names = [line["job_name"] for line in played.jobs]
    items = Items({names[0]: "2026-11-29T07:02:00.000Z", names[1]: "2026-11-29T07:03:10.500Z"})
    report = ended(s3, played, times(*names), items)
    assert items.asked["ExpressionAttributeValues"] == {":run_id": {"S": RUN}, ":job": {"S": "job/"}}
    assert report["timeline"]["queued_seconds"] == {"least": 120.0, "median": 150.25, "most": 180.5}
    running = {job["job_name"]: job.get("running_at") for job in report["slowest_jobs"]}
    assert running == {names[0]: "2026-11-29T07:02:00.000Z", names[1]: "2026-11-29T07:03:10.500Z", names[2]: None}
    said = seen(text_of(s3, KEYS.page)).text
    assert "In Bedrock's queue it waited 2 min to 3 min" in said
    assert "not known to have begun to run" in said, "the third job's event was lost"


def test_an_inventory_that_cannot_be_read_leaves_the_starts_unknown(s3: S3, caplog: pytest.LogCaptureFixture) -> None:
    reviews(s3, 10)
    played = WholeRun(s3)
    played.run(asked(LITE))
    names = [line["job_name"] for line in played.jobs]
    report = ended(s3, played, times(*names), Items(error="AccessDeniedException"))
    assert report["timeline"]["start_unknown"][0] == len(names)
    assert "the starts of jobs are not known" in caplog.messages
    assert "When jobs began to run is not known" in text_of(s3, KEYS.page)


@pytest.mark.parametrize(
    ("part", "warning"),
    [
        ("timeline.of_jobs", "no times of jobs"),
        ("examples.of_run", "no examples"),
        ("metrics.of_report", "adds nothing to the metrics"),
    ],
)
def test_a_part_of_the_report_that_cannot_be_made_is_a_warning(
    s3: S3, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: str, warning: str
) -> None:
    reviews(s3, 10)
    played = WholeRun(s3)
    played.run(asked(LITE, report={"examples": True}))

    def broken(*_: Any) -> Any:
        raise KeyError("SECRET of a row")

    monkeypatch.setattr(f"bedrock_batch.run.{part}", broken)
    report = ended(s3, played, times(*(line["job_name"] for line in played.jobs)))
    assert report["status"] == "SUCCEEDED"
    assert any(warning in one and "(KeyError)" in one for one in report["warnings"])
    assert "SECRET" not in json.dumps([record.__dict__ for record in caplog.records], default=str)


def test_an_error_that_may_pass_is_no_warning(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state machine calls again: then the report has everything."""
    reviews(s3, 10)
    played = WholeRun(s3)
    played.run(asked(LITE, report={"examples": True}))

    def slowed_down(*_: Any) -> Any:
        raise ClientError({"Error": {"Code": "SlowDown", "Message": "no"}}, "GetObject")

    monkeypatch.setattr("bedrock_batch.run.examples.of_run", slowed_down)
    with pytest.raises(ClientError, match="SlowDown"):
        finished(s3, played.state, times())


def test_a_run_whose_jobs_bedrock_does_not_list_has_a_report_all_the_same(
    s3: S3, caplog: pytest.LogCaptureFixture
) -> None:
    reviews(s3, 20)
    played = WholeRun(s3)
    played.run(asked(LITE))
    report = ended(s3, played, Jobs(error="AccessDeniedException"))
    assert "timeline" not in report
    assert "the times of jobs are not known" in caplog.messages
    assert "Bedrock did not list the times of the jobs." in text_of(s3, KEYS.page)


def test_settings_have_no_text_that_the_model_is_told(s3: S3) -> None:
    reviews(s3, 20)
    played = WholeRun(s3)
    wanted = {"type": "object", "properties": {"mood": {"type": "string", "description": "SECRET"}}}
    document = asked(LITE, prompt={"text": "SECRET {review}", "system": "SECRET"}, output={"schema": wanted})
    finished(s3, reviewed(s3, Jobs(), played.plan(document | {"dry_run": True})))
    report = played.report()
    assert "SECRET" in json.dumps(report.pop("first_record")), "a dry run shows what would be sent"
    assert "SECRET" not in json.dumps(report)
    assert "SECRET" not in text_of(s3, KEYS.page), "the page has it only for a run that asks for examples"
    assert report["settings"]["output"]["schema"] == ["mood"]
    assert report["settings"]["limits"]["max_rounds"] == 2
    assert len(report["prompt"]["sha256"]) == 64


# --- estimate.json ---


def test_the_estimate_is_a_file_before_any_spend(s3: S3) -> None:
    reviews(s3, 24, nulls={5})
    played = WholeRun(s3)
    state = reviewed(s3, Jobs(), played.plan(asked(LITE, price=PRICE, inference={"max_tokens": 10})))
    found = s3.get_json(BUCKET, KEYS.estimate)
    beside = {"contract": CONTRACT, "run_id": RUN, "model_id": LITE, "price": PRICE}
    assert found == beside | state["estimate"]


def test_the_estimate_of_several_models_has_each_ones_own(s3: S3) -> None:
    reviews(s3, 20)
    reviewed(s3, Jobs(), WholeRun(s3).plan(asked(LITE, MICRO, price={LITE: PRICE, MICRO: PRICE})))
    found = s3.get_json(BUCKET, KEYS.estimate)
    assert found["model_id"] == [LITE, MICRO] == [one["model_id"] for one in found["models"]]
    assert found["price"] == {LITE: PRICE, MICRO: PRICE}


def test_a_run_that_is_refused_for_its_estimate_has_it(s3: S3) -> None:
    reviews(s3, 20)
    document = asked(LITE, price=PRICE, inference={"max_tokens": 10}, limits={"budget_usd": 1e-7})
    with pytest.raises(BudgetExceeded):
        reviewed(s3, Jobs(), WholeRun(s3).plan(document))
    assert s3.get_json(BUCKET, KEYS.estimate)["cost_usd"] > 1e-7


# --- Examples ---


def lost(model_id: str, record_id: str) -> dict[str, Any]:
    return {"error": {"errorCode": 400, "errorMessage": "OF A ROW"}} if record_id.endswith("3") else {}


def test_texts_of_rows_are_shown_where_the_run_asks_for_examples(s3: S3) -> None:
    reviews(s3, 40)
    played = WholeRun(s3, lost)
    played.run(asked(LITE, report={"examples": True}))
    report = played.report()
    check(report)
    shown = report["examples"]
    assert shown["first_record"]["modelInput"]["messages"][0]["content"][0]["text"] == "Judge review 0"
    by_outcome = [(row["outcome"], row["row"]) for row in shown["rows"]]
    assert by_outcome == [
        ("succeeded", 1),
        ("succeeded", 2),
        ("failed", 4),
        ("succeeded", 11),
        ("failed", 14),
        ("failed", 24),
    ]
    assert shown["rows"][0]["response"].endswith("on Judge review 0")
    assert shown["rows"][2] == {"row": 4, "outcome": "failed", "error_code": "400", "error": "OF A ROW"}
    found = seen(text_of(s3, KEYS.page)).text
    assert "OF A ROW" in found and "on Judge review 0" in found


def test_of_several_models_each_has_examples(s3: S3) -> None:
    reviews(s3, 20)
    played = WholeRun(s3)
    played.run(asked(LITE, MICRO, report={"examples": True}))
    check(played.report())
    assert list(played.report()["examples"]) == [LITE, MICRO]


def test_no_text_of_a_row_gets_out_of_a_run_that_does_not_ask_for_examples(s3: S3) -> None:
    reviews(s3, 40)
    played = WholeRun(s3, lost)
    played.run(asked(LITE))
    for said in ("review 0", "OF A ROW", "Judge"):
        assert said not in text_of(s3, KEYS.page)
    assert not list(keys_with(s3, "examples"))
    assert "examples" not in played.report()


def keys_with(s3: S3, part: str) -> Iterator[str]:
    return (item.key for item in s3.list(BUCKET, "") if part in item.key)
