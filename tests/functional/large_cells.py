"""A table of large cells; `large_cells.py FOLDER FORM` plans, prepares and joins it.

It prints the most memory in MB at the end of each step, which includes the steps before.
"""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import PlannedShard, ShardJoin
from bedrock_batch.join.join_shard import join_shard
from bedrock_batch.plan.plan_run import plan_run
from bedrock_batch.records.prepare_shard import prepare_shard
from bench.data import BUCKET, SETTINGS
from bench.local_s3 import LocalClient, NoQuotas
from bench.measure import peak_bytes
from tests.unit.factories import claimed, keys_of

ROWS = 300
RUN = "large-cells"


def column(kind: str, size: int) -> pa.Array:
    """Return a column of cells of this size, all the same."""
    text = "x" * size
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array([text]))
    fixed = pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array([text.encode()], pa.binary(size)))
    kinds: dict[str, Callable[[], pa.Array]] = {
        "repeated": lambda: repeated,
        "categories": lambda: repeated,
        "struct": lambda: pa.StructArray.from_arrays([repeated], ["text"]),
        "list": lambda: pa.ListArray.from_arrays(pa.array(range(ROWS + 1), pa.int32()), repeated),
        "fixed": lambda: fixed,
        "few large": lambda: pa.array([text if 100 <= row < 200 else "short" for row in range(50 * ROWS)]),
    }
    return kinds[kind]()


def make(folder: Path, kind: str, size: int) -> None:
    """Write a table with a column of such cells."""
    path = LocalClient(folder).path(BUCKET, "in/table.parquet")
    path.parent.mkdir(parents=True)
    cells = column(kind, size)
    table = pa.table({"review": [f"review {row}" for row in range(len(cells))], "cell": cells})
    # Arrow reads a dictionary only from a file that has Arrow's own schema.
    pq.write_table(table, path, store_schema=kind == "categories", compression="zstd")


def main(folder: str, form: str) -> None:
    s3 = S3(LocalClient(Path(folder)))
    peaks = {}
    plan_run(
        s3,
        NoQuotas(),
        claimed(RUN, BUCKET),
        settings=SETTINGS,
        input={
            "s3_uri": f"s3://{BUCKET}/in/table.parquet",
            "model_id": SETTINGS.models[0],
            "prompt": {"text": "Judge {review}"},
            "output": {"format": form},
        },
    )
    peaks["plan"] = peak_bytes() // 10**6
    lines = list(s3.lines(BUCKET, keys_of(RUN).plan))
    for line in lines:
        prepare_shard(s3, PlannedShard.from_json(line))
    peaks["prepare"] = peak_bytes() // 10**6
    for line in lines:
        join_shard(s3, ShardJoin.from_json(line | {"jobs": []}))
    peaks["join"] = peak_bytes() // 10**6
    print(json.dumps(peaks))


if __name__ == "__main__":
    logging.disable(logging.INFO)
    main(*sys.argv[1:])
