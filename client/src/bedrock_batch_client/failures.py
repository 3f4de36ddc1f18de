"""Which rows of a table have no answer that can be used, by their code."""

import csv
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bedrock_batch_client import formats
from bedrock_batch_client.errors import Mistake
from bedrock_batch_client.installation import Installation
from bedrock_batch_client.parts import Table, downloaded, tables

_LONGEST_CELL = 200


@dataclass(slots=True)
class Group:
    """The rows of one outcome and code. `examples` have the row's number from 1, its sentence, and its own cells."""

    outcome: str
    code: str
    model: str = ""
    rows: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"model": self.model or None}


@dataclass(frozen=True, slots=True)
class Failures:
    """The number of all rows (of several models, of the rows of each), and those without an answer by their code."""

    rows: int
    groups: list[Group]

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "groups": [group.to_json() for group in self.groups]}


def failures(installation: Installation, run: str, *, model: str = "", examples: int = 3) -> Failures:
    """Read the table of a run and return its rows without an answer. Raises what `parts.tables` raises."""
    groups: dict[tuple[str, str, str], Group] = {}
    rows = 0
    for table in tables(installation, run, model):
        with downloaded(installation, table.keys) as files:
            read = (row for path in files for row in _rows(table, path))
            number = 0
            for number, row in enumerate(read, 1):
                if row is not None:
                    _note(groups, table, number, row, examples)
        rows += number
    return Failures(rows, sorted(groups.values(), key=lambda group: (-group.rows, group.code, group.model)))


@dataclass(frozen=True, slots=True)
class _Row:
    """What is looked at of a row; `cells` are its own, without those that the run has added."""

    outcome: str
    code: str
    error: str
    cells: dict[str, Any]


def _note(groups: dict[tuple[str, str, str], Group], table: Table, number: int, row: _Row, most: int) -> None:
    key = (table.model, row.outcome, row.code)
    group = groups.setdefault(key, Group(row.outcome, row.code, table.model))
    group.rows += 1
    if len(group.examples) < most:
        cells = {name: _cut(value) for name, value in row.cells.items()}
        group.examples.append({"row": number, "error": row.error, "cells": cells})


def _rows(table: Table, path: Path) -> Iterator[_Row | None]:
    """Yield of each row what is looked at; None where it has an answer."""
    rows = {"csv": _csv_rows, "jsonl": _jsonl_rows, "parquet": _parquet_rows}[table.form](path)
    prefix = None
    for names, row in rows:
        prefix = formats.our_prefix(names) if prefix is None else prefix
        if prefix is None:
            raise Mistake(f"{path.name} has no columns of outcomes: another program has written it.")
        code = row.get(f"{prefix}error_code")
        if not code:
            yield None
            continue
        own = names[: names.index(f"{prefix}outcome")]
        cells = {name: row[name] for name in own if name != f"{prefix}row"}
        yield _Row(str(row[f"{prefix}outcome"]), str(code), str(row.get(f"{prefix}error") or ""), cells)


def _csv_rows(path: Path) -> Iterator[tuple[list[str], dict[str, Any]]]:
    # The limit is the whole process's, so it is set back for other users of the module.
    limit = csv.field_size_limit(2**31 - 1)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            names = next(reader)
            for cells in reader:
                yield names, dict(zip(names, cells, strict=True))
    finally:
        csv.field_size_limit(limit)


def _jsonl_rows(path: Path) -> Iterator[tuple[list[str], dict[str, Any]]]:
    with path.open("rb") as file:
        for line in file:
            row = json.loads(line)
            yield list(row), row


def _parquet_rows(path: Path) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Yield the rows; only those with a code have cells."""
    batches: Iterable[Any] = formats.read("parquet", path, formats.schema_of("parquet", [path]))
    for batch in batches:
        names = list(batch.schema.names)
        prefix = formats.our_prefix(names)
        if prefix is None:
            yield names, {}
            return
        has_code = batch.column(f"{prefix}error_code").is_valid()
        columns = [formats.plain(column) for column in batch.filter(has_code).columns]
        number = 0
        for found in has_code.to_pylist():
            yield names, {name: column[number].as_py() for name, column in zip(names, columns, strict=True) if found}
            number += found


def _cut(value: Any) -> Any:
    """Return a cell as an example shows it."""
    text = value if isinstance(value, str) else formats.as_json(value)
    if len(text) > _LONGEST_CELL:
        return text[:_LONGEST_CELL] + "…"
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | type(None)) else text
