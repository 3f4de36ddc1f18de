"""The outcome of a row, from the model's stop reason or Bedrock's error code."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from bedrock_batch.row_errors import RowError


class Outcome(StrEnum):
    """The outcome of a row. JSON and the output table have the word. A join has one byte for each row: the `code`."""

    SUCCEEDED = "succeeded"
    TRUNCATED = "truncated"
    """The answer was cut, or the rest of it was withheld."""
    INVALID = "invalid"
    """The answer does not match `output.schema`."""
    FAILED = "failed"
    """An error came back, or an answer without content."""
    SKIPPED = "skipped"
    """The row was refused before submission."""
    MISSING = "missing"
    """No answer and no error came back."""

    @property
    def code(self) -> int:
        return _CODES[self]


_CODES = {outcome: code for code, outcome in enumerate(Outcome)}

OUTCOMES = tuple(outcome.value for outcome in Outcome)
"""The words in the order of their codes, which is also their order in a report."""

ANSWERED = frozenset({Outcome.SUCCEEDED, Outcome.TRUNCATED})
"""Outcomes of rows with a usable answer. Rows with other outcomes have an error code."""

OPEN = frozenset({Outcome.FAILED, Outcome.MISSING})
"""Outcomes of rows that may still get an answer."""

GUARDRAIL = "guardrail_intervened"
"""The stop reason of every answer that a guardrail changed. Converse sends this word."""

INTERVENED = "INTERVENED"
"""InvokeModel's word for the same. It sends the model's own stop reason too."""

Ended = Literal["whole", "cut", "withheld"]

STOP_REASONS: dict[str, Ended] = {
    # The model ended its answer. Converse, Nova and Claude; then OpenAI-shaped bodies and Llama.
    "end_turn": "whole",
    "stop_sequence": "whole",
    "stop": "whole",
    "tool_use": "whole",
    "tool_calls": "whole",
    "function_call": "whole",
    # The answer met a limit: Converse, Nova and Claude; OpenAI-shaped bodies and Llama; Converse and Claude.
    "max_tokens": "cut",
    "length": "cut",
    "model_length": "cut",  # Mistral: the context window is full
    "model_context_window_exceeded": "cut",
    # Claude paused within its own server-side tools; the text so far is not the end.
    "pause_turn": "cut",
    # Something stopped the model. The text is what the model said until then.
    "refusal": "withheld",  # Claude
    "content_filtered": "withheld",  # Converse, Nova
    "content_filter": "withheld",  # OpenAI-shaped bodies
    "malformed_model_output": "withheld",  # Converse
    "malformed_tool_use": "withheld",  # Converse
    # A guardrail intervened: the text is the guardrail's message, or the answer with masked parts.
    GUARDRAIL: "withheld",
}
"""Stop reasons of the model families (Bedrock user guide, "Inference request parameters"; botocore's
`StopReason` for Converse). A stop reason that is not in this list counts as whole, so that a new word does not turn
good answers into failures."""

_MET_MAX_TOKENS = frozenset({"max_tokens", "length"})

_MAY_STILL_BE_ANSWERED = {
    RowError.EXPIRED,  # The job reached its deadline before the record's turn.
    "408",  # the model took too long
    "429",  # throttled, or the model was not ready
    # The same errors by name, with the HTTP codes of the bedrock-runtime service model.
    "ModelTimeoutException",  # 408
    "ThrottlingException",  # 429
    "ModelNotReadyException",  # 429
    "InternalServerException",  # 500
    "ServiceUnavailableException",  # 503
}
_SERVER_ERROR = re.compile(r"5[0-9][0-9]")

_TOP_CODES = 10
"""Most error codes in a report."""


def ended(stop_reason: str | None) -> Ended:
    """Return how an answer ended. Some models write their stop reasons in capitals."""
    return STOP_REASONS.get((stop_reason or "").lower(), "whole")


def met_max_tokens(stop_reason: str | None) -> bool:
    """Return whether an answer met `max_tokens`: with a larger limit it would be longer."""
    return (stop_reason or "").lower() in _MET_MAX_TOKENS


def judge(stop_reason: str | None, *, has_answer: bool) -> tuple[Outcome, str | None, str | None]:
    """Return the outcome of a row that came back, and if it failed, its error code and message.

    The text of an answer that was cut or withheld is kept, because it was paid for. Such a row is `truncated`.
    """
    if has_answer:
        return (Outcome.SUCCEEDED if ended(stop_reason) == "whole" else Outcome.TRUNCATED), None, None
    if stop_reason and ended(stop_reason) != "whole":
        return Outcome.FAILED, stop_reason.lower(), f"the model stopped with {stop_reason} and gave no text"
    detail = f" (stop reason {stop_reason})" if stop_reason else ""
    return Outcome.FAILED, RowError.EMPTY_ANSWER, f"the model's answer is empty{detail}"


def is_leftover(outcome: str, error_code: str) -> bool:
    """Return whether a row may still get an answer, because the same request may succeed later.

    That is so if nothing came back, if Bedrock itself failed (5xx), or if it had too little time or capacity. Other 4xx
    errors are the record's fault, and the same request would get them again.
    """
    if outcome != Outcome.FAILED:
        return outcome == Outcome.MISSING
    return error_code in _MAY_STILL_BE_ANSWERED or _SERVER_ERROR.fullmatch(error_code) is not None


def most_frequent(codes: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent error codes, the most frequent first. A report has only these, to be readable."""
    return dict(sorted(codes.items(), key=lambda item: (-item[1], item[0]))[:_TOP_CODES])


def named(codes: Mapping[str, int], messages: Mapping[str, str]) -> str:
    """Return error codes for a sentence, each with its number of rows and the message of the first row."""
    return ", ".join(
        f"{code} ({count} rows)" + (f': "{messages[code]}"' if code in messages else "")
        for code, count in codes.items()
    )
