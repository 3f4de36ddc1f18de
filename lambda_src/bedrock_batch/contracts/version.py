"""The version of the contract: what functions hand to each other in events and in the files of a run.

A run keeps the functions that it began with, so normally all its events have one contract. There are exceptions: calls
by hand, and runs of a version that did not keep its functions. These must get an error, not a wrong result from fields
whose meaning has changed.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

from bedrock_batch.errors import ContractMismatch

CONTRACT = 1
"""Increase this when a field of an event or of a file changes its name or its meaning."""

_FIRST = 1
"""The first contract with a number. Events of version 0.1 have no number."""


def check_contract(event: object) -> None:
    """Raise ContractMismatch unless this code reads the event's contract: its own or the one before."""
    found = _of(event)
    if not _is_number(found):
        said = "has no contract" if found is None else f"has the contract {found!r}, which is not a number"
        raise ContractMismatch(
            f"The event {said}, so this version cannot read it: {_what_is_read()}. If version 0.1 of the module "
            "started this run, start a new run. Let runs of version 0.1 end before you upgrade."
        )
    if found > CONTRACT:
        raise ContractMismatch(
            f"The event has contract {found}, but {_what_is_read()}. Deploy the version of the module that started "
            "this run, or a newer one."
        )
    if found < CONTRACT - 1:
        raise ContractMismatch(
            f"The event has contract {found}, but {_what_is_read()}. An older version of the module started this run. "
            "Start a new run."
        )


def check_document(document: object, name: str, what_to_do: str) -> None:
    """Raise ContractMismatch unless this code reads a file's contract. `name` and `what_to_do` are for the message."""
    found = _of(document)
    if not _is_number(found) or not CONTRACT - 1 <= found <= CONTRACT:
        said = "no contract" if found is None else f"contract {found!r}"
        raise ContractMismatch(f"{name} has {said}, but {_what_is_read()}. {what_to_do}")


def _of(document: object) -> Any:
    return document.get("contract") if isinstance(document, Mapping) else None


def _is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _what_is_read() -> str:
    before = f"s {CONTRACT - 1} and" if CONTRACT > _FIRST else ""
    return f"this function reads contract{before} {CONTRACT}"
