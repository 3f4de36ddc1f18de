"""The outcomes and errors of rows, and the rows that may still get an answer."""

import pytest

from bedrock_batch.answers.answer import Answer
from bedrock_batch.answers.outcome import ANSWERED, OPEN, OUTCOMES, Outcome
from bedrock_batch.contracts.lines import JobEnd
from bedrock_batch.join.row_outcomes import RowOutcomes


def given(outcome: Outcome) -> RowOutcomes:
    """Return the outcomes of three rows, of which the second has this one."""
    rows = RowOutcomes(3)
    rows.blame(JobEnd("j", "Expired", "raw/"))
    if outcome in (Outcome.SUCCEEDED, Outcome.INVALID):
        rows.answer(1, Answer("", b"text", "end_turn", 5, 6))
    if outcome is Outcome.INVALID:
        rows.invalidate(1, "no label")
    if outcome is Outcome.TRUNCATED:
        rows.answer(1, Answer("", b"text", "max_tokens", 5, 6))
    if outcome is Outcome.FAILED:
        rows.fail(1, "429", "throttled")
    if outcome is Outcome.SKIPPED:
        rows.skip(1, "NullColumn", "null")
    return rows


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_has_its_word_its_error_and_its_chances(outcome: Outcome) -> None:
    rows = given(outcome)
    assert rows.names(0, 3).to_pylist() == ["missing", outcome.value, "missing"]
    errors = {"invalid": "InvalidAnswer", "failed": "429", "skipped": "NullColumn", "missing": "Expired"}
    assert rows.error_codes(1, 2).to_pylist() == [errors.get(outcome)]
    assert (rows.error_codes(1, 2).null_count == 1) == (rows.errors(1, 2).null_count == 1) == (outcome in ANSWERED)
    assert (1 in rows.leftover_rows()) == (outcome in OPEN)
    assert rows.is_answered(1) == (outcome in ANSWERED)
    assert rows.is_skipped(1) == (outcome is Outcome.SKIPPED)
    counts = rows.joined(shard=0, output_key="k", size=1).outcomes
    assert counts == ({"missing": 3} if outcome is Outcome.MISSING else {outcome.value: 1, "missing": 2})
    assert {type(name) for name in counts} == {str}, "contracts hold plain words"
    assert rows.counts_of([1]) == {outcome.value: 1}
    assert rows.counts_of([]) == {}


def test_codes_are_those_of_the_words() -> None:
    assert [OUTCOMES[outcome.code] for outcome in Outcome] == [outcome.value for outcome in Outcome]
