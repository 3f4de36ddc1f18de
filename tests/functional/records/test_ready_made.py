"""Records in Bedrock's shape are sent unchanged under our ids. The user's ids are in the output."""

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from bedrock_batch import errors
from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.handlers import join_shard, prepare_shard
from bedrock_batch.plan.plan_run import plan_run
from bedrock_batch.record_ids import record_id
from tests.conftest import BUCKET
from tests.functional.planned import ServiceQuotas
from tests.functional.tables import gz, put
from tests.unit.factories import claimed, keys_of, settings

MODEL = "amazon.nova-lite-v1:0"
BODIES = [
    '{"messages": [{"role":"user","content":[{"text":"é\\u00e9 \\"x\\""}]}], "inferenceConfig": {"topP": 1.10}}',
    '{ "messages":[{"content":[{"text":""}]}] ,"additionalModelRequestFields":{"big":12345678901234567890123} }',
]


def lines(*values: str) -> bytes:
    return "".join(f"{value}\n" for value in values).encode()


def plan(s3: S3, body: bytes, *, key: str = "in/r.jsonl", nulls: str = "skip", **given: Any) -> list[dict[str, Any]]:
    """Plan the records and return the shards."""
    state = plan_run(
        s3,
        ServiceQuotas(),
        claimed("monday", BUCKET),
        settings=settings(MODEL, prompts={"p": "{x}"}),
        input={
            "s3_uri": put(key, body),
            "model_id": MODEL,
            "input": {"format": "bedrock_jsonl", "nulls": nulls},
            **given,
        },
    )
    return list(s3.lines(BUCKET, state.plan_key))


@pytest.mark.parametrize("packed", [False, True])
def test_bodies_are_sent_as_they_stand(s3: S3, packed: bool) -> None:
    body = lines(*(f'{{"modelInput": {text} , "recordId": "mine-{row}"}}' for row, text in enumerate(BODIES * 2)))
    (shard,) = plan(s3, gz(body) if packed else body, key="in/r.jsonl.gz" if packed else "in/r.jsonl")
    (prepared,) = prepare_shard.handler(shard, None)["prepared"]
    sent = s3.read(BUCKET, keys_of().input(0)).decode().splitlines()
    assert sent == [f'{{"recordId":"{record_id(0, row)}","modelInput":{text}}}' for row, text in enumerate(BODIES * 2)]
    assert (prepared["records"], prepared["skipped"], prepared["bytes"]) == (
        4,
        0,
        sum(len(x.encode()) + 1 for x in sent),
    )
    run = s3.get_json(BUCKET, keys_of().run())
    assert (run["prompt"], run["invocation_type"], run["kind"]) == (None, "Converse", "text")


def test_the_users_ids_and_bodies_come_back_beside_the_answers(s3: S3) -> None:
    body = lines(
        f'{{"recordId": "b", "modelInput": {BODIES[0]}}}',
        f'{{"recordId": "b", "modelInput": {BODIES[1]}}}',
        '{"recordId": "c"}',
    )
    (shard,) = plan(s3, body, invocation_type="Converse")
    (prepared,) = prepare_shard.handler(shard, None)["prepared"]
    assert (prepared["records"], prepared["skipped"]) == (2, 1)
    raw = keys_of().raw("job")
    answer = {"output": {"message": {"content": [{"text": "yes"}]}}, "stopReason": "end_turn"}
    out = json.dumps({"recordId": record_id(0, 1), "modelOutput": answer})
    put(f"{raw}id/00000.jsonl.out", out.encode())
    job = {"job_name": "job", "status": "Completed", "raw_prefix": raw, "message": ""}
    joined = join_shard.handler({**shard, "skipped_key": prepared["skipped_key"], "jobs": [job], "step": None}, None)
    table = pq.read_table(io.BytesIO(s3.read(BUCKET, joined["output_key"]))).to_pylist()
    assert [row["recordId"] for row in table] == ["b", "b", "c"]
    assert [row["modelInput"] for row in table] == [*BODIES, None]
    assert [row["bedrock_outcome"] for row in table] == ["missing", "succeeded", "skipped"]
    assert [row["bedrock_response"] for row in table] == [None, "yes", None]
    assert table[2]["bedrock_error_code"] == "NoModelInput"


@pytest.mark.parametrize(
    "bad", ['{"recordId": "c"}', '{"modelInput": null}', '{"modelInput": "text"}', '{"modelInput": [1]}']
)
def test_a_line_without_a_body_is_skipped_or_an_error(s3: S3, bad: str) -> None:
    body = lines(*[f'{{"modelInput": {BODIES[0]}}}'] * 300, bad)
    (shard,) = plan(s3, body)
    assert prepare_shard.handler(shard, None)["prepared"][0]["skipped"] == 1
    s3 = S3(clients.s3())
    clients.s3().delete_object(Bucket=BUCKET, Key=keys_of().run())
    with pytest.raises(errors.MalformedInput, match='Row 301 of the table .* no object in "modelInput"'):
        (shard,) = plan(s3, body, nulls="error")
        prepare_shard.handler(shard, None)


def test_what_has_no_bodies_at_all_is_refused(s3: S3) -> None:
    with pytest.raises(errors.MalformedInput, match='no line has the key "modelInput"'):
        plan(s3, lines('{"text": "x"}'))


@pytest.mark.parametrize(
    "given",
    [{"prompt_id": "p"}, {"prompt": {"text": "{x}"}}, {"inference": {"max_tokens": 5}}, {"request": {"a": "{x}"}}],
)
def test_nothing_can_be_added_to_a_ready_made_body(s3: S3, given: dict[str, Any]) -> None:
    with pytest.raises(
        errors.InvalidRunInput,
        match=f"{next(iter(given))}: with input.format bedrock_jsonl, records are sent unchanged",
    ):
        plan(s3, lines(f'{{"modelInput": {BODIES[0]}}}'), **given)
