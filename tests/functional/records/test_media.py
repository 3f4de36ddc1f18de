"""Images and documents: from a column of URIs or bytes into the records, as base64."""

import base64
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import PlannedShard
from bedrock_batch.contracts.results import Prepared
from bedrock_batch.errors import BedrockBatchError, InvalidRunInput, MalformedInput, MissingColumn, UnsupportedRequest
from bedrock_batch.record_ids import record_id
from bedrock_batch.records import media_attach
from bedrock_batch.records.prepare_shard import prepare_shard
from bedrock_batch.records.render import Skipped
from bedrock_batch.run import invoke
from local.bedrock import models
from tests.conftest import BUCKET
from tests.functional.planned import plan
from tests.unit.factories import HAIKU, keys_of, make_run

PNG = b"\x89PNG\r\n\x1a\n"
IMAGES = [PNG + bytes([number]) * 100 for number in range(4)]
PROMPT = {"text": "What is on it, {name}?"}


@pytest.fixture
def s3(aws: None) -> S3:
    """A table of four images, as URIs (of which one is wrong, one empty) and as bytes."""
    s3 = S3(clients.s3())
    for number, image in enumerate(IMAGES):
        s3.put(BUCKET, f"images/{number}.PNG", image)
    uris = [f"s3://{BUCKET}/images/{number}.PNG" for number in range(4)]
    files = [{"bytes": image, "path": f"{number}.jpg"} for number, image in enumerate(IMAGES)]
    more = {"file": files, "row": [{"file": file} for file in files], "numbers": [{"bytes": 1}] * 4}
    more |= {"bytes.alone": [{"bytes": image} for image in IMAGES]}
    columns = {
        "name": list("abcd"),
        "uri": uris,
        "image": IMAGES,
        "holes": [uris[0], None, uris[2] + "x.png", uris[3]],
        **more,
    }
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    s3.put(BUCKET, "in/t.parquet", file.getvalue())
    return s3


def prepare(s3: S3, model_id: str = HAIKU, **given: Any) -> tuple[dict[str, Any], Prepared, list[Any]]:
    """Return run.json, what preparing the only shard says, and the records."""
    given = {"s3_uri": f"s3://{BUCKET}/in/t.parquet", "prompt": PROMPT, **given}
    run = plan(s3, model_id, **{key: value for key, value in given.items() if value is not None})
    (shard,) = (PlannedShard.from_json(line) for line in s3.lines(BUCKET, keys_of().plan))
    (prepared,) = prepare_shard(s3, shard).prepared
    records = list(s3.lines(BUCKET, keys_of().input(0))) if prepared.records else []
    return run, prepared, records


@pytest.mark.parametrize(
    "media",
    [
        {"column": "uri", "kind": "image"},
        {"column": "image", "kind": "image", "format": "png"},
        {"column": "image", "kind": "image"},
        {"column": "file", "kind": "image"},
        {"column": "file.bytes", "kind": "image"},
        {"column": "row.file", "kind": "image"},
        {"column": "bytes.alone", "kind": "image"},
    ],
)
@pytest.mark.parametrize("full", [1, 250, 32 << 20])
def test_every_record_has_its_own_image(
    s3: S3, media: dict[str, Any], full: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_attach, "_FULL_BYTES", full)
    _, prepared, records = prepare(s3, media=media)
    assert [record["recordId"] for record in records] == [record_id(0, row) for row in range(4)]
    shape = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")
    for record, image, name in zip(records, IMAGES, "abcd", strict=True):
        (turn,) = record["modelInput"]["messages"]
        assert turn["content"] == [
            {"image": {"format": "png", "source": {"bytes": base64.b64encode(image).decode()}}},
            {"text": f"What is on it, {name}?"},
        ]
        parameters = {"modelId": "m", **invoke._with_bytes(record["modelInput"])}
        assert parameters["messages"][0]["content"][0]["image"]["source"]["bytes"] == image
        report = ParamValidator().validate(parameters, shape.operation_model("Converse").input_shape)
        assert not report.has_errors(), report.generate_report()
        models.converse("anthropic.claude-haiku-4-5-20251001-v1:0", record["modelInput"])
    assert 4 * 1600 <= prepared.input_tokens_estimate < 4 * 1650


def test_the_own_body_of_claude_shows_images_its_own_way(s3: S3) -> None:
    _, _, records = prepare(s3, media={"column": "uri", "kind": "image"}, invocation_type="InvokeModel")
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(IMAGES[0]).decode()}
    assert records[0]["modelInput"]["messages"][0]["content"][0] == {"type": "image", "source": source}
    models.invoke("anthropic.claude-haiku-4-5-20251001-v1:0", records[0]["modelInput"])


def test_a_request_of_ones_own_says_where_the_image_goes(s3: S3) -> None:
    request = {"inputs": "{media.data}", "kind": "image/{media.format}", "ask": "{name}"}
    _, _, records = prepare(
        s3,
        "acme.chat",
        media={"column": "uri", "kind": "image"},
        invocation_type="InvokeModel",
        prompt=None,
        request=request,
        response={"text": "text"},
    )
    body = {"inputs": base64.b64encode(IMAGES[3]).decode(), "kind": "image/png", "ask": "d"}
    assert records[3]["modelInput"] == body


def test_an_item_that_cannot_be_used_costs_its_row(s3: S3) -> None:
    _, prepared, records = prepare(s3, media={"column": "holes", "kind": "image"})
    assert [record["recordId"][-1] for record in records] == ["0", "3"]
    assert (prepared.records, prepared.skipped) == (2, 2)
    skipped = list(s3.lines(BUCKET, keys_of().skipped(0)))
    assert [(line["row"], line["code"]) for line in skipped] == [(2, "NullColumn"), (3, "MediaNotUsable")]
    assert skipped[0]["reason"] == 'Column "holes" is null or empty.'
    assert "images/2.PNGx.png does not exist" in skipped[1]["reason"]


def test_rows_of_later_batches_are_told_apart(s3: S3) -> None:
    uri = f"s3://{BUCKET}/images/0.PNG"
    one, other = pa.record_batch({"uri": [uri, uri]}), pa.record_batch({"uri": [uri, "nowhere"]})
    run = make_run(bucket=BUCKET, media={"column": "uri", "kind": "image", "source": "inline"})
    attacher = media_attach.Attacher(s3, run, run.input_key(0), first_row=0)
    parts = [*attacher.attach(one, 0), *attacher.attach(other, 2)]
    assert [value is None for part in parts for value in part["media.data"].to_pylist()] == [False, False, False, True]
    (told,) = attacher.explained([Skipped(3, "NullColumn", "")])
    assert (told.code, told.reason) == ("MediaNotUsable", 'The cell of "uri" is not of the form s3://bucket/key.')
    assert (attacher.items, attacher.text_bytes) == (3, 3 * len(base64.b64encode(IMAGES[0]) + b"png"))


@pytest.mark.parametrize("uri", ["s3://my bucket/x.png", "s3://x.png", f"s3://{BUCKET}/"])
def test_a_uri_of_no_object_costs_its_row(s3: S3, uri: str) -> None:
    run = make_run(bucket=BUCKET, media={"column": "uri", "kind": "image", "source": "inline"})
    attacher = media_attach.Attacher(s3, run, run.input_key(0), first_row=0)
    (part,) = attacher.attach(pa.record_batch({"uri": [uri]}), 0)
    assert part["media.data"].null_count == 1
    (told,) = attacher.explained([Skipped(0, "NullColumn", "")])
    assert told.reason.startswith(repr(uri))


def test_too_large_an_item_costs_its_row(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_attach, "_MOST_BYTES", len(IMAGES[0]) - 1)
    _, prepared, _ = prepare(s3, media={"column": "uri", "kind": "image"})
    assert (prepared.records, prepared.skipped, prepared.bytes) == (0, 4, 0)
    assert "108 bytes, but an item may have at most 107" in next(s3.lines(BUCKET, keys_of().skipped(0)))["reason"]


def test_it_ends_the_run_where_nulls_do(s3: S3) -> None:
    given = {"nulls": "error", "format": "parquet"}
    with pytest.raises(MalformedInput, match='Row 2 of the table .*"holes" is null or empty. To skip such rows, set'):
        prepare(s3, media={"column": "holes", "kind": "image"}, input=given)
    put_table(s3, image=[f"s3://{BUCKET}/images/none.png"])
    with pytest.raises(MalformedInput, match="Row 1 of the table .*does not exist"):
        prepare(s3, media={"column": "image", "kind": "image"}, input=given)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (
            {"media": {"column": "picture", "kind": "image"}},
            MissingColumn,
            "'picture', but the table has no such column. Its columns are: name",
        ),
        ({"media": {"column": "file.byte", "kind": "image"}}, MissingColumn, "'file.byte', but the table has no such"),
        ({"media": {"column": "numbers", "kind": "image"}}, InvalidRunInput, "must hold S3 URIs, bytes, or structs"),
        (
            {"media": {"column": "uri", "kind": "image", "format": "tiff"}},
            InvalidRunInput,
            "'tiff' is not a format of an image",
        ),
        (
            {"media": {"column": "uri", "kind": "image"}, "input": {"nulls": "empty"}},
            InvalidRunInput,
            'input.nulls cannot be "empty"',
        ),
        (
            {"media": {"column": "uri", "kind": "image"}, "prompt": None, "request": {"messages": ["{name}"]}},
            InvalidRunInput,
            "Put {media.data} into it",
        ),
        (
            {
                "media": {"column": "uri", "kind": "document"},
                "model_id": "amazon.nova-lite-v1:0",
                "invocation_type": "InvokeModel",
            },
            UnsupportedRequest,
            "does not know how to give a document to 'nova' through InvokeModel",
        ),
    ],
)
def test_what_cannot_work_is_refused(s3: S3, given: dict[str, Any], error: type[BedrockBatchError], words: str) -> None:
    with pytest.raises(error) as caught:
        prepare(s3, **given)
    assert words in str(caught.value)


def test_jobs_are_cut_by_the_size_of_the_media(s3: S3) -> None:
    s3.put(BUCKET, "in/many.csv", b"name,uri\n" + b"a,s3://b/k.png\n" * 10_000)
    run = plan(
        s3,
        HAIKU,
        s3_uri=f"s3://{BUCKET}/in/many.csv",
        prompt=PROMPT,
        media={"column": "uri", "kind": "image", "average_bytes": 300_000},
    )
    # A record has 0.4 MB as base64, and a file may have 0.8 GB by estimate.
    assert run["shards"] == 6


JPEG = b"\xff\xd8\xff\xe0" + b"j" * 20


def put_table(s3: S3, **columns: Any) -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"name": list("abcdef")[: len(next(iter(columns.values())))], **columns}), file)
    s3.put(BUCKET, "in/t.parquet", file.getvalue())


def formats(records: list[Any]) -> list[str]:
    return [record["modelInput"]["messages"][0]["content"][0]["image"]["format"] for record in records]


@pytest.mark.parametrize("shape", ["bytes", "struct", "object", "object without a suffix", "object of categories"])
@pytest.mark.parametrize("overruled", [False, True])
def test_each_item_has_the_format_of_its_first_bytes(s3: S3, shape: str, overruled: bool) -> None:
    images = [PNG + b"p", JPEG, b"GIF89a...", b"RIFF\x00\x00\x00\x00WEBPVP8 "]
    cells: list[Any] = images
    if shape == "struct":
        cells = [{"bytes": image, "path": "all.png"} for image in images]
    elif shape.startswith("object"):
        suffix = "" if "without" in shape else ".png"
        cells = [f"s3://{BUCKET}/images/x{number}{suffix}" for number in range(4)]
        for number, image in enumerate(images):
            s3.put(BUCKET, f"images/x{number}{suffix}", image)
    put_table(s3, image=pa.array(cells).dictionary_encode() if "categories" in shape else cells)
    stated = {"format": "png"} if overruled else {}
    _, _, records = prepare(s3, media={"column": "image", "kind": "image", **stated})
    assert formats(records) == (["png"] * 4 if overruled else ["png", "jpeg", "gif", "webp"])


def test_what_is_no_image_costs_its_row(s3: S3) -> None:
    files = [
        {"bytes": PNG + b"p", "path": None},
        {"bytes": b"%PDF-1.7", "path": "a.png"},
        {"bytes": b"no magic", "path": "a.jpg"},
        {"bytes": b"no magic", "path": None},
        {"bytes": None, "path": "elsewhere/a.png"},
        None,
    ]
    put_table(s3, image=files)
    _, _, records = prepare(s3, media={"column": "image", "kind": "image"})
    assert formats(records) == ["png", "jpeg"]
    skipped = {line["row"]: line["reason"] for line in s3.lines(BUCKET, keys_of().skipped(0))}
    assert "'pdf' is not a format of an image" in skipped[2]
    assert skipped[4] == "The first bytes of the cell do not show its format. Set media.format."
    assert skipped[5] == 'The cell of "image" is not of the form s3://bucket/key.', "it may be any text of the table"
    assert "null" in skipped[6]


def test_a_file_of_a_struct_may_lie_on_s3(s3: S3) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    put_table(s3, image=pa.array([{"bytes": None, "path": f"s3://{BUCKET}/images/1.PNG"}], kind))
    _, _, records = prepare(s3, media={"column": "image", "kind": "image"})
    assert formats(records) == ["png"]


def test_an_object_that_is_archived_or_empty_costs_its_row(s3: S3) -> None:
    clients.s3().put_object(Bucket=BUCKET, Key="images/cold.png", Body=PNG, StorageClass="GLACIER")
    s3.put(BUCKET, "images/empty.png", b"")
    put_table(s3, uri=[f"s3://{BUCKET}/images/{name}.png" for name in ("cold", "empty")])
    _, prepared, _ = prepare(s3, media={"column": "uri", "kind": "image"})
    reasons = [line["reason"] for line in s3.lines(BUCKET, keys_of().skipped(0))]
    assert prepared.records == 0
    assert "images/cold.png is archived (GLACIER) and cannot be read. Restore it" in reasons[0]
    assert reasons[1] == f"s3://{BUCKET}/images/empty.png is empty."
