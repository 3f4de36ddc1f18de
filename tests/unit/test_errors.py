"""Errors say what to do: before the spend what to correct, after it what is kept."""

import pytest

from bedrock_batch import errors
from bedrock_batch.errors import after_spend

KEPT = "All answers are kept; a redrive costs nothing."


def said(error: Exception) -> str:
    """Return the message of an error that leaves an `after_spend` block. Its class does not change."""
    with pytest.raises(type(error)) as caught, after_spend(KEPT):
        raise error
    return str(caught.value)


def test_advice_for_the_plan_goes() -> None:
    changed = errors.InputChanged("s3://b/k changed after the run was planned.", advice="Start a new run.")
    assert str(changed) == "s3://b/k changed after the run was planned. Start a new run."
    repair = "Put the object back as the run wrote it."
    assert said(changed) == f"s3://b/k changed after the run was planned. {repair} {KEPT}"


def test_other_errors_keep_their_sentence() -> None:
    assert said(errors.TooLarge("too large.")) == f"too large. {KEPT}"
    assert said(OSError("gone")) == f"gone {KEPT}"


def test_what_says_so_itself_stays() -> None:
    assert said(errors.CanaryFailed("no job was started.")) == "no job was started."
    assert said(errors.OnDemandRefused("a redrive asks again.")) == "a redrive asks again."
