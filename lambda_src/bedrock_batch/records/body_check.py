"""Check ready-made bodies before they are sent: Bedrock checks bodies only after it has accepted the job.

Records are many and similar. So a body is decoded as a whole only if no earlier body had the same members.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import UnsupportedRequest
from bedrock_batch.models import catalogue, refusals
from bedrock_batch.models.answer_paths import check_tools, has_tools
from bedrock_batch.models.catalogue import Family

_Members = dict[str, msgspec.Raw]


class _Turn(msgspec.Struct, gc=False):
    content: str | list[_Members] | None = None


_members = msgspec.json.Decoder(_Members).decode
_turns = msgspec.json.Decoder(list[_Turn]).decode


class BodyCheck:
    """Checks the bodies of a run against the model's rules, and that their vectors have `dimensions`, if not None.

    `warnings` are the sentences of rules that warn and do not refuse.
    """

    def __init__(self, family: Family, response: Mapping[str, str], dimensions: int | None) -> None:
        self.warnings: list[str] = []
        self._family, self._response, self._dimensions = family, response, dimensions
        self._seen: set[Any] = set()

    @staticmethod
    def of(run: Run) -> "BodyCheck":
        """Return the check for the bodies of a planned run."""
        return BodyCheck(catalogue.resolve(run.model_id, run.invocation_type), run.response, run.dimensions)

    def look(self, body: bytes) -> None:
        """Check one body. Raises UnsupportedRequest."""
        try:
            members = _members(body)
            kind = (*members, *_blocks(members))
            if kind not in self._seen:
                self._look(json.loads(body, parse_int=_whole))
                self._seen.add(kind)
            length = None if self._dimensions is None else _length(self._family, members)
        except (ValueError, RecursionError):
            raise UnsupportedRequest("its modelInput cannot be read as JSON, or is nested too deeply.") from None
        if length not in (None, self._dimensions):
            raise UnsupportedRequest(
                f"it asks for a vector of {str(length)[:20]} dimensions, but the run's vectors have "
                f"{self._dimensions}. All vectors of a table must have one length. Start a run for each length."
            )

    def _look(self, body: Mapping[str, Any]) -> None:
        if has_tools(body):
            check_tools(self._family, self._response)
        for warning in refusals.check_body(self._family, body):
            if warning not in self.warnings:
                self.warnings.append(warning)


def length(family: Family, body: bytes) -> Any:
    """Return the dimensions of the vector that a body asks for, None if they are not known."""
    try:
        return _length(family, _members(body))
    except (ValueError, RecursionError):
        return None


def _length(family: Family, members: _Members) -> Any:
    pointer = family.body.places.get("dimensions") if family.body else None
    if pointer is None:
        return None
    *outer, last = pointer.split("/")[1:]
    for step in outer:
        members = _members(members[step]) if step in members else {}
    return json.loads(bytes(members[last])) if last in members else family.dimensions.get("default")


def _blocks(members: _Members) -> list[Any]:
    """Return the content blocks of a body's messages; skip what does not have the usual form."""
    if "messages" not in members:
        return []
    try:
        turns = _turns(members["messages"])
    except msgspec.ValidationError:
        return ["odd"]
    contents = [turn.content for turn in turns]
    return [tuple(map(tuple, content)) if isinstance(content, list) else content is None for content in contents]


def _whole(digits: str) -> int | str:
    """Return an integer, or the digits themselves if they are too many for Python."""
    return int(digits) if len(digits) < 4000 else digits
