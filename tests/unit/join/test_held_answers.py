"""Answers that do not fit are dropped and read again: the table is the same for any limit."""

import random
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from bedrock_batch.answers.answer import Parsed
from bedrock_batch.answers.text_parser import TextParser
from bedrock_batch.answers.vector_parser import VectorParser
from bedrock_batch.join import held_answers
from bedrock_batch.join.joiner import Joiner
from bedrock_batch.join.output_columns import output_schema
from tests.unit.join.test_joiner import SHARD, TABLE, rid, table
from tests.unit.output_lines import CONVERSE, TITAN, converse, line

ROWS = 100


def joined(kind: str, lines: list[bytes], held_bytes: int = 10**9) -> tuple[pa.Table, int]:
    """Return the joined table and how often the answers were read again."""
    dimensions = None if kind == "text" else 3
    parse = TextParser(CONVERSE) if dimensions is None else VectorParser(TITAN, dimensions)
    readings = 0

    def answers() -> Iterator[Parsed]:
        nonlocal readings
        readings += 1
        for start in range(0, len(lines), 7):
            yield parse(b"\n".join(lines[start : start + 7]))

    joiner = Joiner(
        shard=SHARD,
        rows=ROWS,
        kind="text" if dimensions is None else "embedding",
        dimensions=dimensions,
        held_bytes=held_bytes,
    )
    joiner.skip(
        [{"row": 10, "code": "EmptyText", "reason": "blank"}], first_row=0
    )  # There is an answer to this row too.
    for some in answers():
        joiner.add(some)
    schema = output_schema(
        TABLE, {"prefix": ""}, kind="text" if dimensions is None else "embedding", dimensions=dimensions
    )
    return pa.Table.from_batches(list(joiner.join(table(ROWS), schema, answers)), schema), readings - 1


def lines_of(kind: str) -> list[bytes]:
    """Return lines in any order: some rows twice, some failed before or after, some never answered."""
    lines = []
    for row in range(ROWS):
        if row % 5 == 0:
            lines.append(line(rid(row), error={"errorCode": 429, "errorMessage": "slow down"}))
        if row % 7:
            answer = converse("é" * row + str(row)) if kind == "text" else {"embedding": [row, 0.5, -1]}
            lines += [line(rid(row), answer)] * (1 + row % 2)
    random.Random(1).shuffle(lines)
    return lines


@pytest.mark.parametrize("kind", ["text", "embedding"])
def test_whatever_the_limit_the_table_is_the_same(kind: str) -> None:
    lines = lines_of(kind)
    expected, again = joined(kind, lines)
    assert again == 0 and expected.num_rows == ROWS
    for limit in (1, 90, 600, 5_000):
        found, again = joined(kind, lines, limit)
        assert found.equals(expected)
        assert (again > 0) == (limit < 5_000 or kind == "text")


@pytest.mark.parametrize("kind", ["text", "embedding"])
def test_blocks_of_successes_fill_a_window_alone(kind: str) -> None:
    """A block without a failure is added as a whole, but only the answers within the window are held."""
    lines = [
        line(rid(row), converse(str(row)) if kind == "text" else {"embedding": [row, 0.5, -1]}) for row in range(ROWS)
    ]
    random.Random(2).shuffle(lines)
    expected, _ = joined(kind, lines)
    found, again = joined(kind, lines, 600)
    assert found.equals(expected) and again > 0
    values = found["response" if kind == "text" else "embedding"].to_pylist()
    assert values == [None if row == 9 else str(row) if kind == "text" else [row, 0.5, -1] for row in range(ROWS)]


def test_of_two_successes_the_first_is_found_again() -> None:
    lines = [line(rid(row), converse(f"{word} {row}")) for word in ("first", "second") for row in range(ROWS)]
    found, again = joined("text", lines, 300)
    assert found["response"].to_pylist() == [None if row == 9 else f"first {row}" for row in range(ROWS)]
    assert again > 10


def test_no_more_is_held_than_the_limit() -> None:
    texts = held_answers.Texts(1_000, 10_000)
    for row in range(1_000):
        texts.put(row, b"x" * 400)
        kept = [text for text in texts.column(texts.start, texts.stop).to_pylist() if text]
        assert len(kept) * 400 <= 10_000
    assert texts.stop > 10
    texts.move(500, 1_000)
    assert 500 < texts.stop < 550


def test_a_window_of_vectors_goes_when_it_moves() -> None:
    """A row group that waits to be written must not keep the whole window in memory."""
    vectors = held_answers.Vectors(1_000, 4, 100 * 4 * 4)
    vectors.put(1, np.array([1, 2, 3, 4]))
    column = vectors.column(0, 2)
    vectors.move(100, 1_000)
    assert (vectors.start, vectors.stop) == (100, 200)
    assert column.to_pylist() == [None, [1, 2, 3, 4]]
    assert column.values.buffers()[1].size == 4 * 4


def test_reasoning_is_held_with_its_answer_and_falls_with_it() -> None:
    """Each row has the reasoning of the answer that is kept, for any limit."""
    response = {**CONVERSE, "reasoning_tag": "think"}
    lines = []
    for row in range(ROWS):
        said = ["<think>a{}</think>good", "good {}", "<think>cut {}"][row % 3].format(row)
        lines.append(line(rid(row), converse(said)))
        if row % 5 == 0:
            lines.append(line(rid(row), error={"errorCode": 429, "errorMessage": "slow down"}))
        if row % 4 == 0:
            lines.append(line(rid(row), converse(f"<think>second {row}</think>second")))
    schema = output_schema(TABLE, {"prefix": "", "reasoning": True}, kind="text")
    expected = []
    for row in range(ROWS):
        said, thought = [("good", f"a{row}"), (f"good {row}", None), (None, f"cut {row}")][row % 3]
        if said is None and row % 5 == 0:
            thought = None  # an error came later
        if said is None and row % 4 == 0:
            said, thought = "second", f"second {row}"
        expected.append((said, thought))
    for limit in (10**9, 5_000, 900, 100):
        joiner = Joiner(shard=SHARD, rows=ROWS, kind="text", reasoning=True, held_bytes=limit)
        parse = TextParser(response, reasoning=True)

        def answers(parse: TextParser = parse) -> Iterator[Parsed]:
            for start in range(0, len(lines), 2):
                yield parse(b"\n".join(lines[start : start + 2]))

        for some in answers():
            joiner.add(some)
        found = pa.Table.from_batches(list(joiner.join(table(ROWS), schema, answers)), schema)
        columns = (found[name].to_pylist() for name in ("response", "reasoning"))
        assert list(zip(*columns, strict=True)) == expected
