"""The page of every kind of run: what it says, that it holds no text of rows, and its size."""

import json
import re
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedrock_batch.answers.outcome import named
from bedrock_batch.page import outcome, page, remedies
from bedrock_batch.page.style import POLICY, RULES
from tests.report_schema import check
from tests.unit.page import reports
from tests.unit.page.reports import KINDS, PLACE, Report
from tests.unit.page.test_markup import Seen, any_text, seen

MOST_BYTES = 500_000
SECONDS = 10.0
"""Of a page on this machine; Finish run has 300 in all."""

HOSTILE = "\u202e\"'<script>&\x00\ud800</style>"


def drawn(report: Report) -> str:
    return page.draw(report, place=PLACE)


@pytest.fixture(params=sorted(KINDS.keys() - {"large"}))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_reports_of_these_tests_are_reports(kind: str) -> None:
    check(json.loads(json.dumps(KINDS[kind])))


def test_a_page_says_how_the_run_ended(kind: str) -> None:
    report = KINDS[kind]
    found = seen(drawn(report))
    assert report["run_id"] in found.text
    words = {"FAILED": "Failed", "ABORTED": "Stopped"}.get(report["status"], "Succeeded")
    assert ("Dry run: nothing was sent" if report.get("dry_run") else words) in found.text
    for warning in report["warnings"][:5]:
        assert warning[:36] in found.text


def test_what_to_do_is_in_the_words_of_the_documents() -> None:
    found = seen(drawn(reports.failed_in_planning())).text
    assert "MissingColumn: the run input names a column that the table does not have; nothing was spent." in found
    assert "Do this: use one of the columns that the message lists; start a new run." in found
    assert "Did you mean {review}?" in found
    stopped = seen(drawn(reports.salvaged())).text
    assert "Do this: nothing, if it was on purpose: its jobs are stopped and its answers joined." in stopped
    assert "Otherwise redrive (bedrock-batch redrive saturday --name reviews), within 14 days" in stopped
    assert "the rows without an answer (bedrock-batch fetch saturday --name reviews --unanswered)." in stopped


@pytest.mark.parametrize(
    ("error", "status", "row"),
    [
        ("Lambda.Unknown", "FAILED", "Lambda.…"),
        ("Sandbox.Timedout", "FAILED", "Lambda.…"),
        ("DynamoDB.AmazonDynamoDBException", "FAILED", "Bedrock.…"),
        ("States.Timeout", "FAILED", "States.Timeout"),
        ("ChunkTaken", "FAILED", "TransientError"),
        ("KeyError", "FAILED", "another name"),
        ("Unheard", "FAILED", "another name"),
        ("", "ABORTED", "none, with the status ABORTED"),
        ("", "TIMED_OUT", "none, with the status TIMED_OUT"),
    ],
)
def test_every_error_has_a_remedy(error: str, status: str, row: str) -> None:
    found = remedies.of_error(error, status)
    (expected,) = [one for one in remedies._tables()["errors"] if one["error"].startswith(row)]
    assert (found.what, found.do) == (expected["what"], expected["do"])


@pytest.mark.parametrize(
    ("child", "what"),
    [
        ("OnDemandRefused", "Bedrock refused calls on demand"),
        ("Bedrock.AccessDeniedException", "the service failed"),
        ("Unheard", "children of"),
    ],
)
def test_the_remedy_of_a_child_says_more_than_that_of_its_map(child: str, what: str) -> None:
    report = {"status": "FAILED", "error": "States.ExceedToleratedFailureThreshold"}
    assert remedies.of_report(report).what.startswith("children of")
    assert remedies.of_report(report | {"failed_children": [{"error": child}]}).what.startswith(what)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("599", "Bedrock failed"),
        ("400", "Bedrock or the model"),
        ("teapot", None),
        *((code, None) for code in ("²", "5²0", "\u0665\u0660\u0660", "", "9" * 5_000)),
    ],
    ids=lambda value: str(value)[:9],
)
def test_codes_of_rows_have_remedies(code: str, cause: str | None) -> None:
    found = remedies.of_code(code)
    assert found.what.startswith(cause) if found and cause else (found, cause) == (None, None)


def test_no_remedy_shows_its_markdown() -> None:
    tables = remedies._tables()
    for row in [*tables["errors"], *tables["codes"]]:
        for value in row.values():
            values = remedies.values("R", "s3://bucket/N")
            shown = seen(remedies.shown(remedies.with_commands(value), values)).text
            assert not re.search(r"`|\*\*|\]\(|\$[A-Z]", shown), shown
            assert remedies.plain(remedies.with_commands(value), values).replace("`", "") == shown


# --- Texts of rows and prompts ---


def test_texts_of_rows_are_not_on_the_page_of_a_run_that_did_not_ask_for_examples(kind: str) -> None:
    assert "SECRET" not in drawn(KINDS[kind]) or "examples" in KINDS[kind]
    assert "SECRET" in json.dumps(reports.failed_at_the_gate()), "the report itself has it"


@given(st.text(min_size=1, max_size=40))
def test_an_error_of_a_row_that_a_message_quotes_is_not_shown(said: str) -> None:
    """The form of a quote is that of `named`, which every message uses that has some."""
    quoted = named({"400": 3, "429": 1}, {"400": f"<<{said}>>", "429": f"<<{said}>>"})
    message = f"3 of 4 rows have no answer. Most frequent errors: {quoted}. The table is complete."
    shown = outcome.without_rows({}, message)
    assert "<<" not in shown and shown.startswith("3 of 4 rows have no answer. Most frequent errors: 400 (3 rows) …")
    assert outcome.without_rows({"examples": {}}, message) == message


def test_examples_are_shown_where_the_run_asks_for_them() -> None:
    found = seen(drawn(reports.with_examples())).text
    for said in ("SHOWN text of a row", "SECRET of a row", "I think it is fine", "It boils."):
        assert said in found
    assert "Examples of rows" not in drawn(reports.with_warnings())


def test_the_first_record_of_a_dry_run_is_shown_where_the_run_asks_for_examples() -> None:
    report = reports.dry()
    assert "It boils." not in drawn(report)
    assert "The first record, as it would be sent, is in report.json." in seen(drawn(report)).text
    asked = report["settings"] | {"report": {"examples": True}}
    assert "It boils." in seen(drawn(report | {"settings": asked})).text


# --- Figures ---


def test_a_run_without_jobs_shows_no_estimate_of_them() -> None:
    found = seen(drawn(reports.good() | {"jobs": {}, "failed_jobs": [], "rounds": []})).text
    assert "Jobs0all records on demand" in found
    assert "Jobs5estimated, first round" in seen(drawn(reports.stopped_before_any_job())).text


def test_a_cost_without_a_price_is_not_known_rather_than_not_bounded() -> None:
    unknown = reports.estimate(output_tokens=None, cost_usd=None, cost_unknown="the run input has no price")
    found = seen(drawn(reports.dry() | {"estimate": unknown})).text
    assert "Output tokensnot boundedCostnot known" in found


def test_one_row_has_an_answer() -> None:
    one = {"rows": 1, "outcomes": reports.outcomes(succeeded=1)}
    assert "1 of 1 row has an answer." in seen(drawn(reports.good() | one)).text


@pytest.mark.parametrize("more", [0, 0.4])
def test_times_that_read_the_same_are_no_range(more: float) -> None:
    job = reports.timed("only", 0, 0, 600)
    queued = {"least": 120.0, "median": 120.0, "most": 120.0 + more}
    times = {"timeline": reports.timeline([job]) | {"queued_seconds": queued}, "slowest_jobs": [job]}
    found = seen(drawn(reports.good() | times)).text
    assert "From submission to end a job took 10 min. In Bedrock's queue it waited 2 min." in found


def test_several_models_are_fetched_as_several_files() -> None:
    assert "As a file of each model: bedrock-batch fetch" in seen(drawn(KINDS["of-models"])).text
    assert "As one file: bedrock-batch fetch" in seen(drawn(KINDS["good"])).text


# --- Safe ---


def test_there_is_no_script_and_nothing_from_elsewhere(kind: str) -> None:
    found = seen(drawn(KINDS[kind]))
    names = {name for name, _ in found.elements}
    assert names.isdisjoint({"script", "img", "iframe", "object", "embed", "form", "base", "a"})
    for name, attributes in found.elements:
        assert not [key for key in attributes if key.startswith("on") or key == "style"], name
        for key in ("href", "src", "srcset", "action", "xlink:href"):
            assert attributes.get(key) in (None, "data:,")
    policies = [a["content"] for n, a in found.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [POLICY]
    assert "default-src 'none'" in POLICY and "unsafe" not in POLICY
    assert RULES.count("prefers-color-scheme") == RULES.count("@media screen and (prefers-color-scheme:dark)"), (
        "on paper"
    )
    assert "@import" not in RULES and "http" not in RULES and "url(" not in RULES


def _hostile(value: Any) -> Any:
    """Return the report with every text of somebody else made hostile."""
    if isinstance(value, dict):
        return {key: _hostile(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_hostile(member) for member in value]
    return f"{value}{HOSTILE}" if isinstance(value, str) else value


def test_hostile_texts_stay_texts(kind: str) -> None:
    report = KINDS[kind]
    before, after = seen(drawn(report)), seen(drawn(_hostile(report) | {"status": report["status"]}))
    assert {name for name, _ in after.elements} <= {*(name for name, _ in before.elements), *ALWAYS}
    assert [name for name, _ in after.elements].count("style") == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(any_text, st.sampled_from(sorted(KINDS.keys() - {"large"})))
def test_any_text_anywhere_gives_a_page(value: str, name: str) -> None:
    changed = {"message": value, "warnings": [value], "run_id": value, "error": value, "status": "FAILED"}
    found = seen(drawn(KINDS[name] | changed))
    assert {element for element, _ in found.elements} <= {*(e for e, _ in seen(drawn(KINDS[name])).elements), *ALWAYS}


ALWAYS = {"bdi", "p", "strong", "code", "em", "ul", "li", "h2", "div"}

# --- Size ---


@pytest.mark.parametrize("text", ["", HOSTILE * 100, "x" * 20_000], ids=["plain", "hostile", "long"])
def test_a_page_has_at_most_half_a_megabyte(text: str) -> None:
    report = reports.large(10_000 if len(text) < 10_000 else 40, text)
    begun = time.process_time()
    size = len(drawn(report).encode())
    assert size <= MOST_BYTES
    assert time.process_time() - begun < SECONDS


def test_lists_that_end_say_how_much_more_there_is() -> None:
    found = seen(drawn(KINDS["large"])).text
    assert found.count("report.json has 197 more models.") == 2, "of examples, and of first records"
    for said in ("… and 9,985 more.", "… and 980 more.", "… and 160 more.", "… and 9,980 more"):
        assert said in found


def test_members_of_a_record_that_are_left_out_are_counted() -> None:
    record = {"recordId": "0", "modelInput": {"vector": [1] * 100, "others": {f"k{n}": n for n in range(90)}}}
    asked = reports.dry()["settings"] | {"report": {"examples": True}}
    found = seen(drawn(reports.dry() | {"first_record": record, "settings": asked})).text
    assert '"20 more"' in found and '"10 more": "…"' in found


def test_rounds_that_are_left_out_are_counted() -> None:
    report = reports.good()
    assert "… and 2 more." in seen(drawn(report | {"rounds": report["rounds"] * 7})).text
    assert "… and" not in seen(drawn(report)).text


# --- For everybody ---


def test_headings_are_in_order(kind: str) -> None:
    levels = [int(name[1]) for name, _ in seen(drawn(KINDS[kind])).elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_chart_has_words_and_every_head_a_scope(kind: str) -> None:
    elements = seen(drawn(KINDS[kind])).elements
    for name, attributes in elements:
        if name == "svg":
            assert attributes.get("aria-hidden") == "true" or (attributes["role"] == "img" and attributes["aria-label"])
        if name == "th":
            assert attributes["scope"] in ("row", "col")


def test_a_page_of_many_jobs_has_layers_and_one_of_few_has_bars() -> None:
    assert "Every job, in the order of submission" in drawn(KINDS["good"])
    found = seen(drawn(KINDS["large"]))
    assert "waiting for their turn in this run" in found.text
    # Jobs that are shorter than a step are counted at no end of a step.
    assert "Each step is 1 min long and shows the jobs at its end. Of 10,000 jobs, 3,700 at most were" in found.text
    paths = [attributes["d"] or "" for name, attributes in found.elements if name == "path" and "d" in attributes]
    assert max(map(len, paths)) > 1_000 and all(re.fullmatch(r"[MLZHVmlzhv0-9 .-]+", d) for d in paths)


def test_a_page_that_only_says_the_end() -> None:
    found: Seen = seen(page.draw_end({"run_id": "<b>", "status": "FAILED"}))
    assert "<b>" in found.text and "FAILED" in found.text
