"""Judge whether too many rows of a run failed."""

from collections.abc import Mapping

from bedrock_batch.answers.outcome import named
from bedrock_batch.errors import TooManyFailures, naming
from bedrock_batch.run.reconcile import Totals

FEW_ROWS = 50
"""With fewer rows sent a percentage says little: such a run fails only when no row has an answer."""


def gate(totals: Totals, *, tolerated_failure_percentage: float) -> None:
    """Fail a run when too many of its rows have no answer. Everything is written by then; nothing is lost.

    The percentage is of the rows sent, from `FEW_ROWS` on. A run without one answer fails whatever it tolerates.

    Raises:
        TooManyFailures: with the numbers and the most frequent errors.
    """
    sent, answered = totals.sent, totals.answered
    failures = sent - answered
    few = sent < FEW_ROWS
    if answered and (few or failures * 100 <= tolerated_failure_percentage * sent):
        return
    share = f"{failures} of {sent} rows sent have no answer"
    if answered:
        share += f" ({failures / sent:.1%}, tolerated are {tolerated_failure_percentage:g}%)"
    counts = ", ".join(f"{count} {name}" for name, count in totals.outcomes.items() if count)
    codes = named(totals.errors, totals.error_messages)
    raise TooManyFailures(f"{share}: {counts}." + (f" Most frequent errors: {codes}." if codes else ""))


def gate_each(totals_by_model: Mapping[str, Totals], *, tolerated_failure_percentage: float) -> list[str]:
    """Judge each model of a run alone. The name of a model is empty where it is the only one.

    Returns a warning for each model that failed where others did not.

    Raises:
        TooManyFailures: too many rows of every model failed; names all models.
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
