"""Joining: every row once, in order, with the right outcome, for any output lines."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_batch.answers.answer import Answers
from bedrock_batch.answers.lines import whole_lines
from bedrock_batch.answers.text_parser import TextParser
from bedrock_batch.answers.vector_parser import VectorParser
from bedrock_batch.contracts.lines import JobEnd
from bedrock_batch.errors import InvalidRunInput
from bedrock_batch.join.joiner import Joiner
from bedrock_batch.join.output_columns import output_schema
from bedrock_batch.record_ids import record_id
from tests.unit.output_lines import CONVERSE, TITAN, block, converse, line

SHARD = 42
TABLE = pa.schema([pa.field("id", pa.int64()), pa.field("text", pa.string())])
JOB = JobEnd(job_name="reviews-r0-00042", status="PartiallyCompleted", raw_prefix="raw/", message="timed out")


def rid(row: int) -> str:
    return record_id(SHARD, row)


def table(rows: int) -> list[pa.RecordBatch]:
    """Return source rows in batches of three."""
    whole = pa.record_batch([pa.array(range(rows), pa.int64()), pa.array([f"t{i}" for i in range(rows)])], schema=TABLE)
    return [whole.slice(start, 3) for start in range(0, rows, 3)]


def joiner_of(lines: list[bytes], rows: int, *, jobs: list[JobEnd] | None = None) -> Joiner:
    joiner = Joiner(shard=SHARD, rows=rows, kind="text")
    joiner.end([JOB] if jobs is None else jobs)
    parse = TextParser(CONVERSE)
    for part in whole_lines([b"".join(one + b"\n" for one in lines)]):
        joiner.add(parse(part))
    return joiner


def rows_of(joiner: Joiner, rows: int) -> list[dict[str, Any]]:
    schema = output_schema(TABLE, {"prefix": ""}, kind="text")
    return list(pa.Table.from_batches(joiner.join(table(rows), schema), schema).to_pylist())


def join(lines: list[bytes], rows: int, **options: Any) -> list[dict[str, Any]]:
    return rows_of(joiner_of(lines, rows, **options), rows)


def test_a_row_whose_line_is_absent_is_missing_and_told_of_its_job() -> None:
    """Three rows in, two lines out: three rows, one of them missing."""
    found = join([line(rid(0), converse("a")), line(rid(2), converse("c"))], 3)
    assert [row["outcome"] for row in found] == ["succeeded", "missing", "succeeded"]
    assert (found[1]["error_code"], found[1]["response"], found[1]["input_tokens"]) == (
        "PartiallyCompleted",
        None,
        None,
    )
    assert found[1]["error"] == "job reviews-r0-00042 ended PartiallyCompleted: timed out"


def test_rows_stay_in_the_order_of_the_input() -> None:
    """The output is shuffled."""
    found = join([line(rid(row), converse(f"answer {row}")) for row in (4, 0, 3, 1, 2)], 5)
    assert [(row["id"], row["text"], row["response"]) for row in found] == [
        (row, f"t{row}", f"answer {row}") for row in range(5)
    ]


def test_an_error_line_keeps_code_and_message() -> None:
    found = join([line(rid(0), error={"errorCode": 400, "errorMessage": "temperature and top_p"})], 1)
    expected = {"outcome": "failed", "error_code": "400", "error": "temperature and top_p", "response": None}
    assert found[0].items() >= expected.items()


def test_one_bad_vector_among_a_thousand_costs_one_row() -> None:
    joiner = Joiner(shard=SHARD, rows=1000, kind="embedding", dimensions=2)
    lines = [line(rid(row), {"embedding": [row, 0.5], "inputTextTokenCount": 3}) for row in range(1000)]
    lines[17] = line(rid(17), error={"errorCode": 500, "errorMessage": "oops"})
    joiner.add(VectorParser(TITAN, 2)(b"\n".join(lines)))
    schema = output_schema(TABLE, {"prefix": ""}, kind="embedding", dimensions=2)
    found = pa.Table.from_batches(joiner.join(table(1000), schema), schema)
    assert found["embedding"].to_pylist() == [None if row == 17 else [row, 0.5] for row in range(1000)]
    assert found.slice(17, 1).to_pylist()[0].items() >= {"outcome": "failed", "error_code": "500"}.items()
    counts = joiner.joined(output_key="k", size=1)
    assert counts.outcomes == {"succeeded": 999, "failed": 1}
    assert (counts.leftovers, counts.input_tokens, counts.output_tokens) == (1, 2997, 0)


def test_empty_tool_and_multi_block_bodies() -> None:
    bodies = [[], [block(toolUse={"name": "f"})], [block(text="part1 "), block(text="part2")]]
    lines = [line(rid(row), converse() | {"output": {"message": {"content": body}}}) for row, body in enumerate(bodies)]
    found = join(lines, 3)
    assert [(row["outcome"], row["error_code"], row["response"]) for row in found] == [
        ("failed", "EmptyAnswer", None),
        ("failed", "EmptyAnswer", None),
        ("succeeded", None, "part1 part2"),
    ]
    assert [row["input_tokens"] for row in found] == [7, 7, 7]  # paid for, answered or not


def test_an_answer_cut_short_says_so() -> None:
    found = join([line(rid(0), converse("half an ans", stop="max_tokens"))], 1)
    assert (found[0]["outcome"], found[0]["response"], found[0]["stop_reason"]) == (
        "truncated",
        "half an ans",
        "max_tokens",
    )


def test_the_table_s_columns_come_first_and_ours_in_their_order() -> None:
    ours = ["outcome", "response", "stop_reason", "input_tokens", "output_tokens", "error_code", "error"]
    schema = output_schema(TABLE.with_metadata({"k": "v"}), {"prefix": "bedrock_"}, kind="text")
    assert schema.names == ["id", "text", *(f"bedrock_{name}" for name in ours)]
    assert schema.metadata == {b"k": b"v"}
    embedding = output_schema(TABLE, {"prefix": ""}, kind="embedding", dimensions=3)
    assert embedding.names == ["id", "text", "outcome", "embedding", "input_tokens", "error_code", "error"]
    assert embedding.field("embedding").type == pa.list_(pa.field("element", pa.float32()))


@pytest.mark.parametrize("taken", ["response", "Response", "error"])
def test_a_column_of_ours_never_hides_one_of_the_input(taken: str) -> None:
    """The input has a column `response`."""
    mine = TABLE.append(pa.field(taken, pa.string()))
    with pytest.raises(InvalidRunInput, match=f"column {taken.lower()}. Set output.prefix"):
        output_schema(mine, {"prefix": ""}, kind="text")
    assert output_schema(mine, {"prefix": "bedrock_"}, kind="text").names[2:4] == [taken, "bedrock_outcome"]


def test_user_keys_are_data_and_never_join() -> None:
    """Ids of the user's own, doubled, integers or floats, go through untouched."""
    schema = pa.schema([pa.field("record_id", pa.float64()), pa.field("n", pa.int64())])
    batch = pa.record_batch([pa.array([1.5, 1.5]), pa.array([2**53 + 1, 2**53 + 1])], schema=schema)
    joiner = joiner_of([line(rid(1), converse("second")), line(rid(0), converse("first"))], 2)
    out = output_schema(schema, {"prefix": ""}, kind="text")
    found = pa.Table.from_batches(joiner.join([batch], out), out).to_pylist()
    assert [(row["record_id"], row["n"], row["response"]) for row in found] == [
        (1.5, 2**53 + 1, "first"),
        (1.5, 2**53 + 1, "second"),
    ]


@pytest.mark.parametrize("status", ["Completed", "PartiallyCompleted", "Stopped", "Expired", "Failed"])
def test_partial_output_counts_whatever_the_job_s_status(status: str) -> None:
    """600 of 1,000 lines give 600 answers and 400 leftovers."""
    job = JobEnd(job_name="j", status=status, raw_prefix="raw/")
    joiner = joiner_of([line(rid(row), converse("x")) for row in range(600)], 1000, jobs=[job])
    counts = joiner.joined(output_key="k", size=1)
    assert (counts.outcomes, counts.leftovers) == ({"succeeded": 600, "missing": 400}, 400)
    assert counts.errors == {status: 400}
    no_line = ", but its output has no line for this row" if status == "Completed" else ""
    assert rows_of(joiner, 1000)[999]["error"] == f"job j ended {status}{no_line}"


def test_a_missing_row_blames_the_job_that_was_asked_last() -> None:
    jobs = [
        JobEnd(job_name=f"j{n}", status=status, raw_prefix="raw/") for n, status in enumerate(["Expired", "Stopped"])
    ]
    assert join([], 1, jobs=jobs)[0]["error"] == "job j1 ended Stopped"


def test_a_shard_without_a_job_has_no_answers_to_look_for() -> None:
    found = join([], 2, jobs=[])
    assert [(row["outcome"], row["error_code"]) for row in found] == [("missing", "NotCreated")] * 2


def test_foreign_lines_are_counted_and_change_nothing() -> None:
    foreign = [None, "", "x", "00041000000", "00042000002", "0004200000", "00042 00000", "0004200000²", "000420000000"]
    joiner = joiner_of([line(record_id, converse("no")) for record_id in foreign] + [b'{"recordId": "00042'], 2)
    assert (joiner.foreign, joiner.broken) == (len(foreign), 1)
    assert [row["outcome"] for row in rows_of(joiner, 2)] == ["missing", "missing"]


@pytest.mark.parametrize(
    "odd", [None, "", "00041000001", "00042000005", "0004200001", "000420000010", "0004200000²", "0004200000x"]
)
def test_one_odd_record_id_among_many_is_foreign_alone(odd: str | None) -> None:
    joiner = Joiner(shard=SHARD, rows=5, kind="text")
    record_ids = [*(rid(row) for row in (0, 2, 3)), odd]
    joiner.add(Answers(record_ids, [b"x"] * 4, ["end_turn"] * 4, [1] * 4, [None] * 4))
    assert (joiner.foreign, joiner.joined(output_key="k", size=1).outcomes) == (1, {"succeeded": 3, "missing": 2})


def test_one_row_twice_among_many_is_a_duplicate() -> None:
    joiner = Joiner(shard=SHARD, rows=3, kind="text")
    joiner.add(
        Answers([rid(row) for row in (0, 1, 0)], [b"0", b"1", b"2"], ["max_tokens"] * 3, [1] * 3, [2] * 3),
    )
    found = rows_of(joiner, 3)
    assert [(row["outcome"], row["response"]) for row in found] == [
        ("truncated", "0"),
        ("truncated", "1"),
        ("missing", None),
    ]
    assert (joiner.duplicates, [row["output_tokens"] for row in found]) == (1, [2, 2, None])


def odd_answers() -> list[bytes]:
    """Return answers of all shapes: of several blocks or none, cut, without counts, without text."""
    outputs = [
        converse("a"),
        converse("b", stop="max_tokens"),
        converse("c", stop=None),
        converse("d", "\u2028e"),
        converse(),
        converse(""),
        {**converse("f"), "usage": None},
        {**converse("g"), "usage": {"inputTokens": 3}},
        {**converse("h"), "stopReason": "a new word"},
        {**converse("i"), "output": None},
    ]
    return [line(rid(row), output) for row, output in enumerate(outputs * 3)]


@pytest.mark.parametrize("size", [1, 2, 3, 30])
def test_answers_of_any_shape_join_together_as_they_do_one_by_one(size: int) -> None:
    lines, parse = odd_answers(), TextParser(CONVERSE)
    together, apart = (Joiner(shard=SHARD, rows=len(lines), kind="text") for _ in range(2))
    for start in range(0, len(lines), size):
        together.add(parse(b"\n".join(lines[start : start + size])))
    for one in lines:
        # A line that is no object makes its block be read, and added, line by line.
        apart.add(parse(one + b"\nnull"))
    found = rows_of(together, len(lines))
    assert found == rows_of(apart, len(lines))
    assert [row["response"] for row in found[:10]] == ["a", "b", "c", "d\u2028e", None, None, "f", "g", "h", None]
    assert [row["stop_reason"] for row in found[:3]] == ["end_turn", "max_tokens", None]


def test_counts_without_sense_add_up() -> None:
    most = 2**63 - 1
    joiner = joiner_of([line(rid(row), converse("x", tokens=(most, row))) for row in range(3)], 4)
    counts = joiner.joined(output_key="k", size=1)
    assert (counts.input_tokens, counts.output_tokens) == (3 * most, 3)


def test_skipped_rows_keep_their_reason() -> None:
    joiner = Joiner(shard=SHARD, rows=3, kind="text")
    joiner.skip([{"row": 302, "code": "NullColumn", "reason": "column text is null"}], first_row=300)
    joiner.end([JOB])
    joiner.add(TextParser(CONVERSE)(b"\n".join(line(rid(row), converse("x")) for row in range(3))))
    found = rows_of(joiner, 3)
    assert [row["outcome"] for row in found] == ["succeeded", "skipped", "succeeded"]
    assert (found[1]["error_code"], found[1]["error"], found[1]["response"]) == (
        "NullColumn",
        "column text is null",
        None,
    )
    counts = joiner.joined(output_key="k", size=9)
    assert (counts.outcomes, counts.leftovers) == ({"succeeded": 2, "skipped": 1}, 0)
    assert (counts.errors, counts.input_tokens, joiner.foreign) == ({"NullColumn": 1}, 14, 1)


def test_the_first_success_stays() -> None:
    lines = [
        line(rid(0), error={"errorCode": 429, "errorMessage": "slow down"}),
        line(rid(0), converse("first", tokens=(1, 2))),
        line(rid(0), converse("second", tokens=(100, 200), stop="max_tokens")),
        line(rid(0), error={"errorCode": 400, "errorMessage": "bad"}),
    ]
    joiner = joiner_of(lines, 1)
    found = rows_of(joiner, 1)[0]
    assert (found["outcome"], found["response"], found["error_code"], found["stop_reason"]) == (
        "succeeded",
        "first",
        None,
        "end_turn",
    )
    counts = joiner.joined(output_key="k", size=1)
    assert (joiner.duplicates, counts.input_tokens, counts.output_tokens) == (2, 1, 2)
    assert (counts.leftovers, counts.errors) == (0, {})


def test_of_several_failures_the_latest_tells() -> None:
    lines = [
        line(rid(0), error={"errorCode": 429, "errorMessage": "slow down"}),
        line(rid(0), error={"errorCode": 400, "errorMessage": "bad"}),
        line(rid(1), error={"errorCode": 400, "errorMessage": "bad"}),
        line(rid(1), error={"errorCode": "ThrottlingException", "errorMessage": "slow down"}),
    ]
    joiner = joiner_of(lines, 2)
    assert [row["error_code"] for row in rows_of(joiner, 2)] == ["400", "ThrottlingException"]
    assert joiner.joined(output_key="k", size=1).leftovers == 1


def test_only_the_most_frequent_codes_are_reported() -> None:
    lines = [line(rid(row), error={"errorCode": 400 + min(row, 15), "errorMessage": ""}) for row in range(30)]
    errors = joiner_of(lines, 30).joined(output_key="k", size=1).errors
    assert list(errors.items())[:2] == [("415", 15), ("400", 1)]
    assert len(errors) == 10


@settings(max_examples=50, deadline=None)
@given(
    vectors=st.lists(
        st.none() | st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        max_size=20,
    ),
    seed=st.randoms(use_true_random=False),
)
def test_vectors_come_back_bit_for_bit(vectors: list[list[float] | None], seed: Any) -> None:
    lines = [line(rid(row), {"embedding": vector}) for row, vector in enumerate(vectors) if vector is not None]
    seed.shuffle(lines)
    joiner = Joiner(shard=SHARD, rows=len(vectors), kind="embedding", dimensions=3)
    joiner.add(VectorParser(TITAN, 3)(b"\n".join(lines)))
    schema = output_schema(TABLE, {"prefix": ""}, kind="embedding", dimensions=3)
    found = pa.Table.from_batches(joiner.join(table(len(vectors)), schema), schema)["embedding"].to_pylist()
    assert [vector is None for vector in found] == [vector is None for vector in vectors]
    kept = [np.array(vector, np.float32).tobytes() for vector in found if vector is not None]
    assert kept == [np.array(vector, np.float32).tobytes() for vector in vectors if vector is not None]


def test_what_was_not_answered_or_throttled_is_left_over() -> None:
    lines = [line(rid(1), converse("yes")), line(rid(2), error={"errorCode": 429, "errorMessage": "slow down"})]
    joiner = joiner_of(lines, 4)
    joiner.end([JobEnd("first", "Completed", "raw/first/"), JobEnd("last", "Expired", "raw/last/")])
    assert joiner.outcomes.leftover_rows() == [0, 2, 3]
    assert joiner.joined(output_key="k", size=1).leftovers == 3
