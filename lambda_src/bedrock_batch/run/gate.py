"""Judge whether too many rows of a run failed."""

from collections.abc import Mapping

from bedrock_batch.answers.outcome import named
from bedrock_batch.errors import TooManyFailures, naming
from bedrock_batch.run.reconcile import Totals

FEW_ROWS = 50
"""With fewer rows, a percentage means little: such a run fails only if no row has an answer."""


def gate(totals: Totals, *, tolerated_failure_percentage: float) -> None:
    """Fail a run if too many of its rows have no answer. Everything is already written, so nothing is lost.

    The percentage is of the rows that were sent, and counts from `FEW_ROWS` rows on. A run without any answer fails at
    any percentage.

    Raises:
        TooManyFailures: the message has the numbers and the most frequent errors.
    """
    sent, answered = totals.sent, totals.answered
    failures = sent - answered
    few = sent < FEW_ROWS
    if answered and (few or failures * 100 <= tolerated_failure_percentage * sent):
        return
    share = f"{failures} of {sent} rows that were sent have no answer"
    if answered:
        share += f" ({failures / sent:.1%}, but at most {tolerated_failure_percentage:g}% are tolerated)"
    counts = ", ".join(f"{count} {name}" for name, count in totals.outcomes.items() if count)
    codes = named(totals.errors, totals.error_messages)
    raise TooManyFailures(f"{share}: {counts}." + (f" Most frequent errors: {codes}." if codes else ""))


def gate_each(totals_by_model: Mapping[str, Totals], *, tolerated_failure_percentage: float) -> list[str]:
    """Judge each model of a run alone. The name of the only model of a run is empty.

    Returns a warning for each model that failed, if others did not.

    Raises:
        TooManyFailures: too many rows of every model failed. The message names all models.
    """
    problems = []
    for model_id, totals in totals_by_model.items():
        try:
            with naming(model_id):
                gate(totals, tolerated_failure_percentage=tolerated_failure_percentage)
        except TooManyFailures as err:
            problems.append(str(err))
    if len(problems) == len(totals_by_model):
        raise TooManyFailures(" ".join(problems))
    return problems
