"""What became of a row, judged from the stop reason of the model or the error code of Bedrock."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from bedrock_batch.row_errors import RowError


class Outcome(StrEnum):
    """What became of a row. JSON and the output table hold the words, a join one byte a row: the `code`."""

    SUCCEEDED = "succeeded"
    TRUNCATED = "truncated"
    """The answer was cut, or the model withheld the rest of it."""
    INVALID = "invalid"
    """The answer does not match `output.schema`."""
    FAILED = "failed"
    """An error came back, or an answer without content."""
    SKIPPED = "skipped"
    """Refused before submission."""
    MISSING = "missing"
    """No answer and no error came back."""

    @property
    def code(self) -> int:
        return _CODES[self]


_CODES = {outcome: code for code, outcome in enumerate(Outcome)}

OUTCOMES = tuple(outcome.value for outcome in Outcome)
"""The words, by code: also the order in which a report names them."""

ANSWERED = frozenset({Outcome.SUCCEEDED, Outcome.TRUNCATED})
"""Outcomes of rows with an answer that can be used; all others have an error code."""

OPEN = frozenset({Outcome.FAILED, Outcome.MISSING})
"""Outcomes of rows that an answer may still come for."""

GUARDRAIL = "guardrail_intervened"
"""The stop reason of every answer that a guardrail has touched. Converse says it in this word."""

INTERVENED = "INTERVENED"
"""How InvokeModel says the same, beside the model's own stop reason."""

Ended = Literal["whole", "cut", "withheld"]

STOP_REASONS: dict[str, Ended] = {
    # The model said all it wanted to say. Converse, Nova and Claude; then OpenAI-shaped bodies and Llama.
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
    # Something stepped in. Text that comes along is what was said until then.
    "refusal": "withheld",  # Claude
    "content_filtered": "withheld",  # Converse, Nova
    "content_filter": "withheld",  # OpenAI-shaped bodies
    "malformed_model_output": "withheld",  # Converse
    "malformed_tool_use": "withheld",  # Converse
    # A guardrail stepped in: the text is its message, or the answer with parts of it masked.
    GUARDRAIL: "withheld",
}
"""Stop reasons of the model families (Bedrock user guide, "Inference request parameters"; botocore's
`StopReason` for Converse). One that is not listed counts as whole: a new word must not turn
good answers into failures."""

_NAMES_THE_FAILURE = {reason for reason, ended in STOP_REASONS.items() if ended != "whole"}

MET_MAX_TOKENS = frozenset({"max_tokens", "length"})
"""Stop reasons of answers that a larger limit would have let go on."""

_MAY_STILL_BE_ANSWERED = {
    RowError.EXPIRED,  # the job's deadline came before the record's turn
    "408",  # the model took too long
    "429",  # throttled, or the model was not ready
    # The same by name, with the HTTP codes of the bedrock-runtime service model.
    "ModelTimeoutException",  # 408
    "ThrottlingException",  # 429
    "ModelNotReadyException",  # 429
    "InternalServerException",  # 500
    "ServiceUnavailableException",  # 503
}
_SERVER_ERROR = re.compile(r"5[0-9][0-9]")

_TOP_CODES = 10
"""The number of error codes that are reported by name."""


def judge(stop_reason: str | None, *, has_answer: bool) -> tuple[Outcome, str | None, str | None]:
    """Return the outcome of a row that came back, and the error code and message when it failed.

    Text of an answer that was cut or withheld is kept, because it was paid for: such a row is `truncated`.
    """
    if has_answer:
        whole = STOP_REASONS.get(stop_reason or "", "whole") == "whole"
        return (Outcome.SUCCEEDED if whole else Outcome.TRUNCATED), None, None
    if stop_reason in _NAMES_THE_FAILURE:
        return Outcome.FAILED, stop_reason, f"the model stopped with {stop_reason} and gave no text"
    detail = f" (stop reason {stop_reason})" if stop_reason else ""
    return Outcome.FAILED, RowError.EMPTY_ANSWER, f"the model's answer is empty{detail}"


def is_leftover(outcome: str, error_code: str) -> bool:
    """Tell whether a row may still get an answer: the same request can succeed another time.

    Either nothing came back for it, or Bedrock failed on its own side (5xx) or for want of time or capacity. The
    other 4xx are the fault of the record, and would come again.
    """
    if outcome != Outcome.FAILED:
        return outcome == Outcome.MISSING
    return error_code in _MAY_STILL_BE_ANSWERED or _SERVER_ERROR.fullmatch(error_code) is not None


def most_frequent(codes: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent error codes, the most frequent first: a report is for reading."""
    return dict(sorted(codes.items(), key=lambda item: (-item[1], item[0]))[:_TOP_CODES])


def named(codes: Mapping[str, int], messages: Mapping[str, str]) -> str:
    """Return error codes for a sentence, each with its number of rows and what the first of them says."""
    return ", ".join(
        f"{code} ({count} rows)" + (f': "{messages[code]}"' if code in messages else "")
        for code, count in codes.items()
    )
