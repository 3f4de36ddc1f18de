"""Fetch a run's table as one file, and read it into memory. One part is held at a time."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bedrock_batch_client import formats
from bedrock_batch_client.errors import Mistake
from bedrock_batch_client.installation import Installation
from bedrock_batch_client.parts import FORMATS, Table, downloaded, tables

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was written, and the number of parts it came from."""

    path: str
    form: str
    parts: int
    bytes: int
    model: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "format": self.form,
            "parts": self.parts,
            "bytes": self.bytes,
            "model": self.model or None,
        }


def fetch(
    installation: Installation,
    run: str,
    out: Path | None = None,
    *,
    form: str | None = None,
    model: str = "",
    unanswered: bool = False,
    overwrite: bool = False,
) -> list[Fetched]:
    """Write the table of a run to one file; of several models each to a folder of its own in the folder `out`.

    `unanswered` writes the rows without an answer, and of their columns those of the input. `out` is `<run>.<format>`,
    or the folder `<run>`, where it is not given; with `unanswered` it is `<run>-unanswered`. Without `form` the end of
    `out` says the format, or else the format of the run itself. Raises Mistake where a file is there already, unless
    `overwrite`.
    """
    found = tables(installation, run, model)
    several = len(found) > 1
    form = form or _form_of(out) or found[0].form
    if form not in FORMATS:
        raise Mistake(f"The format {form!r} is unknown: take one of {', '.join(FORMATS)}.")
    if several and out and out.suffix:
        raise Mistake(
            f"The run {run!r} has {len(found)} models, which do not fit into one file: name a folder, or one of the "
            f"models: {', '.join(table.model for table in found)}."
        )
    name = f"{run}-unanswered" if unanswered else run
    base = out or Path(name if several else f"{name}.{form}")
    places = [base / table.folder / f"table.{form}" if several else base for table in found]
    for place in places:
        if place.exists() and not place.is_file():  # A device would be replaced by a file.
            raise Mistake(f"{place} is a folder or a device: name a file, such as {name}.{form}.")
        if place.exists() and not overwrite:
            raise Mistake(
                f"{place} is there already: name another file, or overwrite it (`--overwrite`, `overwrite=True`)."
            )
    return [_write(installation, table, place, form, unanswered) for table, place in zip(found, places, strict=True)]


def fetch_to(
    installation: Installation,
    run: str,
    out: BinaryIO,
    *,
    form: str | None = None,
    model: str = "",
    unanswered: bool = False,
) -> None:
    """Write the table of a run, of one model, to an open file."""
    found = tables(installation, run, model)
    if len(found) > 1:
        names = ", ".join(table.model for table in found)
        raise Mistake(f"The run {run!r} has several models: name one of {names}.")
    copy(installation, found[0], form or found[0].form, out, unanswered=unanswered)


def to_arrow(installation: Installation, run: str, model: str = "") -> "pa.Table":
    """Return the table of a run; of several models all rows below each other, and the model in a column."""
    pa = formats.arrow()
    found = tables(installation, run, model)
    read = []
    for table in found:
        schema, batches = _opened(installation, table)
        one = pa.Table.from_batches(batches, schema)
        if len(found) > 1:
            one = one.append_column(table.folder.partition("=")[0], pa.array([table.model] * len(one), pa.string()))
        read.append(one)
    return pa.concat_tables(read, promote_options="permissive")


def copy(installation: Installation, table: Table, form: str, out: BinaryIO, *, unanswered: bool = False) -> None:
    """Write all parts of a table to an open file in a format: bytes as they are where nothing else is needed."""
    as_it_is = form == table.form and (form != "parquet" or len(table.keys) == 1)
    if unanswered or not as_it_is:
        schema, batches = _opened(installation, table)
        if unanswered:
            schema, batches = _unanswered(schema, batches)
        formats.write(form, schema, batches, out)
        return
    with downloaded(installation, table.keys) as files:
        for number, path in enumerate(files):
            with path.open("rb") as part:
                if form == "csv" and number:
                    _skip_header(part)
                shutil.copyfileobj(part, out)


def _opened(installation: Installation, table: Table) -> tuple["pa.Schema", Iterator["pa.RecordBatch"]]:
    """Return the schema of a table, and its rows. Only of JSON lines all parts must be read to know it."""
    formats.arrow()
    looked_at = table.keys if table.form == "jsonl" else table.keys[:1]
    with downloaded(installation, looked_at) as files:
        schema = formats.schema_of(table.form, files)

    def rows() -> Iterator["pa.RecordBatch"]:
        with downloaded(installation, table.keys) as files:
            for path in files:
                yield from formats.read(table.form, path, schema)

    return schema, rows()


def _unanswered(
    schema: "pa.Schema", batches: Iterator["pa.RecordBatch"]
) -> tuple["pa.Schema", Iterator["pa.RecordBatch"]]:
    """Return of a table the columns of the input, and the rows without an answer."""
    pa = formats.arrow()
    prefix = formats.our_prefix(schema.names)
    if prefix is None:
        raise Mistake("The table has no columns of outcomes: another program has written it.")
    own = [name for name in schema.names[: schema.names.index(f"{prefix}outcome")] if name != f"{prefix}row"]
    rows = (batch.filter(batch.column(f"{prefix}error_code").is_valid()).select(own) for batch in batches)
    return pa.schema([schema.field(name) for name in own]), rows


def _write(installation: Installation, table: Table, place: Path, form: str, unanswered: bool) -> Fetched:
    """Write a file whole or not at all."""
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f"{place.name}.unfinished")
    try:
        with unfinished.open("wb") as out:
            copy(installation, table, form, out, unanswered=unanswered)
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)
    return Fetched(str(place), form, len(table.keys), place.stat().st_size, table.model)


def _form_of(out: Path | None) -> str | None:
    """Return the format that the end of a file's name says, if it says one."""
    return out.suffix.removeprefix(".").lower() or None if out else None


def _skip_header(part: BinaryIO) -> None:
    """Read until the end of the first line; a line feed within quotes is a part of a name."""
    quoted = False
    while line := part.readline():
        quoted ^= line.count(b'"') % 2 == 1
        if not quoted:
            return
