"""`make publish` copies a release into a bucket."""

import json
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from release import manifest, publish

BUCKET = "test-bucket"
PREFIX = "bedrock-batch/"


@pytest.fixture
def bucket(aws: None) -> Any:
    return boto3.client("s3")


@pytest.fixture
def zips(tmp_path: Path) -> dict[str, manifest.Zip]:
    """Two zips in the folder dist/."""
    (tmp_path / "code-1.2.3.zip").write_bytes(b"code")
    (tmp_path / "layer-1.2.3-arm64.zip").write_bytes(b"layer")
    return {path.stem: manifest.describe(path) for path in sorted(tmp_path.glob("*.zip"))}


def keys(bucket: Any) -> list[str]:
    return [one["Key"] for one in bucket.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_a_zip_is_put_once(bucket: Any, zips: dict[str, manifest.Zip], tmp_path: Path) -> None:
    expected = [PREFIX + one.key for one in zips.values()]
    assert publish.publish(bucket, zips, tmp_path, BUCKET, PREFIX) == expected
    assert keys(bucket) == expected
    assert bucket.get_object(Bucket=BUCKET, Key=expected[0])["Body"].read() == b"code"
    bucket.delete_object(Bucket=BUCKET, Key=expected[1])
    assert publish.publish(bucket, zips, tmp_path, BUCKET, PREFIX) == [expected[1]]
    assert publish.publish(bucket, zips, tmp_path, BUCKET, PREFIX) == []


@pytest.mark.parametrize("checksum", [{}, {"ChecksumAlgorithm": "SHA256"}])
def test_other_content_is_not_overwritten(
    bucket: Any, zips: dict[str, manifest.Zip], tmp_path: Path, checksum: dict[str, Any]
) -> None:
    key = PREFIX + list(zips.values())[1].key
    bucket.put_object(Bucket=BUCKET, Key=key, Body=b"other", **checksum)
    with pytest.raises(publish.PublishError, match=rf"s3://{BUCKET}/{key} has other content than dist/layer-1.2.3"):
        publish.publish(bucket, zips, tmp_path, BUCKET, PREFIX)
    assert keys(bucket) == [key], "and nothing else was written before that"
    assert bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"other"


def test_what_make_release_did_not_build_is_not_put(bucket: Any, zips: dict[str, manifest.Zip], tmp_path: Path) -> None:
    with pytest.raises(publish.PublishError, match="names no zips: run make release first"):
        publish.publish(bucket, {}, tmp_path, BUCKET, PREFIX)
    (tmp_path / "code-1.2.3.zip").write_bytes(b"edited")
    with pytest.raises(
        publish.PublishError, match=r"code-1\.2\.3\.zip is not the zip that terraform/release\.json names"
    ):
        publish.publish(bucket, zips, tmp_path, BUCKET, PREFIX)
    (tmp_path / "code-1.2.3.zip").unlink()
    with pytest.raises(publish.PublishError, match=r"There is no file .*code-1\.2\.3\.zip: run make release first"):
        publish.publish(bucket, zips, tmp_path, BUCKET, PREFIX)
    assert keys(bucket) == []


@pytest.fixture
def released(zips: dict[str, manifest.Zip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The zips are those of the release that was built here."""
    written = tmp_path / "release.json"
    written.write_text(manifest.text(zips))
    monkeypatch.setattr(manifest, "DIST", tmp_path)
    monkeypatch.setattr(manifest, "MANIFEST", written)


@pytest.mark.usefixtures("aws", "released")
def test_it_prints_what_the_module_block_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["publish", "--bucket", BUCKET, "--prefix", PREFIX])
    publish.main()
    said = capsys.readouterr().out
    assert said.endswith(f'\npackage = {{ s3 = {{ bucket = "{BUCKET}", prefix = "{PREFIX}" }} }}\n')
    assert f"s3://{BUCKET}/{PREFIX}code-1.2.3-" in said


@pytest.mark.usefixtures("aws", "released")
@pytest.mark.parametrize(
    ("bucket_name", "prefix", "said"),
    [
        ("no-such-bucket", PREFIX, "publish: An error occurred"),
        (BUCKET, "bedrock-batch", "publish: PREFIX=bedrock-batch must end with a slash"),
        (BUCKET, "/bedrock-batch/", "publish: PREFIX=/bedrock-batch/ must end with a slash and not begin with one"),
    ],
)
def test_a_mistake_is_a_sentence(bucket_name: str, prefix: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["publish", "--bucket", bucket_name, "--prefix", prefix])
    with pytest.raises(SystemExit, match=said):
        publish.main()


def test_without_a_prefix_the_block_has_none() -> None:
    assert publish.block("artifacts", "") == 'package = { s3 = { bucket = "artifacts" } }'
    assert json.loads(manifest.text({}))["zips"] == {}
