"""media.source s3_location: records refer to copies of objects in the folder of their job."""

import io
import json
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.lines import Chunk, LeftoverLines, PlannedShard, Pool
from bedrock_batch.contracts.results import Prepared
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import BedrockBatchError, InvalidRunInput, MalformedInput, TooLarge, UnsupportedRequest
from bedrock_batch.records import media_attach
from bedrock_batch.records.pool_leftovers import pool_leftovers
from bedrock_batch.records.prepare_shard import prepare_shard
from bedrock_batch.run import invoke
from bedrock_batch.run.answer_on_demand import answer_on_demand
from bedrock_batch.run.decide import Standing
from bedrock_batch.run.next_lines import job_lines
from tests.conftest import BUCKET
from tests.functional.planned import plan
from tests.functional.records.test_media import IMAGES, PROMPT
from tests.unit.factories import HAIKU, keys_of

NOVA = "amazon.nova-lite-v1:0"
LAKE = "lake"
SHAPES = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")
BLOCKS = SHAPES.shape_for("ContentBlock")


@pytest.fixture
def s3(aws: None) -> S3:
    """Two hundred rows over four images in another bucket; of `holes`, one is missing and one is no image."""
    s3 = S3(clients.s3())
    clients.s3().create_bucket(Bucket=LAKE)
    for number, image in enumerate(IMAGES):
        s3.put(LAKE, f"images/n° {number}.JPG", image)
    uris = [f"s3://{LAKE}/images/n° {number % 4}.JPG" for number in range(200)]
    holes = [None, f"s3://{LAKE}/images/none.png", "here", *uris[3:]]
    columns = {"name": [f"n{n}" for n in range(200)], "uri": uris, "holes": holes, "image": [IMAGES[0]] * 200}
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    s3.put(BUCKET, "in/t.parquet", file.getvalue())
    return s3


def planned(s3: S3, model_id: str = NOVA, **given: Any) -> tuple[Run, list[PlannedShard]]:
    """Return the run and its shards; `media` is added to what every test here asks for."""
    media = {"column": "uri", "kind": "image", "source": "s3_location", **given.pop("media", {})}
    given = {"s3_uri": f"s3://{BUCKET}/in/t.parquet", "prompt": PROMPT, **given}
    given = {key: value for key, value in given.items() if value is not None}
    run = Run.from_json(plan(s3, model_id, media=media, **given))
    return run, [PlannedShard.from_json(line) for line in s3.lines(BUCKET, keys_of().plan)]


def blocks(s3: S3, key: str) -> list[dict[str, Any]]:
    """Return the first block of the prompt of every record."""
    return [line["modelInput"]["messages"][-1]["content"][0] for line in s3.lines(BUCKET, key)]


def copies(s3: S3, folder: str) -> dict[str, bytes]:
    """Return the objects in a folder beside the JSONL file, by URI."""
    found = [item for item in s3.list(BUCKET, folder) if not item.key.endswith(".jsonl")]
    return {item.uri: s3.read(BUCKET, item.key) for item in found}


@pytest.mark.parametrize("invocation_type", ["Converse", "InvokeModel"])
def test_records_refer_to_copies_in_the_folder_of_their_job(s3: S3, invocation_type: str) -> None:
    run, shards = planned(s3, max_records_per_job=100, invocation_type=invocation_type)
    assert len(shards) == 2
    for shard in shards:
        prepared = prepared_of(s3, shard)
        assert (prepared.records, prepared.skipped) == (100, 0)
        folder = f"reviews/work/monday/input/{shard.shard:05d}/"
        key = f"{folder}{shard.shard:05d}.jsonl"
        assert run.input_key(shard.shard) == key
        held = copies(s3, folder)
        # Many rows, one copy of each object.
        assert sorted(held.values()) == IMAGES
        for number, block in enumerate(blocks(s3, key)):
            location = block["image"]["source"]["s3Location"]
            assert block["image"]["format"] == "png", "as the first bytes say, and not the name"
            assert location["bucketOwner"] == "123456789012"
            assert held[location["uri"]] == IMAGES[number % 4]
            report = ParamValidator().validate(block, BLOCKS)
            assert not report.has_errors(), report.generate_report()


def test_the_job_is_given_the_folder(s3: S3) -> None:
    run, shards = planned(s3)
    standings = [Standing(0, 200, 10)]
    (line,) = job_lines(run, shards, standings, {0: None}, round_=0)
    assert (
        line["request"]["InputDataConfig"]["S3InputDataConfig"]["S3Uri"]
        == f"s3://{BUCKET}/reviews/work/monday/input/00000/"
    )


def test_doing_it_twice_copies_nothing_again(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: Counter[str] = Counter()
    copy = S3.copy

    def counted(self: S3, bucket: str, key: str, **more: Any) -> None:
        copied[key] += 1
        copy(self, bucket, key, **more)

    monkeypatch.setattr(S3, "copy", counted)
    run, (shard,) = planned(s3)
    first = prepared_of(s3, shard)
    body = s3.read(BUCKET, run.input_key(0))
    assert set(copied.values()) == {1}
    assert prepared_of(s3, shard) == first
    assert s3.read(BUCKET, run.input_key(0)) == body
    assert (len(copied), set(copied.values())) == (4, {1})


def test_an_object_that_cannot_be_used_costs_its_rows(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    _, (shard,) = planned(s3, media={"column": "holes"})
    assert (prepared_of(s3, shard).records, prepared_of(s3, shard).skipped) == (197, 3)
    skipped = {line["row"]: line for line in s3.lines(BUCKET, keys_of().skipped(0))}
    assert skipped[1]["code"] == "NullColumn"
    assert {skipped[2]["code"], skipped[3]["code"]} == {"MediaNotUsable"}
    assert "images/none.png does not exist" in skipped[2]["reason"]
    monkeypatch.setattr(media_attach, "_MOST_COPIED_BYTES", len(IMAGES[0]) - 1)
    prepared = prepared_of(s3, shard)
    assert (prepared.records, prepared.skipped) == (0, 200)


def test_it_ends_the_run_where_nulls_do(s3: S3) -> None:
    _, (shard,) = planned(s3, media={"column": "holes"}, input={"nulls": "error", "format": "parquet"})
    with pytest.raises(MalformedInput, match='Row 1 of the table .*"holes" is null or empty. To skip such rows, set'):
        prepared_of(s3, shard)


def test_a_pooled_job_takes_the_objects_along(s3: S3) -> None:
    run, shards = planned(s3, max_records_per_job=100)
    for shard in shards:
        prepared_of(s3, shard)
    key = keys_of().pooled(1, 7, own_folder=True)
    pool = Pool(BUCKET, keys_of().run(), key, [LeftoverLines(1, 2, 4), LeftoverLines(0, 0, 3)])
    assert pool_leftovers(s3, pool)["records"] == 5
    once = s3.read(BUCKET, key)
    held = copies(s3, "reviews/work/monday/input/r1-00007/")
    # Rows 102, 103, 0, 1, 2: objects 2, 3, 0, 1 and 2 again.
    assert sorted(held.values()) == IMAGES
    found = [held[block["image"]["source"]["s3Location"]["uri"]] for block in blocks(s3, key)]
    assert found == [IMAGES[number] for number in (2, 3, 0, 1, 2)]
    before = [*s3.lines(BUCKET, run.input_key(1))][2:4] + [*s3.lines(BUCKET, run.input_key(0))][:3]
    for old, new in zip(before, s3.lines(BUCKET, key), strict=True):
        moved = new["modelInput"]["messages"][-1]["content"][0]["image"]["source"]["s3Location"]
        moved["uri"] = old["modelInput"]["messages"][-1]["content"][0]["image"]["source"]["s3Location"]["uri"]
        assert new == old
    pool_leftovers(s3, pool)
    assert s3.read(BUCKET, key) == once


def test_a_lost_copy_fails_the_pool(s3: S3) -> None:
    _, (shard,) = planned(s3)
    prepared_of(s3, shard)
    for uri in copies(s3, "reviews/work/monday/input/00000/"):
        clients.s3().delete_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"))
    key = keys_of().pooled(1, 0, own_folder=True)
    with pytest.raises(BedrockBatchError, match="does not exist"):
        pool_leftovers(s3, Pool(BUCKET, keys_of().run(), key, [LeftoverLines(0, 0, 9)]))
    assert list(s3.list(BUCKET, key)) == []


class Model:
    """Converse on demand; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def converse(self, **arguments: Any) -> dict[str, Any]:
        report = ParamValidator().validate(arguments, SHAPES.operation_model("Converse").input_shape)
        assert not report.has_errors(), report.generate_report()
        self.asked.append(arguments)
        return {"output": {"message": {"content": [{"text": "a cat"}]}}, "stopReason": "end_turn"}


def test_on_demand_the_references_are_used_as_they_are(s3: S3) -> None:
    run, (shard,) = planned(s3)
    prepared_of(s3, shard)
    model = Model()
    raw_key = keys_of().on_demand(0, 0)
    answer_on_demand(s3, model, Chunk(BUCKET, keys_of().run(), 0, [LeftoverLines(0, 198, 200)], raw_key))
    held = copies(s3, "reviews/work/monday/input/00000/")
    asked = [one["messages"][0]["content"][0]["image"]["source"]["s3Location"]["uri"] for one in model.asked]
    assert [held[uri] for uri in asked] == [IMAGES[2], IMAGES[3]]
    assert invoke.answer(model, next(s3.lines(BUCKET, run.input_key(0))), model_id=NOVA, invocation_type="Converse")


def test_jobs_are_cut_by_the_size_of_the_objects(s3: S3) -> None:
    s3.put(BUCKET, "in/many.csv", b"name,uri\n" + b"a,s3://b/k.mp4\n" * 10_000)
    run, shards = planned(s3, s3_uri=f"s3://{BUCKET}/in/many.csv", media={"kind": "video", "average_bytes": 40_000_000})
    # A job of Nova Lite may have 100 GB, of which the estimate fills 80: 2000 videos.
    assert (run.quotas["max_records"], [shard.rows for shard in shards]) == (2000, [2000] * 5)


def test_a_job_over_the_quota_is_refused(s3: S3) -> None:
    run, (shard,) = planned(s3)
    quotas = run.quotas | {"max_job_bytes": s3_size(s3, run, shard) + sum(map(len, IMAGES)) - 1}
    s3.put(BUCKET, keys_of().run(), json.dumps(run.to_json() | {"quotas": quotas}).encode())
    with pytest.raises(TooLarge, match=r"refers to more than the .* GB that a job may have"):
        prepared_of(s3, shard)


def prepared_of(s3: S3, shard: PlannedShard) -> Prepared:
    (prepared,) = prepare_shard(s3, shard).prepared
    return prepared


def s3_size(s3: S3, run: Run, shard: PlannedShard) -> int:
    return prepared_of(s3, shard).bytes


def test_a_request_of_ones_own_says_where_the_reference_goes(s3: S3) -> None:
    source = {"s3Location": {"uri": "{media.uri}"}}
    request = {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {
            "embeddingPurpose": "GENERIC_INDEX",
            "image": {"format": "{media.format}", "source": source},
        },
    }
    run, (shard,) = planned(s3, "amazon.nova-2-multimodal-embeddings-v1:0", prompt=None, request=request)
    prepared_of(s3, shard)
    (first, *_) = s3.lines(BUCKET, run.input_key(0))
    image = first["modelInput"]["singleEmbeddingParams"]["image"]
    assert copies(s3, "reviews/work/monday/input/00000/")[image["source"]["s3Location"]["uri"]] == IMAGES[0]


@pytest.mark.parametrize(
    ("model_id", "given", "error", "words"),
    [
        (HAIKU, {}, UnsupportedRequest, "known to work only with Amazon Nova, not with anthropic.claude-haiku-4-5"),
        ("acme.chat", {}, UnsupportedRequest, "known to work only with Amazon Nova, not with acme.chat"),
        (NOVA, {"media": {"column": "image", "format": "png"}}, InvalidRunInput, "'image' holds bytes"),
        (NOVA, {"media": {"kind": "video", "format": "png"}}, InvalidRunInput, "'png' is not a format of a video"),
        (
            NOVA,
            {"media": {"kind": "document"}, "invocation_type": "InvokeModel"},
            UnsupportedRequest,
            "put {media.uri} and {media.format} into your request",
        ),
        (NOVA, {"prompt": None, "request": {"a": "{media.data}"}}, InvalidRunInput, "Put {media.uri} into it"),
    ],
)
def test_what_cannot_work_is_refused(
    s3: S3, model_id: str, given: dict[str, Any], error: type[BedrockBatchError], words: str
) -> None:
    with pytest.raises(error) as caught:
        planned(s3, model_id, **given)
    assert words in str(caught.value)
