"""200,000 rows through the real module on the local AWS, with jobs that fail and half-complete on the way."""

import csv
import time
from pathlib import Path

import pytest

from local.sample import write_reviews
from tests.e2e import batch as batch_module
from tests.e2e.batch import Batch
from tests.e2e.test_runs import NOVA, digest_of

pytestmark = pytest.mark.e2e

ROWS = 200_000
PER_JOB = 10_000
PATIENCE_SECONDS = 3_600


@pytest.mark.long
def test_every_one_of_many_rows_gets_its_own_answer(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_module, "PATIENCE_SECONDS", PATIENCE_SECONDS)
    path = tmp_path / "reviews.csv"
    write_reviews(path, rows=ROWS)
    uri = batch.upload("scale/reviews.csv", path.read_bytes())
    batch.engine.configure(
        faults=[
            {"job_name_contains": "r0-00003", "fail_job": "the service had a bad day"},
            {"job_name_contains": "r0-00007", "partial": 0.5},
            {"job_name_contains": "r0-00011", "drop_events": True},
        ]
    )
    started = time.monotonic()
    ended = batch.run(
        "scale",
        {
            "s3_uri": uri,
            "model_id": NOVA,
            "prompt_id": "sentiment",
            "max_records_per_job": PER_JOB,
            "limits": {"check_seconds": 5, "max_concurrent_jobs": 10},
        },
    )
    seconds = time.monotonic() - started
    assert (ended.status, ended.error, ended.cause) == ("SUCCEEDED", "", "")
    report = batch.report("scale")
    print(f"\n{ROWS:,} rows in {seconds:.0f} s, {ROWS / seconds:,.0f} rows/s; jobs {report['jobs']}")
    assert (report["rows"], report["outcomes"]["succeeded"]) == (ROWS, ROWS)
    assert len(batch.keys("e2e/output/scale/")) == ROWS // PER_JOB
    table = batch.table("scale")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert table.num_rows == ROWS
    for name in rows[0]:
        assert table[name].to_pylist() == [row[name] for row in rows], name
    responses = table["bedrock_response"].to_pylist()
    assert all(digest_of(row) in response for row, response in zip(rows, responses, strict=True))
