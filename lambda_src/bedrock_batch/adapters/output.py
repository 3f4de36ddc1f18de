"""Write a part of the output table in the format that the run asks for; the format is the key's suffix as well."""

from collections.abc import Iterable

import pyarrow as pa

from bedrock_batch import plain
from bedrock_batch.adapters import parquet, text_output
from bedrock_batch.adapters.sinks import Sink


def check(schema: pa.Schema, form: str) -> None:
    """Raise InvalidRunInput, naming the column, for a type that the format cannot hold."""
    if form != "parquet":
        plain.check(schema, form)


def write(batches: Iterable[pa.RecordBatch], schema: pa.Schema, out: Sink, *, form: str, answer: str) -> None:
    """Write batches as one file; `answer` names the column of texts or vectors, whose values hardly repeat.

    The same batches give the same bytes. Raises KeyError for an unknown format: planning knows them all.
    """
    if form == "parquet":
        parquet.write(batches, schema, out, unique=[answer])
    else:
        {"csv": text_output.write_csv, "jsonl": text_output.write_jsonl}[form](batches, schema, out)
