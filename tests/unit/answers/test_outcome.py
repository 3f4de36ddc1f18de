"""Outcomes: what stop reasons and error codes mean for a row."""

import pytest
from botocore.session import get_session

from bedrock_batch.answers.outcome import OUTCOMES, STOP_REASONS, is_leftover, judge


@pytest.mark.parametrize(
    ("stop_reason", "outcome"),
    [
        ("end_turn", "succeeded"),
        ("stop_sequence", "succeeded"),
        ("stop", "succeeded"),
        ("tool_use", "succeeded"),
        (None, "succeeded"),
        ("a_word_of_next_year", "succeeded"),
        ("max_tokens", "truncated"),
        ("length", "truncated"),
        ("LENGTH", "truncated"),
        ("model_context_window_exceeded", "truncated"),
        ("content_filtered", "truncated"),
        ("refusal", "truncated"),
        ("guardrail_intervened", "truncated"),
    ],
)
def test_an_answer_with_text(stop_reason: str | None, outcome: str) -> None:
    assert judge(stop_reason, has_answer=True) == (outcome, None, None)


@pytest.mark.parametrize(
    ("stop_reason", "code"),
    [
        ("refusal", "refusal"),
        ("content_filtered", "content_filtered"),
        ("guardrail_intervened", "guardrail_intervened"),
        ("max_tokens", "max_tokens"),
        ("MAX_TOKENS", "max_tokens"),
        ("end_turn", "EmptyAnswer"),
        ("tool_use", "EmptyAnswer"),
        (None, "EmptyAnswer"),
    ],
)
def test_an_answer_without_text_failed_and_says_why(stop_reason: str | None, code: str) -> None:
    outcome, found, message = judge(stop_reason, has_answer=False)
    assert (outcome, found) == ("failed", code)
    assert stop_reason is None or stop_reason in str(message)


def test_every_stop_reason_of_converse_was_thought_of() -> None:
    """A new one in botocore must be judged on purpose, not by default."""
    known = get_session().get_service_model("bedrock-runtime").shape_for("StopReason").enum
    assert set(known) <= STOP_REASONS.keys()


@pytest.mark.parametrize("code", ["408", "429", "500", "503", "599", "expired", "ThrottlingException"])
def test_leftovers_may_still_be_answered(code: str) -> None:
    assert is_leftover("failed", code)


@pytest.mark.parametrize(
    "code", ["400", "403", "404", "424", "50", "5000", "5xx", "EmptyAnswer", "ValidationException"]
)
def test_what_fails_by_its_own_making_is_no_leftover(code: str) -> None:
    assert not is_leftover("failed", code)


def test_only_failed_and_missing_rows_can_be_leftovers() -> None:
    assert [outcome for outcome in OUTCOMES if is_leftover(outcome, "429")] == ["failed", "missing"]
    assert is_leftover("missing", "Failed")
