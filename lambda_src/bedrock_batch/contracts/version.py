"""The version of the contract: of what functions hand to each other, in events and in the files of a run.

A run keeps the functions that it began with, so events are of one contract as a rule. Who calls a function by hand, or
has runs of a version that did not keep them, must not get a wrong answer from fields that mean something else by now.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

from bedrock_batch.errors import ContractMismatch

CONTRACT = 1
"""Raise it when a field of an event or of a file changes its name or its meaning."""

_FIRST = 1
"""The first contract that events name. Events of version 0.1 name none."""


def check_contract(event: object) -> None:
    """Raise ContractMismatch unless this code reads the event: it reads its own contract and the one before it."""
    found = _of(event)
    if not _is_number(found):
        said = "has no contract" if found is None else f"has the contract {found!r}, which is no number"
        raise ContractMismatch(
            f"The event {said}, so it is not of this version: {_what_is_read()}. If this run was started by version "
            "0.1: let its runs end before the upgrade, or start a new run."
        )
    if found > CONTRACT:
        raise ContractMismatch(
            f"The event has contract {found}, and {_what_is_read()}: deploy the version of the module that started "
            "this run, or a newer one."
        )
    if found < CONTRACT - 1:
        raise ContractMismatch(
            f"The event has contract {found}, and {_what_is_read()}: an older version of the module started this run. "
            "Start a new run."
        )


def check_document(document: object, name: str, what_to_do: str) -> None:
    """Raise the same for a file that outlives a deployment, unless this code reads it."""
    found = _of(document)
    if not _is_number(found) or not CONTRACT - 1 <= found <= CONTRACT:
        said = "no contract" if found is None else f"contract {found!r}"
        raise ContractMismatch(f"{name} has {said}, and {_what_is_read()}. {what_to_do}")


def _of(document: object) -> Any:
    return document.get("contract") if isinstance(document, Mapping) else None


def _is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _what_is_read() -> str:
    before = f"s {CONTRACT - 1} and" if CONTRACT > _FIRST else ""
    return f"this function reads contract{before} {CONTRACT}"
