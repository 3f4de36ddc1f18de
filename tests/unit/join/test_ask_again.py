"""Retries: only the limit changes, each record gets at most one more answer, and the better answer is kept."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bedrock_batch.answers.answer import Answer, Failure
from bedrock_batch.answers.answer_schema import Reader
from bedrock_batch.contracts.lines import JobEnd
from bedrock_batch.join.ask_again import Chooser, Due, counted, due, larger
from bedrock_batch.join.joiner import Joiner
from bedrock_batch.join.output_columns import output_schema
from bedrock_batch.models import catalogue
from bedrock_batch.models.request_body import body_template
from bedrock_batch.record_ids import record_id

SCHEMA = {"type": "object", "properties": {"verdict": {"enum": ["good", "bad"]}}, "required": ["verdict"]}
TABLE = pa.schema([pa.field("id", pa.int64())])
BOTH = ("truncated", "invalid")

Line = Answer | Failure


@pytest.mark.parametrize("invocation_type", ["Converse", "InvokeModel"])
@pytest.mark.parametrize(
    "model",
    [
        "amazon.nova-lite-v1:0",
        "anthropic.claude-3-haiku",
        "meta.llama3-1-8b",
        "mistral.mistral-small-2402",
        "openai.gpt-oss-20b",
        "qwen.qwen3",
    ],
)
def test_a_line_differs_in_its_limit_alone(model: str, invocation_type: catalogue.InvocationType) -> None:
    family = catalogue.resolve(model, invocation_type)
    assert family.body is not None

    def line(most: int) -> bytes:
        body = body_template(
            family,
            prompt='maxTokens":30, é \u2028',
            system=None,
            inference={"max_tokens": most, "top_p": 0.1},
            embedding={},
        )
        record = {"recordId": "00042000017", "modelInput": body}
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()

    retry = {"max_tokens": 900, "place": family.body.places["max_tokens"]}
    assert larger(line(30), retry) == line(900)
    assert larger(line(30), {"max_tokens": None, "place": None}) == line(30)


# --- Which answer counts ---

# A line, and the outcome of a row that has only this line.
FATES: dict[str, tuple[Any, ...]] = {
    "good": (b'{"verdict": "good"}', "end_turn", "succeeded"),
    "other": (b'{"verdict": "bad"}', "end_turn", "succeeded"),
    "cut": (b'{"verdict": "go', "max_tokens", "truncated"),
    "cut_whole": (b'{"verdict": "bad"}', "length", "truncated"),
    "wordless": (None, "max_tokens", "failed"),
    "invalid": (b'{"verdict": "maybe"}', "end_turn", "invalid"),
    "withheld": (b"I would", "refusal", "truncated"),
    "empty": (None, "end_turn", "failed"),
    "throttled": ("429", None, "failed"),
    "refused": ("400", None, "failed"),
    "nothing": (None, None, "missing"),
}
ASKED = {"cut": "truncated", "cut_whole": "truncated", "wordless": "truncated", "invalid": "invalid"}


def lines(fate: str, row: int, tokens: int) -> list[Line]:
    name = record_id(0, row)
    said, reason, _ = FATES[fate]
    if fate == "nothing":
        return []
    if isinstance(said, str):
        return [Failure(name, said, "no")]
    return [Answer(name, said, reason, tokens, tokens)]


def join(jobs: list[tuple[int | None, list[Line]]], rows: int, outcomes: tuple[str, ...]) -> tuple[Any, ...]:
    """Join as the handler does; return the rows, the counts, and the rows to ask again."""
    retry = {"outcomes": outcomes}
    reader = Reader(SCHEMA)
    chooser = None
    if any(step is not None for step, _ in jobs):
        chooser = Chooser(shard=0, rows=rows, retry=retry, reader=reader)
        for step, found in jobs:
            chooser.look(step, [found])

    def answers() -> Any:
        for number, (_, found) in enumerate(jobs):
            yield from [found] if chooser is None else chooser.counting(number, [found])

    joiner = Joiner(shard=0, rows=rows, kind="text", reader=reader)
    joiner.end([JobEnd(f"j{number}", "Completed", "raw/", "", step) for number, (step, _) in enumerate(jobs)])
    for some in answers():
        joiner.add(some)
    schema = output_schema(TABLE, {"prefix": "", "schema": SCHEMA}, kind="text")
    batch = pa.record_batch([pa.array(range(rows), pa.int64())], schema=TABLE)
    found = pa.Table.from_batches(joiner.join([batch], schema, answers), schema).to_pylist()
    rows_due = due(joiner, chooser, retry)
    joined = counted(joiner.joined(output_key="k", size=1), joiner, chooser, rows_due)
    places = [*rows_due.first, *rows_due.again, *joiner.outcomes.leftover_rows()]
    assert len(set(places)) == len(places) == joined.leftovers + joined.retries, "a record has one place in its file"
    return found, joined, rows_due


fates = st.sampled_from(sorted(FATES))
LEFT = ("throttled", "nothing")


@given(
    rows=st.lists(st.tuples(fates, fates, fates, fates), min_size=1, max_size=8),
    outcomes=st.sampled_from([("truncated",), ("invalid",), BOTH]),
)
@example(rows=[("wordless", "throttled", "good", "good")], outcomes=("truncated",))
@example(rows=[("wordless", "refused", "good", "good")], outcomes=("truncated",))
@example(rows=[("cut", "wordless", "good", "good")], outcomes=("truncated",))
@example(rows=[("throttled", "cut", "nothing", "good")], outcomes=("truncated",))
@settings(max_examples=300)
def test_a_second_answer_counts_and_a_retry_takes_nothing_away(
    rows: list[tuple[str, ...]], outcomes: tuple[str, ...]
) -> None:
    """Four rounds. Leftovers and retries go into the next one, until a model answers or refuses the record again."""
    count = len(rows)
    first = [line for row, fate in enumerate(rows) for line in lines(fate[0], row, 1)]
    jobs: list[tuple[int | None, list[Line]]] = [(None, first)]
    shown = [fate[0] for fate in rows]
    paid_for = [1] * count
    listed, over, answered = set[int](), set[int](), set[int]()
    lost = 0
    for round_ in (1, 2, 3):
        _, joined, found = join(jobs, count, outcomes)
        again = [row for row, fate in enumerate(shown) if ASKED.get(fate) in outcomes and row not in over]
        assert found == Due([row for row in again if row not in listed], [row for row in again if row in listed])
        assert joined.retries == len(found.first)
        left = [row for row, fate in enumerate(shown) if fate in LEFT and row not in listed]
        answers = []
        for row in again + left:
            fate = rows[row][round_]
            new = lines(fate, row, 10**round_)
            answers += new
            has_text = isinstance(FATES[fate][0], bytes)
            had_text = isinstance(FATES[shown[row]][0], bytes)
            if row not in again:
                counts = bool(new)
            else:
                came = bool(new) and isinstance(new[0], Answer)
                counts = came and (has_text or not had_text)
                lost += paid_for[row] if counts else 10**round_ if came else 0
                answered |= {row} if came else set()
                over |= {row} if fate not in LEFT else set()
            if counts:
                shown[row], paid_for[row] = fate, 10**round_
        listed |= set(again)
        if again or left:
            jobs.append((round_, answers))
    table, joined, _ = join(jobs, count, outcomes)
    assert [row["outcome"] for row in table] == [FATES[fate][2] for fate in shown]
    texts = [FATES[fate][0] for fate in shown]
    assert [row["response"] for row in table] == [text.decode() if isinstance(text, bytes) else None for text in texts]
    assert sum(joined.retried.values()) == len(answered)
    paid = sum(row["input_tokens"] or 0 for row in table)
    assert (joined.input_tokens, joined.output_tokens) == (paid + lost, paid + lost)


def test_the_first_answer_stays_where_a_record_was_not_sent_again() -> None:
    """The same line twice, in one job or in two, does not count as a second answer."""
    first = lines("cut", 0, 1) + lines("cut", 1, 1) + lines("good", 0, 9)
    assert join([(None, first), (None, lines("good", 1, 9))], 2, BOTH)[2] == Due([0, 1], [])
    jobs = [(None, first + lines("throttled", 2, 1)), (4, lines("other", 0, 1) + lines("good", 0, 5))]
    found, joined, again = join(jobs, 3, BOTH)
    assert [row["response"] for row in found] == ['{"verdict": "bad"}', '{"verdict": "go', None]
    assert again == Due([], [1]), "that one was not asked"
    assert (joined.retried, joined.input_tokens) == ({"succeeded": 1}, 3)


def test_two_pooled_jobs_of_one_round_are_one_chance() -> None:
    jobs = [(None, lines("cut", 0, 1) + lines("cut", 1, 1)), (2, lines("cut", 0, 1)), (2, lines("good", 1, 1))]
    found, joined, again = join(jobs, 2, BOTH)
    assert [row["outcome"] for row in found] == ["truncated", "succeeded"]
    assert (again, joined.retried) == (Due([], []), {"succeeded": 1, "truncated": 1})


def test_a_first_answer_in_a_round_of_retries_has_its_own_chance_later() -> None:
    jobs = [(None, lines("cut", 1, 1)), (2, lines("cut", 0, 1)), (2, lines("good", 1, 1))]
    assert join(jobs, 2, BOTH)[2] == Due([0], [])
    assert join([*jobs, (3, lines("good", 0, 1))], 2, BOTH)[1].retried == {"succeeded": 2}


def test_a_refusal_beside_an_answer_without_words_is_no_reason_to_ask_again() -> None:
    first = lines("wordless", 0, 1) + lines("refused", 0, 1) + lines("cut", 1, 1)
    assert join([(None, first)], 2, BOTH)[2] == Due([1], [])
    assert join([(None, first), (2, lines("good", 1, 1))], 2, BOTH)[1].retried == {"succeeded": 1}


@pytest.mark.parametrize("fate", ["throttled", "nothing"])
def test_a_record_is_asked_again_until_a_model_answers_it(fate: str) -> None:
    """The same holds for a job of a later step that did not answer it, because every later file has the list."""
    jobs: list[tuple[int | None, list[Line]]] = [(None, lines("cut", 0, 1))]
    for step in (1, 2, 3):
        jobs.append((step, lines(fate, 0, 1)))
        _, joined, again = join(jobs, 1, BOTH)
        assert (again, joined.retries, joined.leftovers, joined.retried) == (Due([], [0]), 0, 1, {})
    found, joined, again = join([*jobs, (4, lines("good", 0, 1))], 1, BOTH)
    assert (found[0]["outcome"], again, joined.retried) == ("succeeded", Due([], []), {"succeeded": 1})


def test_a_refusal_is_no_answer_and_no_reason_to_ask_again() -> None:
    found, joined, again = join([(None, lines("cut", 0, 1)), (1, lines("refused", 0, 1))], 1, BOTH)
    assert (found[0]["outcome"], again, joined.retried, joined.leftovers) == ("truncated", Due([], []), {}, 0)
