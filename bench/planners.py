"""Find where the records of a CSV begin.

The other candidates only count the records, which is less work; ours also refuses stray quotes.
"""

import csv
from collections.abc import Callable

from bedrock_batch.table import input_files, read
from bench.data import BUCKET, Workload

KEY = "in/table.csv"


def ours(work: Workload) -> int:
    found = read.describe(read.Files(work.s3, input_files.find(work.s3, f"s3://{BUCKET}/{KEY}")), options={})
    return found.table.rows


def csv_module(work: Workload) -> int:
    with work.path(KEY).open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def with_duckdb(work: Workload) -> int:
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    query = f"SELECT count(*) FROM read_csv('{work.path(KEY)}', header = true, all_varchar = true, parallel = false)"
    return int(connection.execute(query).fetchall()[0][0])


CANDIDATES: dict[str, Callable[[Workload], int]] = {"ours": ours, "csv module": csv_module, "duckdb": with_duckdb}
