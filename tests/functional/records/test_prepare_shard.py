"""From a table on S3 to what Bedrock reads."""

import json
from typing import Any

import pytest

from bedrock_batch import errors
from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import PlannedShard
from bedrock_batch.handlers import prepare_shard
from bedrock_batch.record_ids import record_id
from bedrock_batch.table import input_files, read
from tests.conftest import BUCKET
from tests.functional import whole
from tests.functional.tables import cut
from tests.unit.factories import keys_of, make_run

REQUEST = {"messages": [{"role": "user", "content": [{"text": "{text}"}]}], "inferenceConfig": {"maxTokens": 5}}
QUOTAS = {"min_records": 2, "max_records": 4, "max_file_bytes": 10**6}


def plan_run(
    body: bytes, *, key: str = "in/t.csv", types: dict[str, str] | None = None, **changes: Any
) -> tuple[S3, list[PlannedShard]]:
    """Put a table, plan it and write run.json."""
    clients.s3().put_object(Bucket=BUCKET, Key=key, Body=body)
    s3 = S3(clients.s3())
    found = read.describe(read.Files(s3, input_files.find(s3, f"s3://{BUCKET}/{key}")), options={"types": types})
    run_key = keys_of().run()
    shards = cut(found, QUOTAS, run_key=run_key)
    values: dict[str, Any] = {"request": REQUEST, "nulls": "error", "quotas": QUOTAS}
    run = make_run(
        bucket=BUCKET,
        table=found.table,
        sources=found.sources,
        **(values | changes),
    )
    s3.put_json(BUCKET, run_key, run.to_json())
    return s3, shards


def prepared(shard: PlannedShard) -> dict[str, Any]:
    """Prepare a shard of a run of one model, and return what was prepared for this one."""
    (records,) = prepare_shard.handler(shard.to_json(), None)["prepared"]
    return dict(records)


def test_prepares_every_shard_and_says_what_it_did(aws: None) -> None:
    texts = ['"quoted",', "two\nlines", "   ", "é😀", "\x01\x1f", "{braces}", ""]
    body = b"n,text\n" + b"".join(b'%d,"%s"\n' % (i, t.replace('"', '""').encode()) for i, t in enumerate(texts))
    s3, shards = plan_run(body)
    results = [prepared(shard) for shard in shards]
    assert [(r["rows"], r["records"], r["skipped"]) for r in results] == [(3, 2, 1), (4, 3, 1)]
    records = {}
    for shard, result in zip(shards, results, strict=True):
        key = keys_of().input(shard.shard)
        data = s3.read(BUCKET, key)
        assert result["bytes"] == len(data)
        for line in data.split(b"\n")[:-1]:
            record = json.loads(line)
            records[record["recordId"]] = record["modelInput"]
    expected = {
        record_id(shard.shard, row): {
            "messages": [{"role": "user", "content": [{"text": texts[shard.first_row + row]}]}],
            "inferenceConfig": {"maxTokens": 5},
        }
        for shard in shards
        for row in range(shard.rows)
        if texts[shard.first_row + row].strip()
    }
    assert records == expected
    skipped = [line for result in results for line in s3.lines(BUCKET, result["skipped_key"])]
    assert [(line["row"], line["code"]) for line in skipped] == [(3, "EmptyText"), (7, "EmptyText")], (
        "rows of the table"
    )


def test_tokens_are_estimated_from_the_text_alone(aws: None) -> None:
    _, (shard,) = plan_run(b"text\n" + b"x" * 400 + b"\n" + b"y" * 400 + b"\n")
    # The role "user" is text too: two words of one token.
    assert prepared(shard)["input_tokens_estimate"] == 202


def test_letters_of_other_scripts_need_more_tokens(aws: None) -> None:
    _, (shard,) = plan_run("text\n{}\n{}\n".format("日" * 400, "x" * 400).encode())
    assert prepared(shard)["input_tokens_estimate"] == 2 * 300 + 100 + 2


def test_a_shard_of_skipped_rows_writes_no_input(aws: None) -> None:
    s3, (shard,) = plan_run(b'text,n\n,1\n" ",2\n')
    result = prepared(shard)
    assert (result["records"], result["skipped"], result["bytes"]) == (0, 2, 0)
    written = [item.key for item in s3.list(BUCKET, "reviews/work/monday/")]
    assert written == [
        "reviews/work/monday/frame/00000.parquet",
        keys_of().run(),
        result["skipped_key"],
    ]


def test_preparing_twice_writes_the_same(aws: None) -> None:
    s3, shards = plan_run(b"text\na\nb\nc\nd\ne\n")
    first = [prepared(shard) for shard in shards]
    before = {item.key: item.etag for item in s3.list(BUCKET, "")}
    assert [prepared(shard) for shard in shards] == first
    assert {item.key: item.etag for item in s3.list(BUCKET, "")} == before


def test_a_file_over_the_quota_is_refused_and_leaves_nothing(aws: None) -> None:
    s3, (shard,) = plan_run(
        b"text\n" + b"x" * 300 + b"\n" + b"y" * 300 + b"\n", quotas={**QUOTAS, "max_file_bytes": 500}
    )
    with pytest.raises(errors.TooLarge, match="max_records_per_job"):
        prepared(shard)
    assert not list(s3.list(BUCKET, "reviews/work/monday/input/"))


def test_a_record_that_no_file_has_room_for_is_skipped(aws: None) -> None:
    cells = [b"a" * 300, b'"' + b'""' * 150 + b'"', b'"' + b'""' * 500 + b'"', b"b" * 1200]
    s3, (shard,) = plan_run(b"text\n" + b"\n".join(cells), quotas={**QUOTAS, "max_file_bytes": 1000})
    found = prepared(shard)
    assert (found["records"], found["skipped"]) == (2, 2)
    skipped = list(s3.lines(BUCKET, found["skipped_key"]))
    assert [(skip["row"], skip["code"]) for skip in skipped] == [(3, "TooLong"), (4, "TooLong")]
    assert "may have at most 1,000" in skipped[0]["reason"]


def test_a_null_is_named_by_its_row_of_the_table(aws: None) -> None:
    _, shards = plan_run(b"text,n\n1,a\n2,b\n3,c\n4,d\n5,e\n,f\n", types={"text": "int64"})
    prepared(shards[0])
    with pytest.raises(errors.MalformedInput, match=r'Row 6 of the table .* column "text"'):
        prepared(shards[1])


def test_records_with_a_blank_place_are_counted(aws: None) -> None:
    request = {"messages": [{"role": "user", "content": [{"text": "Judge {text} by {n}"}]}]}
    body = b'text,n,unused\na,1,\n,2,x\n" \t",,x\nb,,x\n'
    _, (shard,) = plan_run(body, request=request)
    found = prepared(shard)
    assert (found["records"], found["blank"]) == (4, 3)
    _, (shard,) = plan_run(body, request=request, nulls="empty")
    assert prepared(shard)["blank"] == 0, "that is what nulls asks for"
    _, (shard,) = plan_run(b"text,n\na,1\n,2\n")
    found = prepared(shard)
    assert (found["skipped"], found["blank"]) == (1, 0), "what is not sent is not paid"


def test_log_lines_hold_counts_but_no_cells(aws: None, caplog: pytest.LogCaptureFixture) -> None:
    _, (shard,) = plan_run(b"text\nsecret\nsecret\n")
    prepared(shard)
    (entry,) = [record.__dict__ for record in caplog.records if record.message == "prepared"]
    assert (entry["run_id"], entry["shard"], entry["prepared"][0]["records"]) == ("monday", 0, 2)
    (ended,) = [record.__dict__ for record in caplog.records if record.message == "done"]
    assert (ended["function"], ended["run_id"], ended["shard"]) == ("prepare_shard", "monday", 0)
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("key", "rows", "message"),
    [
        ("t.csv", b"text,n\nx,1\ny,two\n", 'row 2, column "n" is not a int64'),
        ("t.jsonl", b'{"text":"x","n":1}\n{"text":"y","n":"two"}\n', 'row 2, column "n" is not a int64'),
        ("t.csv", "text,n\nx,1\ny,é\n".encode("latin-1"), "row 2 has text that is not UTF-8 .*input.csv.encoding"),
    ],
)
def test_what_would_fail_the_join_is_found_before_any_spend(aws: None, key: str, rows: bytes, message: str) -> None:
    """The request does not use the column, so only the frame has it."""
    types = {} if "UTF" in message else {"n": "int64"}
    _, (shard,) = plan_run(rows, key=key, types=types)
    with pytest.raises(errors.MalformedInput, match=message):
        prepared(shard)


def test_a_declared_column_that_is_left_out_of_the_output_is_not_read(aws: None) -> None:
    output = {"format": "parquet", "prefix": "", "columns": ["text"]}
    _, (shard,) = plan_run(b"text,n\nx,1\ny,two\n", types={"n": "int64"}, output=output)
    assert prepared(shard)["records"] == 2


def test_a_run_without_a_valid_row_says_why_the_first_was_skipped(aws: None) -> None:
    s3 = S3(clients.s3())
    whole.reviews(s3, 3, nulls=range(3))
    with pytest.raises(errors.NoValidRows, match='All 3 rows were skipped.* The first reason: Column "review" is null'):
        whole.WholeRun(s3).run(whole.asked(whole.LITE, whole.MICRO))
