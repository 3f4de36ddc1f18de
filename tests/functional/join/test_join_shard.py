"""Join shard on S3: from raw outputs of several files and jobs to one part of the table."""

import io
import json
import logging
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import JobEnd, ShardJoin
from bedrock_batch.contracts.results import JobCounts, Joined
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import InputError
from bedrock_batch.handlers.join_shard import handler
from bedrock_batch.join.join_shard import join_shard
from bedrock_batch.record_ids import record_id
from bedrock_batch.table import frame, input_files, read
from tests.conftest import BUCKET
from tests.functional.tables import cut
from tests.unit.factories import keys_of, make_run
from tests.unit.output_lines import CONVERSE, TITAN, converse, line

ROWS = 250
QUOTAS = {"min_records": 1, "max_records": 100, "max_file_bytes": 10**9}
TABLE = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int64()),
        "text": [f"review {row} é\n" for row in range(ROWS)],
        "response": ["the user's own"] * ROWS,
        "Unnamed: 0": pa.array([None if row % 2 else {"a": [row]} for row in range(ROWS)]),
    }
)


class Bench:
    """A planned run over TABLE whose raw outputs a test writes."""

    def __init__(self, **changes: Any) -> None:
        self.client = boto3.client("s3")
        self.s3 = S3(self.client)
        file = io.BytesIO()
        pq.write_table(TABLE, file, row_group_size=64)
        self.put("in/table.parquet", file.getvalue())
        found = read.describe(
            read.Files(self.s3, input_files.find(self.s3, f"s3://{BUCKET}/in/table.parquet")), options={}
        )
        run_key = keys_of().run()
        self.shards = cut(found, QUOTAS, run_key=run_key)
        self.run: Run = make_run(
            bucket=BUCKET,
            response=CONVERSE,
            table=found.table,
            sources=found.sources,
            shards=len(self.shards),
            **changes,
        )
        self.put(run_key, json.dumps(self.run.to_json()).encode())
        schema = frame.schema_of(self.run)
        for shard in self.shards:
            with self.s3.writer(BUCKET, self.run.frame_key(shard.shard)) as out:
                rows = TABLE.slice(shard.first_row, shard.rows).to_batches()
                frame.write_frame(rows, schema, out, form=self.run.output["format"], first_row=shard.first_row)

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def raw(self, job: str, name: str, lines: Iterable[bytes]) -> None:
        self.put(keys_of().raw(job) + f"abc123def456/{name}", b"".join(one + b"\n" for one in lines))

    def join(
        self,
        number: int,
        *,
        jobs: list[str],
        status: str = "Completed",
        steps: Iterable[int | None] = (),
        held_bytes: int | None = None,
        **event: Any,
    ) -> Joined:
        ends = [
            JobEnd(job, status, keys_of().raw(job), leftovers_step=step).to_json()
            for job, step in zip_longest(jobs, steps)
        ]
        event = {**self.shards[number].to_json(), "skipped_key": None, "jobs": ends, **event}
        if held_bytes is not None:
            return join_shard(self.s3, ShardJoin.from_json(event), held_bytes=held_bytes)
        result = handler(event, None)
        return Joined.from_json(json.loads(json.dumps(result)))

    def part(self, joined: Joined) -> bytes:
        body: bytes = self.client.get_object(Bucket=BUCKET, Key=joined.output_key)["Body"].read()
        return body

    def table(self, joined: Joined) -> pa.Table:
        return pq.read_table(io.BytesIO(self.part(joined)))

    def source(self, number: int) -> pa.Table:
        shard = self.shards[number]
        return TABLE.slice(shard.first_row, shard.rows)


@pytest.fixture
def bench(aws: None) -> Bench:
    return Bench()


def answers(bench: Bench, number: int, rows: Iterable[int]) -> list[bytes]:
    return [line(record_id(number, row), converse(f"answer {row}\u2028")) for row in rows]


def test_all_files_of_all_jobs_make_one_part(bench: Bench) -> None:
    """There are two output files, and a later round answers the first round's leftovers."""
    rows = bench.shards[1].rows
    bench.raw("j0", "00001.jsonl.out", answers(bench, 1, reversed(range(0, 40))))
    bench.raw("j0", "more.jsonl.out", answers(bench, 1, range(40, 60)))
    bench.raw("j0", "manifest.json.out", [b'{"totalRecordCount": 83}'])
    bench.raw("j0", "00000.jsonl", [line(record_id(1, 0), converse("no output of Bedrock's"))])
    throttled = [line(record_id(1, row), error={"errorCode": 429, "errorMessage": "x"}) for row in range(60, rows)]
    bench.raw("j0", "errors.jsonl.out", throttled)
    bench.raw("j1", "pool.jsonl.out", answers(bench, 1, range(60, rows)) + answers(bench, 0, range(100)))

    joined = bench.join(1, jobs=["j0", "j1"])

    found = bench.table(joined)
    assert found["bedrock_response"].to_pylist() == [f"answer {row}\u2028" for row in range(rows)]
    assert found["bedrock_outcome"].to_pylist() == ["succeeded"] * rows
    assert found.select(TABLE.schema.names).equals(bench.source(1))
    assert joined == Joined(
        shard=1,
        rows=rows,
        output_key="reviews/output/monday/part-00001.parquet",
        bytes=len(bench.part(joined)),
        outcomes={"succeeded": rows},
        leftovers=0,
        input_tokens=7 * rows,
        output_tokens=3 * rows,
        jobs=2,
        came={
            "j0": {"batch": JobCounts(83, 60, 420, 180)},
            "j1": {"batch": JobCounts(123, 123, 861, 369)},
        },
    )


# --- Leftovers ---


def prepared(bench: Bench, number: int, *, skipped: frozenset[int] = frozenset()) -> list[bytes]:
    """Write the input file of a shard as prepare_shard does, and return its lines."""
    rows = range(bench.shards[number].rows)
    records = [
        b'{"recordId":"%s","modelInput":{"x":"\xc3\xa9 %d"}}\n' % (record_id(number, row).encode(), row)
        for row in rows
        if row not in skipped
    ]
    bench.put(keys_of().input(number), b"".join(records))
    return records


def test_records_without_an_answer_are_written_as_they_were_prepared(bench: Bench) -> None:
    records = prepared(bench, 1)
    rows = bench.shards[1].rows
    throttled = [line(record_id(1, row), error={"errorCode": 429, "errorMessage": "x"}) for row in range(10, 20)]
    refused = [line(record_id(1, row), error={"errorCode": 400, "errorMessage": "x"}) for row in range(20, 30)]
    bench.raw("j0", "a.jsonl.out", [*throttled, *refused, *answers(bench, 1, range(40, rows))])
    joined = bench.join(1, jobs=["j0"], step=3)
    expected = [*records[:20], *records[30:40]]
    assert (joined.leftovers, joined.leftovers_step) == (30, 3)
    written = bench.s3.read(BUCKET, "reviews/work/monday/leftovers/3/00001.jsonl")
    assert written == b"".join(expected)
    assert joined.leftover_bytes == len(written)


def _skipped(bench: Bench, number: int) -> bytes:
    """Return the skipped file of a shard whose first row was refused. Its line has the table's row from 1."""
    row = bench.shards[number].first_row + 1
    return json.dumps({"row": row, "code": "NullColumn", "reason": "column text is null"}).encode() + b"\n"


def test_input_file_stands_for_a_shard_of_which_nothing_was_answered(bench: Bench) -> None:
    prepared(bench, 1, skipped=frozenset({0}))
    bench.put("reviews/work/monday/skipped/00001.jsonl", _skipped(bench, 1))
    joined = bench.join(1, jobs=["j0"], status="Expired", step=3, skipped_key="reviews/work/monday/skipped/00001.jsonl")
    assert (joined.leftovers, joined.leftovers_step) == (bench.shards[1].rows - 1, None)
    assert list(bench.s3.list(BUCKET, "reviews/work/monday/leftovers/")) == []


def test_salvage_writes_no_leftovers(bench: Bench) -> None:
    prepared(bench, 1)
    bench.raw("j0", "a.jsonl.out", answers(bench, 1, range(10)))
    joined = bench.join(1, jobs=["j0"], status="Stopped", step=None)
    assert (joined.leftovers, joined.leftovers_step) == (bench.shards[1].rows - 10, None)
    assert list(bench.s3.list(BUCKET, "reviews/work/monday/leftovers/")) == []


RETRY = {"outcomes": ["truncated"], "max_tokens": 900, "place": "/inferenceConfig/maxTokens"}


def cut_short(number: int, rows: Iterable[int]) -> list[bytes]:
    return [
        line(record_id(number, row), converse(f"cut {row}", stop="MAX_TOKENS" if row % 2 else "max_tokens"))
        for row in rows
    ]


def limited(bench: Bench, number: int) -> list[bytes]:
    """Write a shard's input file whose records have a limit, and return its lines."""
    template = '{"recordId":"%s","modelInput":{"inferenceConfig":{"maxTokens":300},"x":"é \u2028%d"}}\n'
    records = [(template % (record_id(number, row), row)).encode() for row in range(bench.shards[number].rows)]
    bench.put(keys_of().input(number), b"".join(records))
    return records


def test_what_met_its_limit_is_written_first_with_a_larger_one(aws: None) -> None:
    bench = Bench(retry=RETRY)
    records = limited(bench, 1)
    rows = bench.shards[1].rows
    bench.raw("j0", "a.jsonl.out", [*answers(bench, 1, range(20, rows)), *cut_short(1, range(5, 15))])
    joined = bench.join(1, jobs=["j0"], step=0)
    assert (joined.leftovers, joined.retries, joined.leftovers_step) == (10, 10, 0)
    again = [one.replace(b'"maxTokens":300', b'"maxTokens":900') for one in records[5:15]]
    written = bench.s3.read(BUCKET, "reviews/work/monday/leftovers/0/00001.jsonl")
    assert written == b"".join(again + records[:5] + records[15:20])
    assert joined.leftover_bytes == len(written)
    assert bench.join(1, jobs=["j0"], step=0) == joined
    # If all records are asked again, they have their own file, because their bodies differ from the input file's.
    limited(bench, 0)
    bench.raw("j1", "a.jsonl.out", cut_short(0, range(bench.shards[0].rows)))
    joined = bench.join(0, jobs=["j1"], step=0)
    assert (joined.leftovers, joined.retries, joined.leftovers_step) == (0, bench.shards[0].rows, 0)


@pytest.mark.parametrize("most", [None, 500])
def test_the_better_of_two_answers_is_shown(aws: None, most: int | None) -> None:
    """The same holds if not all answers fit into memory, so that the raw outputs are read again."""
    bench = Bench(retry=RETRY)
    records = limited(bench, 1)
    rows = bench.shards[1].rows
    bench.raw("j0", "a.jsonl.out", [*answers(bench, 1, range(40, rows)), *cut_short(1, range(40))])
    refused = [line(record_id(1, row), error={"errorCode": 429, "errorMessage": "x"}) for row in range(20, 30)]
    bench.raw("j1", "a.jsonl.out", [*answers(bench, 1, range(10)), *cut_short(1, range(10, 20)), *refused])
    joined = bench.join(1, jobs=["j0", "j1"], steps=[None, 0], step=2, held_bytes=most)
    table = bench.table(joined)
    assert table["bedrock_outcome"].to_pylist() == ["succeeded"] * 10 + ["truncated"] * 30 + ["succeeded"] * (rows - 40)
    said = [f"answer {row}\u2028" for row in range(10)] + [f"cut {row}" for row in range(10, 40)]
    assert table["bedrock_response"].to_pylist()[:40] == said
    assert set(table["bedrock_error_code"].to_pylist()) == {None}
    # The model did not see throttled records and records without output: these are leftovers now.
    assert (joined.leftovers, joined.retries, joined.leftovers_step) == (20, 0, 2)
    written = bench.s3.read(BUCKET, "reviews/work/monday/leftovers/2/00001.jsonl")
    assert written == b"".join(one.replace(b'"maxTokens":300', b'"maxTokens":900') for one in records[20:40])
    assert joined.retried == {"succeeded": 10, "truncated": 10}
    assert joined.input_tokens == 7 * (rows + 20), "both answers were paid"
    assert table["bedrock_input_tokens"].to_pylist() == [7] * rows


@pytest.mark.parametrize("replaced", [True, False])
def test_a_part_that_was_written_since_stays(bench: Bench, replaced: bool) -> None:
    """So a slow salvage of a stopped run does not replace what the redriven run has joined."""
    known = bench.join(0, jobs=[])
    etag = bench.s3.head(BUCKET, known.output_key).etag if replaced else ""
    bench.raw("r0", "00000.jsonl.out", answers(bench, 0, range(bench.shards[0].rows)))
    whole = bench.part(bench.join(0, jobs=["r0"]))
    stale = bench.join(0, jobs=[], replaces=etag)
    assert bench.part(stale) == whole
    assert stale.rows == bench.shards[0].rows, "its counts are returned all the same"
    bench.join(0, jobs=[], replaces=bench.s3.head(BUCKET, known.output_key).etag)
    assert bench.part(stale) != whole, "nobody wrote it since"


def test_doing_it_twice_gives_the_same_bytes_and_only_its_own_key(bench: Bench) -> None:
    """Nothing of an earlier run or attempt is left beside the parts."""
    bench.raw("j0", "a.jsonl.out", answers(bench, 0, range(50)))
    first = bench.part(bench.join(0, jobs=["j0"], status="Stopped"))
    assert bench.part(bench.join(0, jobs=["j0"], status="Stopped")) == first
    assert [item.key for item in bench.s3.list(BUCKET, "reviews/output/monday/")] == [
        "reviews/output/monday/part-00000.parquet"
    ]


def test_parts_of_all_kinds_share_one_schema_and_make_the_table(bench: Bench) -> None:
    """One shard is answered, one is half answered with a broken end and skipped rows, and one never had a job."""
    bench.raw("j0", "a.jsonl.out", answers(bench, 0, range(bench.shards[0].rows)))
    bench.raw("j1", "a.jsonl.out", [*answers(bench, 1, range(2, 40)), answers(bench, 1, [40])[0][:-9]])
    bench.put("reviews/work/monday/skipped/00001.jsonl", _skipped(bench, 1))
    joined = [
        bench.join(0, jobs=["j0"]),
        bench.join(1, jobs=["j1"], status="Expired", skipped_key="reviews/work/monday/skipped/00001.jsonl"),
        bench.join(2, jobs=[]),
    ]
    tables = [bench.table(one) for one in joined]
    assert tables[0].schema.equals(tables[1].schema, check_metadata=True)
    assert tables[0].schema.equals(tables[2].schema, check_metadata=True)
    whole = pa.concat_tables(tables)
    assert whole.select(TABLE.schema.names).equals(TABLE)
    rows = [shard.rows for shard in bench.shards]
    assert [one.outcomes for one in joined] == [
        {"succeeded": rows[0]},
        {"succeeded": 38, "skipped": 1, "missing": rows[1] - 39},
        {"missing": rows[2]},
    ]
    assert tables[1]["bedrock_error_code"].to_pylist()[:3] == ["NullColumn", "Expired", None]
    assert set(tables[2]["bedrock_error_code"].to_pylist()) == {"NotCreated"}


def test_embeddings_become_lists_of_floats(aws: None) -> None:
    bench = Bench(kind="embedding", dimensions=4)
    bench.put(keys_of().run(), json.dumps(bench.run.to_json() | {"response": TITAN}).encode())
    rows = bench.shards[0].rows
    lines = [
        line(record_id(0, row), {"embedding": [row, -0.5, 1e-3, 0], "inputTextTokenCount": 2}) for row in range(rows)
    ]
    bench.raw("j0", "a.jsonl.out", lines[1:])
    joined = bench.join(0, jobs=["j0"])
    found = bench.table(joined)
    assert found.schema.field("bedrock_embedding").type == pa.list_(pa.field("element", pa.float32()))
    expected = pa.array([[row, -0.5, 1e-3, 0] for row in range(1, rows)], pa.list_(pa.float32()))
    assert found["bedrock_embedding"].to_pylist() == [None, *expected.to_pylist()]
    assert (joined.outcomes, joined.input_tokens) == ({"succeeded": rows - 1, "missing": 1}, 2 * rows - 2)
    group = pq.ParquetFile(io.BytesIO(bench.part(joined))).metadata.row_group(0)
    columns = {group.column(index).path_in_schema: group.column(index) for index in range(group.num_columns)}
    vectors = columns["bedrock_embedding.list.element"]
    assert (vectors.compression, set(vectors.encodings)) == ("UNCOMPRESSED", {"PLAIN", "RLE"})
    assert {columns[name].compression for name in ("id", "bedrock_outcome", "Unnamed: 0.a.list.element")} == {"ZSTD"}


def test_the_log_counts_and_shows_no_text(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    foreign = line("00009000000", converse("secret"))
    bench.raw("j0", "a.jsonl.out", [*answers(bench, 0, [0, 0]), foreign, b"{", line(record_id(0, 1), error="secret")])
    with caplog.at_level(logging.INFO):
        bench.join(0, jobs=["j0"])
    (entry,) = [record.__dict__ for record in caplog.records if record.message == "joined"]
    assert entry.items() >= {"run_id": "monday", "shard": 0, "job_name": "j0", "job_names": ["j0"]}.items()
    assert (entry["foreign_lines"], entry["duplicate_lines"], entry["broken_lines"]) == (1, 1, 1)
    assert "secret" not in str(entry) and "answer" not in str(entry)


def test_the_join_does_not_need_the_source(bench: Bench) -> None:
    bench.client.delete_object(Bucket=BUCKET, Key="in/table.parquet")
    assert bench.table(bench.join(1, jobs=["j0"])).select(TABLE.schema.names).equals(bench.source(1))


def test_a_frame_that_is_gone_or_another_is_told_with_what_is_kept(bench: Bench) -> None:
    key = bench.run.frame_key(1)
    for change in (b"other", bench.s3.read(BUCKET, bench.run.frame_key(2))[:-1], None):
        if change:
            bench.put(key, change)
        else:
            bench.client.delete_object(Bucket=BUCKET, Key=key)
        with pytest.raises(InputError) as caught:
            bench.join(1, jobs=["j0"])
        told = str(caught.value)
        assert told.startswith(f"s3://{BUCKET}/{key} ")
        assert "Put the object back as the run wrote it." in told
        assert f"All answers of shard 00001 are kept in s3://{BUCKET}/reviews/work/monday/raw/. A redrive joins" in told
        assert "prefix must end" not in told


def test_what_s3_refuses_behind_the_spend_names_the_object(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a frame that was archived while the jobs ran. S3's own error does not name the object."""

    def archived(**request: Any) -> Any:
        if request["Key"] == bench.run.frame_key(1):
            answer = {"Error": {"Code": "InvalidObjectState", "Message": "archived"}}
            raise bench.client.exceptions.InvalidObjectState(answer, "GetObject")
        return get(**request)

    get = bench.client.get_object
    monkeypatch.setattr(bench.client, "get_object", archived)
    monkeypatch.setattr("bedrock_batch.aws.clients.s3", lambda: bench.client)
    with pytest.raises(InputError) as caught:
        bench.join(1, jobs=["j0"])
    told = str(caught.value)
    assert told.startswith(f"s3://{BUCKET}/{bench.run.frame_key(1)} is archived (InvalidObjectState)")
    assert "All answers of shard 00001 are kept" in told
