"""What must be true of each record, according to what Bedrock really did with it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.soak.oracle import LEFTOVER_CODES, MISSING, REFUSED_TWICE, SUCCEEDED, TRUNCATED, Key, Outcome
from tests.soak.schedules import MOST_REFUSALS


@dataclass(slots=True)
class Evidence:
    """All that came back for a record of a model, each with its moment: model outputs and error codes."""

    answers: list[tuple[int, Any]] = field(default_factory=list)
    codes: list[tuple[int, str]] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    """The moments of jobs that did nothing because the record is wrong."""

    @property
    def moments(self) -> list[int]:
        """The moments of its answers: one, or a second one after an answer that met its limit."""
        return sorted({at for at, _ in self.answers})

    @property
    def shown(self) -> Any:
        """The model output to keep."""
        return next(output for at, output in self.answers if at == self.moments[-1])

    def allows(self, outcome: Outcome) -> bool:
        """Return whether a row's outcome is right: an answer's if there is one, else an error's, else missing."""
        if self.answers:
            return outcome == (TRUNCATED if is_cut(self.shown) else SUCCEEDED)
        if len(self.refusals) >= MOST_REFUSALS:
            return outcome == REFUSED_TWICE
        if self.codes:
            last = max(at for at, _ in self.codes)
            return outcome in {("failed", code) for at, code in self.codes if at == last}
        return outcome == MISSING

    def settled_before(self, moment: int, *, retry: bool) -> bool:
        """Return whether the record must not be sent again: it was answered, refused for good, or refused by two jobs.

        With `retry`, a first answer that met its limit does not count.
        """
        if sum(at < moment for at in self.refusals) >= MOST_REFUSALS:
            return True
        before = [output for at, output in self.answers if at < moment]
        if any(at < moment and code not in LEFTOVER_CODES for at, code in self.codes):
            return True
        times = sum(at < moment for at in self.moments)
        return bool(before) and not (retry and times == 1 and is_cut(before[0]))

    def is_settled(self, *, retry: bool) -> bool:
        """Return whether the record can get no other result."""
        return self.settled_before(1 << 60, retry=retry)


def is_cut(output: Mapping[str, Any]) -> bool:
    return output.get("stopReason") == "max_tokens"


def read_evidence(lines: Iterable[tuple[int, int, dict[str, Any]]]) -> dict[Key, Evidence]:
    """Return the evidence of each record from output lines, each with the number of its model and its moment."""
    evidence: dict[Key, Evidence] = {}
    for model, at, line in lines:
        found = evidence.setdefault((model, line["recordId"]), Evidence())
        if "error" in line:
            found.codes.append((at, str(line["error"]["errorCode"])))
        else:
            found.answers.append((at, line["modelOutput"]))
    return evidence
