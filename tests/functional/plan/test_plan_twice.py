"""Planning is deterministic, byte for byte, for every format."""

from typing import Any

import pyarrow as pa
import pytest

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.plan.plan_run import plan_run
from tests.conftest import BUCKET
from tests.functional.planned import ServiceQuotas
from tests.functional.tables import csv_bytes, gz, jsonl_bytes, parquet_bytes, put, zst
from tests.unit.factories import claimed, keys_of, settings

MODEL = "amazon.nova-lite-v1:0"
TEXTS = [f"{index} é\n" for index in range(500)]
CSV = csv_bytes([["text"], *([text] for text in TEXTS)])
JSONL = jsonl_bytes([{"text": text, "n": index} for index, text in enumerate(TEXTS)])
BODIES = jsonl_bytes([{"modelInput": {"messages": [{"content": [{"text": text}]}]}} for text in TEXTS])
FILES = {
    "t.csv": (CSV, {}),
    "t.csv.gz": (gz(CSV), {}),
    "t.tsv": (CSV, {}),
    "u.csv": (CSV.decode().encode("utf-16"), {"csv": {"encoding": "utf-16"}}),
    "t.jsonl": (JSONL, {}),
    "t.jsonl.zst": (zst(JSONL), {}),
    "b.jsonl": (BODIES, {"format": "bedrock_jsonl"}),
    "t.parquet": (parquet_bytes(pa.table({"text": TEXTS}), row_group_size=70), {}),
}


@pytest.mark.parametrize("key", FILES)
def test_a_plan_is_the_same_bytes_each_time(aws: None, key: str) -> None:
    body, options = FILES[key]
    s3 = S3(clients.s3())
    prompt: dict[str, Any] = {} if key == "b.jsonl" else {"prompt": {"text": "{text}"}}
    asked = {
        "s3_uri": put(f"in/{key}", body),
        "model_id": MODEL,
        "input": options,
        "max_records_per_job": 130,
        **prompt,
    }

    def plan() -> dict[str, bytes]:
        plan_run(
            s3,
            ServiceQuotas(),
            claimed("monday", BUCKET),
            settings=settings(MODEL),
            input=asked,
        )
        return {item.key: s3.read(BUCKET, item.key) for item in s3.list(BUCKET, "reviews/work/monday/")}

    first = plan()
    assert plan() == first
    lines = first[keys_of().plan].splitlines()
    assert len(lines) == 4
    assert any("staged" in name for name in first) == (key in ("t.csv.gz", "u.csv", "t.jsonl.zst"))
