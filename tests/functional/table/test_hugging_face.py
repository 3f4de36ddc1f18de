"""Datasets of the Hugging Face hub: the right files, pinned, and no others."""

import io
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bedrock_batch import errors
from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.table import read
from tests.functional.hub import CONVERTED, TOKEN, Dataset, StandIn, stand_in
from tests.functional.tables import cut
from tests.unit.factories import make_run

QUOTAS = {"min_records": 2, "max_records": 7, "max_file_bytes": 10**9}


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with stand_in() as hub:
        yield hub


@pytest.fixture
def hub(server: StandIn, aws: None, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """An empty hub; the library's waits between attempts take no time."""
    server.datasets, server.requests, server.ranges, server.failing = {}, [], [], None
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    return server


def parquet(*texts: str) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"text": list(texts)}), out, row_group_size=3)
    return out.getvalue()


def numbered(name: str, count: int) -> list[str]:
    return [f"{name}-{index}" for index in range(count)]


def texts(asked: dict[str, Any], found: read.Description | None = None) -> list[str]:
    """Plan a dataset and read all its shards, as the functions do."""
    s3 = S3(clients.s3())
    found = found or describe(asked)
    run = make_run(
        input=make_run().input | asked,
        table=found.table,
        sources=found.sources,
    )
    shards = cut(found, QUOTAS)
    return [
        text
        for shard in shards
        for batch in read.read_shard(s3, run, shard, columns=["text"])
        for text in batch["text"].to_pylist()
    ]


def describe(asked: dict[str, Any]) -> read.Description:
    s3 = S3(clients.s3())
    return read.describe(read.find(s3, asked), options={})


def own(**splits: str) -> dict[str, Any]:
    return {"configs": [{"config_name": "default", "data_files": [{"split": s, "path": p} for s, p in splits.items()]}]}


def test_the_card_says_which_files_make_a_split(hub: StandIn) -> None:
    hub.datasets["org/data"] = Dataset(card=own(train="data/train-*", test="data/test-*"))
    files = {
        "README.md": b"---",
        "data/train-00001-of-00002.parquet": parquet(*numbered("b", 9)),
        "data/train-00000-of-00002.parquet": parquet(*numbered("a", 8)),
        "data/test-00000-of-00001.parquet": parquet("test"),
        "data/old/train-00000.parquet": parquet("old"),
    }
    sha = hub.datasets["org/data"].push(files)
    assert texts({"dataset_id": "org/data"}) == numbered("a", 8) + numbered("b", 9)
    assert texts({"dataset_id": "org/data", "split": "test"}) == ["test"]
    found = describe({"dataset_id": "org/data"})
    assert found.sources[0].uri == f"hf://datasets/org/data@{sha}/data/train-00000-of-00002.parquet"


def test_hidden_files_do_not_count(hub: StandIn) -> None:
    hub.datasets["org/data"] = Dataset(card=own(train="**/*.parquet", cached=".cache/*.parquet", rest="**"))
    hub.datasets["org/data"].push(
        {
            "README.md": b"---",
            "a/train-0.parquet": parquet("a"),
            "train-0.parquet": parquet("b"),
            ".cache/train-0.parquet": parquet("hidden"),
            "a/.hidden.parquet": parquet("hidden"),
            "__pycache__/x.parquet": parquet("hidden"),
        }
    )
    assert texts({"dataset_id": "org/data"}) == ["a", "b"]
    assert texts({"dataset_id": "org/data", "split": "rest"}) == ["a", "b"]
    assert texts({"dataset_id": "org/data", "split": "cached"}) == ["hidden"], "it is named"


def test_a_card_may_name_its_default_config_and_folders(hub: StandIn) -> None:
    configs = [
        {"config_name": "small", "data_dir": "s", "data_files": "*.parquet"},
        {
            "config_name": "large",
            "data_dir": "l/",
            "data_files": [{"split": "train", "path": "x/*.parquet"}],
            "default": True,
        },
    ]
    hub.datasets["org/data"] = Dataset(card={"configs": configs})
    hub.datasets["org/data"].push({"s/0.parquet": parquet("small"), "l/x/0.parquet": parquet("large")})
    assert texts({"dataset_id": "org/data"}) == ["large"]
    assert texts({"dataset_id": "org/data", "config": "small"}) == ["small"]


def test_private_folders_do_not_count_and_files_of_such_names_do(hub: StandIn) -> None:
    hub.datasets["org/data"] = Dataset(card=own(train="**/*.parquet", mixed="**/.b/*.parquet"))
    files = {"__a.parquet": parquet("a"), "__x/b.parquet": parquet("b"), "__y/.b/c.parquet": parquet("c")}
    hub.datasets["org/data"].push(files | {"z/.b/d.parquet": parquet("d")})
    assert texts({"dataset_id": "org/data"}) == ["a"]
    assert texts({"dataset_id": "org/data", "split": "mixed"}) == ["d"]


@pytest.mark.parametrize(
    "files",
    [
        [{"split": "train", "path": ["*.parquet", "a*"]}, {"split": "train", "path": "**"}],
        {"train": ["./*.parquet", "*"]},
        ["*.parquet", "a.parquet"],
        "**/*",
    ],
)
def test_a_file_that_two_patterns_match_counts_once(hub: StandIn, files: Any) -> None:
    hub.datasets["org/data"] = Dataset(card={"configs": [{"config_name": "only", "data_files": files}]})
    hub.datasets["org/data"].push({"a.parquet": parquet("a"), "b.parquet": parquet("b")})
    assert texts({"dataset_id": "org/data"}) == ["a", "b"]


@pytest.mark.parametrize("declared", [True, False])
def test_a_config_whose_files_are_guessed_is_read_as_the_hub_converted_it(hub: StandIn, declared: bool) -> None:
    other = {"config_name": "small", **({"data_files": "s.parquet"} if declared else {"data_dir": "s"})}
    configs = [other, {"config_name": "large", "data_dir": "l", "default": True}]
    dataset = hub.datasets["org/data"] = Dataset(card={"configs": configs})
    dataset.push({"s.parquet": parquet("small"), "l/x.csv": b"text\n"})
    converted = {f"{name}/train/0000.parquet": parquet(f"{name} converted") for name in ("small", "large")}
    dataset.push(converted, CONVERTED)
    assert texts({"dataset_id": "org/data"}) == ["large converted"]
    assert texts({"dataset_id": "org/data", "config": "small"}) == ["small" if declared else "small converted"]


@pytest.mark.parametrize(
    "configs",
    [
        "none",
        ["x", 3, None],
        [{"config_name": "a", "data_files": [{"split": "train"}]}],
        [{"data_files": 7}],
        [{"data_files": {"train": None}, "data_dir": 3}],
        [{"data_files": ["x", {"split": "train", "path": "y"}]}],
    ],
)
def test_a_card_that_says_nothing_of_files_leaves_them_to_the_hub(hub: StandIn, configs: Any) -> None:
    dataset = hub.datasets["org/data"] = Dataset(card={"configs": configs})
    dataset.push({"t.csv": b"text\n"})
    name = "a" if configs[0] == {"config_name": "a", "data_files": [{"split": "train"}]} else "default"
    dataset.push({f"{name}/train/0000.parquet": parquet("converted")}, CONVERTED)
    assert texts({"dataset_id": "org/data"}) == ["converted"]


def test_two_default_configs_are_refused(hub: StandIn) -> None:
    configs = [{"config_name": name, "data_files": "*.parquet", "default": True} for name in ("de", "en")]
    hub.datasets["org/data"] = Dataset(card={"configs": configs})
    hub.datasets["org/data"].push({"t.parquet": parquet("x")})
    with pytest.raises(errors.InvalidRunInput, match="several default configs: set config to one of de, en"):
        describe({"dataset_id": "org/data"})


@pytest.mark.parametrize("pattern", ["*a" * 200 + "b", "/".join(["**", "*a*a*a*a*a*a*b"] * 15), "[" * 400])
def test_a_pattern_of_any_kind_ends(hub: StandIn, pattern: str) -> None:
    hub.datasets["org/data"] = Dataset(card=own(train=pattern, test="t.parquet"))
    hub.datasets["org/data"].push({"t.parquet": parquet("t"), "/".join(["a" * 200] * 12) + ".parquet": parquet("u")})
    started = time.process_time()
    assert texts({"dataset_id": "org/data", "split": "test"}) == ["t"]
    assert time.process_time() - started < 5, "minutes, where a regular expression goes back"


def test_a_pattern_that_is_too_long_is_refused(hub: StandIn) -> None:
    hub.datasets["org/data"] = Dataset(card=own(train="*" * 501))
    hub.datasets["org/data"].push({"t.parquet": parquet("t")})
    with pytest.raises(errors.InvalidRunInput, match="a pattern of 50[0-9] characters"):
        texts({"dataset_id": "org/data"})


def test_ranges_are_read_and_not_whole_files(hub: StandIn) -> None:
    body = parquet(*[f"{index}" * 300 for index in range(2000)])
    hub.datasets["org/data"] = Dataset(card=own(train="*.parquet"))
    hub.datasets["org/data"].push({"t.parquet": body})
    describe({"dataset_id": "org/data"})
    edges = [[int(edge) for edge in asked.removeprefix("bytes=").split("-")] for asked in hub.ranges]
    assert 0 < sum(end - start + 1 for start, end in edges) < len(body)


def test_the_bytes_stay_those_of_the_planned_commit(hub: StandIn) -> None:
    dataset = hub.datasets["org/data"] = Dataset(card=own(train="t.parquet"))
    dataset.push({"t.parquet": parquet("first")})
    asked = {"dataset_id": "org/data"}
    found = describe(asked)
    dataset.push({"t.parquet": parquet("second", "more")})
    assert texts(asked, found) == ["first"]
    assert texts(asked) == ["second", "more"]
    dataset.commits.pop(found.sources[0].revision)
    with pytest.raises(errors.InputChanged, match="org/data"):
        texts(asked, found)


def test_a_revision_is_kept(hub: StandIn) -> None:
    dataset = hub.datasets["org/data"] = Dataset(card=own(train="t.parquet"))
    dataset.push({"t.parquet": parquet("tagged")}, branch="v1")
    dataset.push({"t.parquet": parquet("newest")})
    assert texts({"dataset_id": "org/data", "revision": "v1"}) == ["tagged"]
    with pytest.raises(errors.InputNotFound, match="no revision 'v2'"):
        describe({"dataset_id": "org/data", "revision": "v2"})


def test_names_that_are_prefixes_of_each_other_do_not_mix(hub: StandIn) -> None:
    for name, count in (("o/d", 3), ("o/d-large", 5)):
        hub.datasets[name] = Dataset()
        hub.datasets[name].push({"data.csv": b"text\n"})
        hub.datasets[name].push(
            {
                "default/train/0000.parquet": parquet(*numbered(name, count)),
                "default/train-extra/0000.parquet": parquet("extra"),
                "default-2/train/0000.parquet": parquet("another config"),
            },
            CONVERTED,
        )
    assert texts({"dataset_id": "o/d"}) == numbered("o/d", 3)
    assert texts({"dataset_id": "o/d-large"}) == numbered("o/d-large", 5)
    assert texts({"dataset_id": "o/d", "split": "train-extra"}) == ["extra"]
    assert texts({"dataset_id": "o/d", "config": "default-2"}) == ["another config"]


def test_what_the_hub_converted_in_part_is_refused(hub: StandIn) -> None:
    dataset = hub.datasets["org/big"] = Dataset()
    dataset.push({"data.csv": b"text\n"})
    dataset.push({"default/partial-train/0000.parquet": parquet("some")}, CONVERTED)
    with pytest.raises(errors.InputNotFound, match="only the first part of the split 'train'"):
        describe({"dataset_id": "org/big"})
    with pytest.raises(errors.InputNotFound, match="Remove revision"):
        describe({"dataset_id": "org/big", "revision": dataset.branches["main"]})


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"dataset_id": "org/none"}, errors.InputNotFound, "no dataset org/none"),
        ({"dataset_id": "org/data", "split": "tests"}, errors.InputNotFound, "no split 'tests'. It has: test, train"),
        ({"dataset_id": "org/data", "config": "fr"}, errors.InputNotFound, "no config 'fr'. It has: default"),
        ({"dataset_id": "org/many"}, errors.InvalidRunInput, "set config to one of de, en"),
        ({"dataset_id": "org/many", "config": "fr"}, errors.InputNotFound, "no config 'fr'. It has: de, en"),
        ({"dataset_id": "org/raw"}, errors.InputNotFound, "the hub has not converted the dataset"),
        ({"dataset_id": "not/an/id"}, errors.InvalidRunInput, "not/an/id"),
    ],
)
def test_what_is_not_there_is_named(hub: StandIn, asked: dict[str, Any], error: type[Exception], message: str) -> None:
    files = {"a.parquet": parquet("x"), "b.parquet": parquet("y")}
    hub.datasets["org/data"] = Dataset(card=own(train="a.parquet", test="b.parquet"))
    hub.datasets["org/many"] = Dataset(
        card={"configs": [{"config_name": c, "data_files": "*.parquet"} for c in ("en", "de")]}
    )
    hub.datasets["org/raw"] = Dataset()
    for dataset in hub.datasets.values():
        dataset.push(files)
    with pytest.raises(error, match=message):
        describe(asked)


def test_a_gated_dataset_needs_the_token_of_a_secret(hub: StandIn) -> None:
    hub.datasets["org/gated"] = Dataset(card=own(train="t.parquet"), gated=True)
    hub.datasets["org/gated"].push({"t.parquet": parquet("secret")})
    asked = {"dataset_id": "org/gated"}
    with pytest.raises(errors.InputNotFound, match="gated: accept its terms .*hf_token_secret_arn"):
        describe(asked)
    secrets = boto3.client("secretsmanager")
    arn = secrets.create_secret(Name="hub", SecretString=TOKEN + "\n")["ARN"]
    assert texts(asked | {"hf_token_secret_arn": arn}) == ["secret"]
    with pytest.raises(errors.InputNotFound, match=r"inputs\.secret_arns"):
        describe(asked | {"hf_token_secret_arn": arn.replace("hub", "other")})
    secrets.put_secret_value(SecretId=arn, SecretString='{"token": "' + TOKEN + '"}')
    with pytest.raises(errors.InvalidRunInput, match="the token's text alone"):
        describe(asked | {"hf_token_secret_arn": arn})


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_fails_may_be_asked_again(hub: StandIn, status: int) -> None:
    hub.datasets["org/data"] = Dataset(card=own(train="t.parquet"))
    hub.datasets["org/data"].push({"t.parquet": parquet("x")})
    asked = {"dataset_id": "org/data"}
    found = describe(asked)
    hub.failing = status
    with pytest.raises(errors.HubUnavailable, match=f"{status}"):
        describe(asked)
    with pytest.raises(errors.HubUnavailable, match=f"{status}"):
        texts(asked, found)


def test_a_hub_that_cannot_be_reached_may_be_asked_again(hub: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(errors.HubUnavailable, match="org/data: the hub cannot be reached"):
        describe({"dataset_id": "org/data"})
