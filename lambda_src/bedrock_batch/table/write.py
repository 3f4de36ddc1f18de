"""Write a part of the output table in the run's output format. The format is also the suffix of the part's key."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from bedrock_batch.table import write_parquet, write_text
from bedrock_batch.table.write_text import Sink


def write(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, out: Sink, *, form: str, unique: Sequence[str] = ()
) -> None:
    """Write batches as one file. `unique` names columns whose values rarely repeat, such as a model's texts or vectors.

    The same batches give the same bytes. Raises KeyError for an unknown format, which planning never lets through.
    """
    if form == "parquet":
        write_parquet.write(batches, schema, out, unique=unique)
    else:
        {"csv": write_text.write_csv, "jsonl": write_text.write_jsonl}[form](batches, schema, out)
