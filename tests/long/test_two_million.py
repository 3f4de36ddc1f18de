"""2.2 million rows through the shipped functions, one after the other, on an S3 in a folder.

TWO_MILLION_ROWS=100000 for fewer. Every thousandth record fails the first time that it is sent.
"""

import os
import time
from pathlib import Path

import pyarrow.compute as pc
import pytest

from bedrock_batch.aws.s3 import S3
from tests.conftest import BUCKET
from tests.functional import whole
from tests.long.folder_s3 import FolderS3

ROWS = int(os.environ.get("TWO_MILLION_ROWS", "2200000"))
PER_JOB = 100_000
FAILED = {"error": {"errorCode": 500, "errorMessage": "the service had a bad day"}}


@pytest.mark.long
def test_every_one_of_two_million_rows_gets_its_own_answer(tmp_path: Path) -> None:
    s3 = S3(FolderS3(tmp_path))
    table = tmp_path / BUCKET / "in" / "t.csv"
    table.parent.mkdir(parents=True)
    with table.open("w") as file:
        file.write("id,review\n")
        file.writelines(f'{number},"review {number}, as it was written"\n' for number in range(ROWS))

    failed: set[str] = set()

    def verdict(model_id: str, record_id: str) -> whole.Verdict:
        if record_id.endswith("500") and record_id not in failed:
            failed.add(record_id)
            return FAILED
        return {}

    started = time.monotonic()
    run = whole.WholeRun(s3, verdict)
    output = run.run(whole.asked(whole.LITE, s3_uri=f"s3://{BUCKET}/in/t.csv", max_records_per_job=PER_JOB))
    print(f"\n{ROWS:,} rows in {time.monotonic() - started:.0f} s: {len(run.jobs)} jobs, {run.steps}")

    assert output["outcomes"]["succeeded"] == ROWS
    assert len(failed) == ROWS // 1000
    result = run.table()
    assert result.num_rows == ROWS
    assert result["id"].to_pylist() == [str(number) for number in range(ROWS)]
    expected = pc.binary_join_element_wise(f"{whole.LITE} on Judge ", result["review"], "")
    assert pc.all(pc.equal(result["bedrock_response"], expected)).as_py()
    assert result["review"].to_pylist() == [f"review {number}, as it was written" for number in range(ROWS)]
