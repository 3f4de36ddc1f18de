"""Write a part of the output table in the format that the run asks for; the format is the key's suffix as well."""

from collections.abc import Iterable

import pyarrow as pa

from bedrock_batch.table import write_parquet, write_text
from bedrock_batch.table.write_text import Sink


def write(batches: Iterable[pa.RecordBatch], schema: pa.Schema, out: Sink, *, form: str, answer: str) -> None:
    """Write batches as one file; `answer` names the column of texts or vectors, whose values hardly repeat.

    The same batches give the same bytes. Raises KeyError for an unknown format: planning knows them all.
    """
    if form == "parquet":
        write_parquet.write(batches, schema, out, unique=[answer])
    else:
        {"csv": write_text.write_csv, "jsonl": write_text.write_jsonl}[form](batches, schema, out)
