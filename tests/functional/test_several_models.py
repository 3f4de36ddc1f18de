"""One table for several models in one run: planned once, rendered once for each body, and a table of answers each."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import ShardJoin
from bedrock_batch.errors import CanaryFailed, InvalidRunInput, NoValidRows, TooManyFailures
from bedrock_batch.join.join_shard import join_shard
from bedrock_batch.run import salvage
from tests.conftest import BUCKET
from tests.functional.played import RUN, Jobs, finished, gathered, job, reviewed
from tests.functional.whole import (
    LITE,
    MICRO,
    MIN_RECORDS,
    TITAN,
    Document,
    MemoryS3,
    Verdict,
    WholeRun,
    asked,
    keys_below,
    reviews,
)
from tests.unit.factories import keys_of, stopped

THROTTLED = {"error": {"errorCode": 429, "errorMessage": "slow down"}}
REFUSED = {"error": {"errorCode": 400, "errorMessage": "not this"}}
CUT = {"output": {"message": {"content": [{"text": "cut"}]}}, "stopReason": "max_tokens"}
RETRY = {"outcomes": ["truncated"], "max_tokens": 900}


def assert_own_answers(played: WholeRun, rows: list[Document], model_id: str) -> Counter[str]:
    """Compare a model's table with the input, and its answers with the model; return its outcomes."""
    table = played.table(model_id)
    assert table.select(["id", "review"]).to_pylist() == rows
    outcomes: list[str] = table["bedrock_outcome"].to_pylist()
    if "bedrock_response" in table.column_names:
        for row, outcome, text in zip(rows, outcomes, table["bedrock_response"].to_pylist(), strict=True):
            assert text == (f"{model_id} on Judge {row['review']}" if outcome == "succeeded" else None)
    return Counter(outcomes)


def test_the_same_body_is_rendered_once(s3: S3) -> None:
    rows = reviews(s3, 24, nulls={3})
    played = WholeRun(s3)
    ended = played.run(asked(LITE, MICRO, output={"columns": ["id", "review"]}))
    assert keys_below(s3, "input/") == ["00000.jsonl", "00001.jsonl", "00002.jsonl"]
    assert keys_below(s3, "skipped/") == ["00000.jsonl"]
    parts = [f"part-0000{number}.parquet" for number in range(3)]
    assert keys_below(s3, "output/") == [
        f"bedrock_model={model}/{part}"
        for model in ("amazon.nova-lite-v1-0", "amazon.nova-micro-v1-0")
        for part in parts
    ]
    for model_id in (LITE, MICRO):
        assert assert_own_answers(played, rows, model_id) == {"succeeded": 23, "skipped": 1}
    # The jobs take turns, have names of their own, and read the same files.
    assert [line["request"]["ModelId"] for line in played.jobs] == [LITE, MICRO] * 3
    assert len({line["job_name"] for line in played.jobs}) == 6
    uris = [line["request"]["InputDataConfig"]["S3InputDataConfig"]["S3Uri"] for line in played.jobs]
    assert [uri.rpartition("/")[2] for uri in uris] == [f"0000{number}.jsonl" for number in (0, 0, 1, 1, 2, 2)]
    assert ended["rows"] == 24
    assert ended["outcomes"]["succeeded"] == 46
    assert [(one["model_id"], one["outcomes"]["succeeded"]) for one in ended["models"]] == [(LITE, 23), (MICRO, 23)]
    assert (
        ended["models"][1]["output_uri"] == f"s3://{BUCKET}/reviews/output/{RUN}/bedrock_model=amazon.nova-micro-v1-0/"
    )


def test_the_report_has_a_section_for_each_model_and_totals(s3: S3) -> None:
    reviews(s3, 24)
    price = {LITE: {"input": 2.0, "output": 4.0}, MICRO: {"input": 1.0, "output": 2.0}}
    WholeRun(s3).run(asked(LITE, MICRO, price=price, inference={"max_tokens": 10}))
    report = s3.get_json(BUCKET, keys_of(RUN).report)
    assert report["model_id"] == [LITE, MICRO]
    assert (report["rows"], report["rows_times_models"], sum(report["outcomes"].values())) == (24, 48, 48)
    assert (report["shards"], report["jobs"]) == (6, {"Completed": 6})
    assert (report["estimate"]["rows"], report["estimate"]["records"]) == (24, 48)
    assert "parts" not in report
    for section, folder in zip(
        report["models"], ("bedrock_model=amazon.nova-lite-v1-0", "bedrock_model=amazon.nova-micro-v1-0"), strict=True
    ):
        assert (section["rows"], section["shards"], section["jobs"]) == (24, 3, {"Completed": 3})
        assert section["output"] == f"s3://{BUCKET}/reviews/output/{RUN}/{folder}/"
        assert [part["key"].split("/")[-2] for part in section["parts"]] == [folder] * 3
    assert report["input_tokens"] == sum(section["input_tokens"] for section in report["models"])
    lite, micro = report["estimate"]["models"]
    assert lite["records"] == micro["records"] == 24
    assert lite["cost_usd"] == 2 * micro["cost_usd"] > 0
    assert report["estimate"]["cost_usd"] == pytest.approx(lite["cost_usd"] + micro["cost_usd"])


def test_different_bodies_are_rendered_apart(s3: S3) -> None:
    rows = reviews(s3, 24)
    played = WholeRun(s3)
    played.run(asked(LITE, TITAN, MICRO))
    # The third model reads what was rendered for the first.
    assert keys_below(s3, "input/") == [f"0000{number}.jsonl" for number in range(6)]
    documents = [s3.get_json(BUCKET, keys_of(RUN).run(number)) for number in range(3)]
    assert [document["rendered_as"] for document in documents] == [0, 1, 0]
    assert [document["kind"] for document in documents] == ["text", "embedding", "text"]
    for model_id in (LITE, TITAN, MICRO):
        assert assert_own_answers(played, rows, model_id) == {"succeeded": 24}
    assert set(map(len, played.table(TITAN)["bedrock_embedding"].to_pylist())) == {1024}


def test_a_model_that_fails_does_not_spoil_the_others(s3: S3) -> None:
    rows = reviews(s3, 24)
    played = WholeRun(s3, lambda model_id, record_id: REFUSED if model_id == MICRO else {})
    ended = played.run(asked(LITE, MICRO))
    (warning,) = ended["first_warnings"]
    assert warning.startswith(f"{MICRO}: 24 of 24 rows that were sent have no answer: 24 failed")
    assert (played.report()["status"], played.report()["warnings"]) == ("SUCCEEDED", [warning])
    assert assert_own_answers(played, rows, LITE) == {"succeeded": 24}
    assert assert_own_answers(played, rows, MICRO) == {"failed": 24}
    lite, micro = played.report()["models"]
    assert (lite["errors"], micro["errors"]) == ({}, {"400": 24})


def test_leftovers_of_models_are_never_mixed(s3: S3) -> None:
    rows = reviews(s3, 24)
    seen: Counter[tuple[str, str]] = Counter()

    def verdict(model_id: str, record_id: str) -> dict[str, Any]:
        seen[model_id, record_id] += 1
        # The first model leaves 12 records over in its first job, the second 3.
        left = int(record_id[-2:]) < (4 if model_id == LITE else 1)
        return THROTTLED if left and seen[model_id, record_id] == 1 else {}

    played = WholeRun(s3, verdict)
    played.run(asked(LITE, MICRO))
    pooled = [line for line in played.jobs if "pool" in line]
    assert [(line["request"]["ModelId"], line["records"]) for line in pooled] == [(LITE, 6), (LITE, 6)]
    assert played.steps == ["run_jobs", "run_jobs", "join", "answer", "join", "finish"]
    (chunk,) = s3.lines(BUCKET, keys_of(RUN).answers(0))
    assert {sent["shard"] for sent in chunk["leftover_lines"]} == {3, 4, 5}
    assert chunk["raw_key"] == f"reviews/work/{RUN}/raw/on-demand-0-1/00000.jsonl.out"
    for model_id in (LITE, MICRO):
        assert assert_own_answers(played, rows, model_id) == {"succeeded": 24}


def test_each_model_has_its_own_tail(s3: S3) -> None:
    """Both models have the same record ids: an on-demand answer of one must not be used for the other."""
    rows = reviews(s3, 4)
    played = WholeRun(s3)
    played.run(asked(LITE, MICRO))
    assert played.steps == ["answer", "join", "finish"]
    assert [line["chunk"] for line in s3.lines(BUCKET, keys_of(RUN).answers(0))] == [0, 1]
    for model_id in (LITE, MICRO):
        assert assert_own_answers(played, rows, model_id) == {"succeeded": 4}


def test_a_tail_is_answered_for_the_models_that_have_one(s3: S3) -> None:
    rows = reviews(s3, 24)
    played = WholeRun(s3, lambda model_id, record: THROTTLED if model_id == LITE or record.endswith("0") else {})
    ended = played.run(asked(LITE, MICRO, limits={"max_rounds": 0}))
    assert any(warning.startswith(f"{LITE}: 24 of 24") for warning in ended["first_warnings"])
    assert played.steps == ["run_jobs", "answer", "join", "finish"]
    assert assert_own_answers(played, rows, LITE) == {"failed": 24}, "a job's worth, and no round is left"
    assert assert_own_answers(played, rows, MICRO) == {"succeeded": 24}


def test_a_lost_chunk_is_told_to_the_rows_of_its_model(s3: S3) -> None:
    reviews(s3, 4)
    played = WholeRun(s3)
    state = reviewed(s3, Jobs(), played.plan(asked(LITE, MICRO)))
    first, second = played.step(state)
    lost = {"chunk": second["chunk"], "error": "Sandbox.Timedout", "cause": "late"}
    state = gathered(s3, Jobs(), state | {"result": played.map([first, lost])})
    ends = [event["jobs"] for event in s3.lines(BUCKET, state["joins_key"])]
    assert [(end["job_name"], end["status"], end["message"]) for (end,) in ends] == [
        ("on-demand-0", "Completed", ""),
        ("on-demand-0-1", "Failed", "Sandbox.Timedout: late"),
    ]


def test_warnings_are_those_of_each_model(s3: S3) -> None:
    reviews(s3, 4)
    played = WholeRun(s3)
    played.run(asked(LITE, "acme.chat"))
    report = played.report()
    lite, acme = report["models"]
    assert lite["warnings"] == []
    assert len(acme["warnings"]) == 1
    few = "4 records are fewer than {}, so they are answered on demand, at about twice the batch price"
    tails = [f"{LITE}: {few.format(5)}", f"acme.chat: {few.format(100)}"]
    assert report["warnings"] == acme["warnings"] + tails
    assert report["estimate"]["warnings"] == tails


def test_models_with_other_quotas_of_bytes_are_rendered_apart(s3: S3) -> None:
    reviews(s3, 24)
    small = ("Batch inference input file size (in GB) for Nova Micro V1", 0.5)
    played = WholeRun(s3)
    played.plan(asked(LITE, MICRO), quotas=[small])
    assert s3.get_json(BUCKET, keys_of(RUN).run(1))["rendered_as"] == 1


def test_a_canary_that_fails_is_named(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews(s3, 24)
    played = WholeRun(s3)
    converse = played.converse

    def refusing(*, modelId: str, **body: Any) -> dict[str, Any]:
        return converse(modelId=modelId, **body) if modelId == LITE else {"output": {}}

    monkeypatch.setattr(played, "converse", refusing)
    with pytest.raises(CanaryFailed, match=f"^{MICRO}: Only 0 of the first 3 records were answered"):
        played.run(asked(LITE, MICRO, limits={"canary_records": 3}))
    assert played.steps == ["answer", "join"]
    assert played.jobs == []


def test_jobs_of_all_models_run_side_by_side(s3: S3) -> None:
    reviews(s3, 24)
    played = WholeRun(s3)
    state = played.plan(asked(LITE, MICRO, limits={"max_concurrent_jobs": 1000}))
    quota = s3.get_json(BUCKET, keys_of(RUN).run())["quotas"]["concurrent_jobs"]
    busy = Jobs(*(job(f"other-{number}", model=MICRO) for number in range(quota + 5)))
    assert reviewed(s3, busy, state)["max_concurrent_jobs"] == quota + 1
    assert reviewed(s3, Jobs(), state)["max_concurrent_jobs"] == 2 * quota


def test_a_model_and_its_profile_share_one_quota(s3: S3) -> None:
    reviews(s3, 24)
    state = WholeRun(s3).plan(asked(LITE, f"us.{LITE}", limits={"max_concurrent_jobs": 1000}))
    quota = s3.get_json(BUCKET, keys_of(RUN).run())["quotas"]["concurrent_jobs"]
    assert reviewed(s3, Jobs(), state)["max_concurrent_jobs"] == quota


def test_a_stopped_run_keeps_what_each_model_answered(s3: S3) -> None:
    rows = reviews(s3, 24, nulls={3})
    played = WholeRun(s3)
    state = reviewed(s3, Jobs(), played.plan(asked(LITE, MICRO)))
    results = list(played.step(state))
    done = [
        job(line["job_name"], "Completed" if line["request"]["ModelId"] == LITE else "Stopped") for line in played.jobs
    ]
    for line in played.jobs:
        if line["request"]["ModelId"] == MICRO:
            raw = next(iter(s3.list(BUCKET, line["raw_prefix"])))
            s3.put(BUCKET, raw.key, b"")
    found = salvage.gather(s3, Jobs(*done), stopped(RUN, BUCKET)).to_json()
    events = list(s3.lines(BUCKET, found["joins_key"]))
    assert [one["shard"] for one in events] == list(range(6))
    assert [bool(one["skipped_key"]) for one in events] == [True, False, False] * 2
    assert all(one["replaces"] for one in events), "each knows its part"
    joins = [{"joined": join_shard(s3, ShardJoin.from_json(one)).to_json()} for one in events]
    finished(s3, found | {"result": played.map(joins)})
    assert len(results) == 6
    assert assert_own_answers(played, rows, LITE) == {"succeeded": 23, "skipped": 1}
    assert assert_own_answers(played, rows, MICRO) == {"missing": 23, "skipped": 1}
    report = played.report()
    assert (report["salvaged"], report["jobs"]) == (True, {"Completed": 3, "Stopped": 3})
    assert [section["jobs"] for section in report["models"]] == [{"Completed": 3}, {"Stopped": 3}]
    assert (report["rows"], report["rows_times_models"]) == (24, 48)


@given(
    rows=st.integers(1, 30),
    nulls=st.sets(st.integers(0, 29)),
    models=st.permutations([LITE, TITAN, MICRO]).flatmap(lambda all_: st.sampled_from([all_, all_[:2]])),
    limits=st.fixed_dictionaries(
        {"max_rounds": st.integers(0, 2), "on_demand_tail": st.booleans(), "canary_records": st.sampled_from([0, 3])}
    ),
    verdicts=st.data(),
)
# An example is a whole run: making a failing one small would take minutes.
@settings(max_examples=40, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_every_row_of_every_model_has_one_outcome(
    rows: int, nulls: set[int], models: list[str], limits: Document, verdicts: Any
) -> None:
    s3 = S3(MemoryS3())
    table = reviews(s3, rows, nulls)
    played = WholeRun(s3, lambda *_: verdicts.draw(st.sampled_from([{}, {}, THROTTLED, REFUSED, None])))
    document = asked(*models, limits=limits)
    if len(nulls & set(range(rows))) == rows:
        with pytest.raises(NoValidRows):
            played.run(document)
        return
    if rows - len(nulls & set(range(rows))) < MIN_RECORDS and not (
        limits["on_demand_tail"] or limits["canary_records"]
    ):
        with pytest.raises(InvalidRunInput, match="fewer than the 5 "):
            played.run(document)
        return
    try:
        played.run(document)
    except TooManyFailures:
        assert any(not section["outcomes"]["succeeded"] for section in played.report()["models"])
    assert played.steps.count("answer") <= 2
    assert played.steps.count("run_jobs") <= limits["max_rounds"] + 2
    assert len({line["job_name"] for line in played.jobs}) == len(played.jobs)
    assert all(line["records"] >= 5 for line in played.jobs)
    for model_id, section in zip(models, played.report()["models"], strict=True):
        outcomes = assert_own_answers(played, table, model_id)
        assert outcomes["skipped"] == len(nulls & set(range(rows)))
        assert {name: count for name, count in section["outcomes"].items() if count} == outcomes


def test_a_retry_is_of_the_model_whose_answer_was_cut(s3: S3) -> None:
    """The second model gets the records of the first, so their ids are not those of its own shards."""
    rows = reviews(s3, 12)
    asked_before: set[str] = set()

    def verdict(model_id: str, record_id: str) -> Verdict:
        if model_id == LITE or record_id in asked_before:
            return {}
        asked_before.add(record_id)
        return {"modelOutput": CUT}

    played = WholeRun(s3, verdict)
    played.run(asked(LITE, MICRO, inference={"max_tokens": 100}, retry=RETRY))
    assert Counter(model_id for model_id, _ in played.sent) == {LITE: 12, MICRO: 24}
    for model_id in (LITE, MICRO):
        assert assert_own_answers(played, rows, model_id) == {"succeeded": 12}


def test_a_retry_is_sent_once_where_the_canary_was_skipped(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pass is then the tail: it comes after the jobs, so its answers are second answers."""
    reviews(s3, 24, nulls={0, 1, 2})
    played = WholeRun(s3, lambda _, record_id: {"modelOutput": CUT} if record_id.endswith("1") else {})
    again: list[str] = []

    def cut_again(*, modelId: str, **body: Any) -> Document:
        again.append(modelId)
        return dict(CUT)

    monkeypatch.setattr(played, "converse", cut_again)
    played.run(asked(LITE, MICRO, inference={"max_tokens": 100}, retry=RETRY, limits={"canary_records": 3}))
    assert Counter(again) == {LITE: 3, MICRO: 3}, "one of each shard"
    assert played.report()["retried"] == {"records": 6, "truncated": 6}
