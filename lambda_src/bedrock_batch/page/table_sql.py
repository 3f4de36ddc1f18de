"""`table.sql`: the statement that makes a run's output a table of Amazon Athena.

Names of columns come from the user and may be hostile. In the statement they are in backticks or replaced; in comments
they are JSON strings in ASCII.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bedrock_batch import keys
from bedrock_batch.contracts.run import OutputColumn, Run

_USABLE = re.compile(r"\w+")
"""Names that Athena documents: letters, digits, underscores. It writes all of them in lower case."""

_MOST_NAME = 200
"""Most bytes of a name that is made here. Athena accepts 255."""

_PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
_CSV = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
_JSON = "org.openx.data.jsonserde.JsonSerDe"

_OF_CSV = (
    "All columns are texts, and nulls are empty texts. Athena has no reader for CSV whose texts have line breaks: it",
    "takes each of their lines for a row. With output.format parquet or jsonl there is no such limit.",
)

Properties = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Named:
    """A column of the output and its name in Athena."""

    column: OutputColumn
    name: str

    @property
    def is_renamed(self) -> bool:
        return self.name != self.column.name.lower()


def statement(runs: Sequence[Run]) -> str:
    """Return the statement for the output of a planned run; `runs` are its models' documents.

    A model whose output has other columns than the first model's gets its own statement.
    """
    first = runs[0]
    if first.dry_run:
        return none(first.run_id, "it was a dry run")
    if not first.output_columns:
        return none(first.run_id, "an earlier version of the module planned it, which did not write down its columns")
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps([one.to_json() for one in run.output_columns]), []).append(run)
    head = [f"The output of the run {first.run_id} as a table of Amazon Athena."]
    if len(groups) > 1:
        head.append("The models' outputs have different columns. Run one statement at a time.")
    tables = [_table(group, number) for number, group in enumerate(groups.values(), 1)]
    return "\n\n".join([_comment(head), *tables]) + "\n"


def none(run_id: str, why: str) -> str:
    """Return the file's text for a run without output."""
    return _comment([f"There is no statement for the run {run_id}: {why}."]) + "\n"


def _table(runs: Sequence[Run], number: int) -> str:
    run = runs[0]
    form = run.output["format"]
    partition = keys.model_column(run.output["prefix"]).lower() if run.folder else ""
    columns = _named(run.output_columns, {partition} - {""})
    by_place = form == "parquet" and any(one.is_renamed for one in columns)
    listed = [one for one in columns if one.column.type or by_place]
    name = re.sub(r"\W", "_", run.run_id.lower()) + (f"_{number}" if number > 1 else "")
    location = f"s3://{run.bucket}/{run.keys.output_folder()}"
    table_properties = {"skip.header.line.count": "1"} if form == "csv" else {}
    if partition:
        table_properties |= _projection(partition, runs, location)
    lines = [
        *map("-- {}".format, _remarks(columns, form, partition)),
        f"CREATE EXTERNAL TABLE `{name}` (",
        ",\n".join(f"  `{one.name}` {one.column.type or 'binary'}" for one in listed),
        ")",
        *([f"PARTITIONED BY (`{partition}` string)"] if partition else []),
        *_row_format(form, columns, by_place=by_place),
        *(["STORED AS PARQUET"] if form == "parquet" else ["STORED AS TEXTFILE"]),
        f"LOCATION {_text(location)}",
        *([f"TBLPROPERTIES ({_properties(table_properties)})"] if table_properties else []),
    ]
    return "\n".join(lines) + ";"


def _named(columns: Sequence[OutputColumn], taken: set[str]) -> list[_Named]:
    """Return the columns with names that Athena can have, each once; `taken` are names of others."""
    own = [one.name.lower() for one in columns]
    often = Counter(own)
    # In lower case, a letter may become a letter and a mark, which is no letter.
    usable = [_USABLE.fullmatch(name) is not None and len(name.encode()) <= _MOST_NAME for name in own]
    taken = taken | {name for name, good in zip(own, usable, strict=True) if good and often[name] == 1}
    found = []
    for number, (column, good) in enumerate(zip(columns, usable, strict=True), 1):
        name = own[number - 1]
        if not good or often[name] > 1:
            name = _free(re.sub(r"\W+", "_", name, flags=re.ASCII)[:_MOST_NAME] or "_", taken)
            taken.add(name)
        found.append(_Named(column, name))
    return found


def _free(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _projection(partition: str, runs: Sequence[Run], location: str) -> Properties:
    """Return the properties by which Athena knows the folders of the models, without a statement for each."""
    folder = keys.model_column(runs[0].output["prefix"])
    return {
        "projection.enabled": "true",
        f"projection.{partition}.type": "enum",
        f"projection.{partition}.values": ",".join(run.folder.partition("=")[2] for run in runs),
        "storage.location.template": f"{location}{folder}=${{{partition}}}/",
    }


def _row_format(form: str, columns: Sequence[_Named], *, by_place: bool) -> Iterator[str]:
    if by_place:
        yield from _serde(_PARQUET, {"parquet.column.index.access": "true"})
    elif form == "csv":
        # There, a backslash is an ordinary character, and a quote within quotes is written twice.
        yield from _serde(_CSV, {"separatorChar": ",", "quoteChar": '"', "escapeChar": "\x01"})
    elif form == "jsonl":
        keys_ = [one.column.name for one in columns]
        exact = len({key.lower() for key in keys_}) < len(keys_)
        cases = {"case.insensitive": "false"} if exact else {}
        mapped = {
            f"mapping.{one.name}": one.column.name if exact else one.column.name.lower()
            for one in columns
            if one.name != (one.column.name if exact else one.column.name.lower())
        }
        yield from _serde(_JSON, cases | mapped)


def _serde(name: str, properties: Properties) -> Iterator[str]:
    yield f"ROW FORMAT SERDE {_text(name)}"
    if properties:
        yield f"WITH SERDEPROPERTIES ({_properties(properties)})"


def _remarks(columns: Sequence[_Named], form: str, partition: str) -> Iterator[str]:
    if form == "csv":
        yield from _OF_CSV
    if partition:
        yield f"{partition} is the model: its id, with a hyphen for what a folder's name cannot have."
    for one in columns:
        said = json.dumps(one.column.name)[:_MOST_NAME]
        if one.is_renamed:
            yield f"{one.name} is the column {said}, a name that Athena cannot have."
        if not one.column.type:
            yield f"{said} cannot be queried: {one.column.note}."
        elif one.column.note:
            yield f"{one.name}: {one.column.note}."


def _comment(lines: Sequence[str]) -> str:
    return "\n".join(f"-- {line}" for line in lines)


def _properties(properties: Properties) -> str:
    return "\n  " + ",\n  ".join(f"{_text(name)} = {_text(value)}" for name, value in properties.items()) + "\n"


def _text(value: str) -> str:
    """Return a text of Hive, in single quotes. Characters other than visible ASCII are escaped."""
    escaped = (_escaped(character) for character in value)
    return f"'{''.join(escaped)}'"


def _escaped(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if " " <= character <= "~":
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
