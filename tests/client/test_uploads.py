"""Tables of yours become objects that runs may read."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bedrock_batch_client import uploads
from bedrock_batch_client.errors import Mistake, NoPermission
from bedrock_batch_client.installation import Installation
from tests.client import fakes


class Frame:
    """A data frame of another library: all that is known of it is its stream."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def read(at: Installation, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body: bytes = at.aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def test_a_file_is_uploaded_once(at: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "my reviews (1).csv"
    path.write_text("a\n1\n")
    first = uploads.place(at, path)
    assert first.startswith(f"s3://{fakes.BUCKET}/datasets/") and first.endswith("-my-reviews-1-.csv")
    assert read(at, first) == b"a\n1\n"
    monkeypatch.setattr(at.aws.s3, "upload_file", lambda *_: pytest.fail("it is there already"))
    assert uploads.place(at, str(path)) == first
    monkeypatch.undo()
    path.write_text("a\n2\n")
    assert uploads.place(at, path) != first


def test_an_upload_that_was_cut_is_done_again(at: Installation, tmp_path: Path, put: Any) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    uri = uploads.place(at, path)
    put(uri.partition(f"{fakes.BUCKET}/")[2], b"a\n")
    assert read(at, uploads.place(at, path)) == b"a\n1\n"


@pytest.mark.parametrize("kind", [Frame, lambda table: table])
def test_a_data_frame_becomes_parquet(at: Installation, kind: Any) -> None:
    table = pa.table({"id": [1, 2], "text": ["a", None]})
    uri = uploads.place(at, kind(table))
    assert uri.endswith("-table.parquet")
    assert pq.read_table(io.BytesIO(read(at, uri))).equals(table)


def test_addresses_stay_as_they_are(at: Installation) -> None:
    assert uploads.place(at, "s3://b/t.csv") == "s3://b/t.csv"
    assert uploads.place(at, ["s3://b/t.csv", "s3://b/u.csv"]) == ["s3://b/t.csv", "s3://b/u.csv"]


def test_with_a_bucket_that_is_given_the_place_must_be_named(services: fakes.Aws, tmp_path: Path) -> None:
    at = fakes.installation(services, uploads="")
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    with pytest.raises(Mistake, match="Say where the table may go"):
        uploads.place(at, path)
    for to in (f"s3://{fakes.BUCKET}/mine", f"s3://{fakes.BUCKET}/mine/"):
        assert uploads.place(at, path, to=to).startswith(f"s3://{fakes.BUCKET}/mine/")
    with pytest.raises(Mistake, match="is not an address"):
        uploads.place(at, path, to="mine")


def test_what_is_no_table(at: Installation) -> None:
    with pytest.raises(Mistake, match="There is no file 'nowhere.csv'"):
        uploads.place(at, "nowhere.csv")
    with pytest.raises(Mistake, match="A dict is not a table"):
        uploads.place(at, {"a": [1]})


def test_an_upload_without_permission_names_it(
    at: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from boto3.exceptions import S3UploadFailedError

    def refused(*_: Any) -> None:
        try:
            raise fakes.error("PutObject", "AccessDenied", "Access Denied")
        except Exception as err:
            raise S3UploadFailedError("Failed to upload") from err

    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    monkeypatch.setattr(at.aws.s3, "upload_file", refused)
    with pytest.raises(NoPermission, match=f"s3:PutObject on arn:aws:s3:::{fakes.BUCKET}/datasets/"):
        uploads.place(at, path)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("日本語.csv", "-table.csv"),
        ("ä.jsonl.gz", "-table.jsonl.gz"),
        (".csv", "-table.csv"),
        ("x" * 200 + ".csv", "-" + "x" * 60 + ".csv"),
        ("-a b.PARQUET", "-a-b.PARQUET"),
    ],
)
def test_the_end_of_a_name_stays_because_it_says_the_format(
    at: Installation, tmp_path: Path, name: str, end: str
) -> None:
    (tmp_path / name).write_text("a\n1\n")
    uri = uploads.place(at, tmp_path / name)
    assert uri.endswith(end) and len(uri.removesuffix(end)) == len(f"s3://{fakes.BUCKET}/datasets/") + 16


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pa.table([[1], [2]], names=["a", "a"]), "two columns of the name 'a'"),
        (pa.table({"a": pa.array([{}], pa.struct([]))}), "cannot be written as Parquet: .*'a'"),
    ],
    ids=["twice", "empty struct"],
)
def test_a_data_frame_that_parquet_cannot_hold(at: Installation, table: pa.Table, words: str) -> None:
    for kind in (table, Frame(table)):
        with pytest.raises(Mistake, match=words):
            uploads.place(at, kind)
