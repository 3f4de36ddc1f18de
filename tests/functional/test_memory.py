"""Memory is bounded by the batch, not by the shard or its cells. It is measured at two sizes, in separate processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import data
from bench.__main__ import LIBRARIES_ENVIRONMENT
from tests.functional import large_cells

SMALL, LARGE = 10_000, 40_000
SCRIPT = """
import sys
from bedrock_batch.aws import s3, s3_upload
from bedrock_batch.table import parquet_format, write_parquet
# Everything of a fixed size small, so that it is full at both sizes and only what grows is seen.
write_parquet.ROW_GROUP_BYTES = s3.READ_BYTES = s3_upload.PART_BYTES = parquet_format._READ_BYTES = 1 << 20
from bedrock_batch.join import join_shard
join_shard.join_shard.__kwdefaults__["held_bytes"] = int(sys.argv.pop())
from bench.measure import main
main(*sys.argv[1:])
"""
UNBOUND = 10**9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 8 and one of 32 MB, each a single shard, with their answers (15 and 60 MB)."""
    path = tmp_path_factory.mktemp("memory")
    for rows in (data.CHECK_ROWS, SMALL, LARGE):
        data.make(path, rows, [data.TEXT_RUN])
    return path


def peak(folder: Path, task: str, rows: int, held_bytes: int) -> float:
    """Return the most memory in MB that a function's work needed."""
    done = run("-c", SCRIPT, task, "ours", str(folder / str(rows)), str(rows), str(held_bytes))
    return float(json.loads(done)["peak"]) / 1e6


def run(*arguments: str) -> str:
    """Run Python with the environment of the functions, and return what it prints."""
    root = Path(__file__).parents[2]
    environment = {"PYTHONPATH": f"{root / 'lambda_src'}:{root}", "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment | LIBRARIES_ENVIRONMENT,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("task", "held_bytes", "growth"),
    [
        # The answers of 30,000 rows have 10 MB, and the other data about these rows about 5.
        pytest.param("prepare", UNBOUND, 15, id="prepare"),
        pytest.param("join text", UNBOUND, 40, id="join"),
        pytest.param("join text", 1 << 20, 25, id="join that holds 1 MB of answers"),
    ],
)
def test_memory_does_not_grow_with_the_shard(folder: Path, task: str, held_bytes: int, growth: float) -> None:
    small, large = (peak(folder, task, rows, held_bytes) for rows in (SMALL, LARGE))
    assert large < 300
    assert large - small < growth


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("repeated", "parquet"),
        ("repeated", "csv"),
        ("categories", "jsonl"),
        ("struct", "parquet"),
        ("list", "jsonl"),
        ("fixed", "parquet"),
        ("few large", "parquet"),
    ],
)
def test_memory_does_not_grow_with_the_cells(tmp_path: Path, kind: str, form: str) -> None:
    """300 rows have the same cell of 1 MB, which is in a file of some KB only once."""
    small, large = tmp_path / "small", tmp_path / "large"
    peaks = []
    for folder, size in ((small, 1_000), (large, 1_000_000)):
        large_cells.make(folder, kind, size)
        peaks.append(json.loads(run(large_cells.__file__, str(folder), form)))
    few, many = peaks
    assert max(many.values()) < 450
    assert max(many[name] - few[name] for name in many) < 300
