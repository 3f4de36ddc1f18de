"""Pool leftovers on S3: lines of leftovers and input files, copied to a job's input."""

import logging

import pytest

from bedrock_batch.contracts.lines import LeftoverLines, Pool
from bedrock_batch.errors import PoolIncomplete, TooLarge
from bedrock_batch.records.pool_leftovers import pool_leftovers
from tests.conftest import BUCKET
from tests.functional.played import RUN, Bench, line
from tests.unit.factories import keys_of, make_run


@pytest.fixture
def bench(aws: None) -> Bench:
    return Bench([150, 150, 40])


def pooled(*leftover_lines: LeftoverLines) -> Pool:
    return Pool(BUCKET, keys_of(RUN).run(), keys_of(RUN).pooled(1, 0), [*leftover_lines])


def test_pooling_twice_writes_the_same_bytes(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    pool = pooled(LeftoverLines(2, 10, 20), LeftoverLines(0, 0, 5))
    with caplog.at_level(logging.INFO):
        assert pool_leftovers(bench.s3, pool)["records"] == 15
    (entry,) = [record.__dict__ for record in caplog.records if record.message == "pooled"]
    assert (entry["run_id"], entry["job_name"], entry["records"]) == (RUN, bench.run.pooled_job(pool.input_key), 15)
    assert entry["job_name"].endswith("-r1-00000")
    once = bench.s3.read(BUCKET, pool.input_key)
    assert once == b"".join([*(line(2, row) for row in range(10, 20)), *(line(0, row) for row in range(5))])
    pool_leftovers(bench.s3, pool)
    assert bench.s3.read(BUCKET, pool.input_key) == once


def test_a_leftovers_file_that_is_too_short_is_named(bench: Bench) -> None:
    with pytest.raises(PoolIncomplete, match=r"input/00002.jsonl ends before line 41"):
        pool_leftovers(bench.s3, pooled(LeftoverLines(2, 0, 41)))


def test_a_pooled_file_over_the_quota_is_refused(aws: None) -> None:
    bench = Bench([150], quotas=make_run().quotas | {"max_file_bytes": 1000})
    pool = pooled(LeftoverLines(0, 0, 150))
    with pytest.raises(TooLarge):
        pool_leftovers(bench.s3, pool)
    assert next(iter(bench.s3.list(BUCKET, pool.input_key)), None) is None
