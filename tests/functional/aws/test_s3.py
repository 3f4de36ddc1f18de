"""S3: what is found below a URI, whole objects written and read, and refusals that say what to do."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ResponseStreamingError

from bedrock_batch import errors
from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import PART_BYTES
from bedrock_batch.table import input_files
from tests.conftest import BUCKET


def test_writer_streams_parts_and_leaves_nothing_behind_on_error(s3: S3) -> None:
    line = b"0123456789abcdef" * 64
    with s3.writer(BUCKET, "big") as out:
        for _ in range(2 * PART_BYTES // len(line) + 5):
            out.write(line)
    assert out.size == 2 * PART_BYTES + 5 * len(line)
    assert s3.read(BUCKET, "big") == line * (out.size // len(line))
    with pytest.raises(KeyError), s3.writer(BUCKET, "broken") as out:
        out.write(line * (PART_BYTES // len(line) + 1))
        raise KeyError
    client = clients.s3()
    assert "Uploads" not in client.list_multipart_uploads(Bucket=BUCKET)
    assert [item.key for item in s3.list(BUCKET, "")] == ["big"]


def test_lines_survive_line_separators(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [{"t": "a\u2028b\x85c\r"}, {"t": ""}, {"t": "é"}]
    assert s3.put_lines(BUCKET, "l.jsonl", values) == 3
    monkeypatch.setattr("bedrock_batch.aws.s3.READ_BYTES", 5)
    assert list(s3.lines(BUCKET, "l.jsonl")) == values


class BreakingBody:
    """A body that breaks off the first `times` times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def read(self) -> bytes:
        self.times -= 1
        if self.times >= 0:
            raise ResponseStreamingError(error="connection broken")
        return b"whole"


class FakeClient:
    """A client that gives every call the same answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def get_object(self, **request: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"Body": self.answer}

    head_object = get_object

    def get_paginator(self, name: str) -> "FakeClient":
        return self

    def paginate(self, **request: Any) -> Iterator[Any]:
        yield self.get_object(**request)


def test_a_body_that_breaks_off_is_read_again() -> None:
    assert S3(FakeClient(BreakingBody(3))).read("b", "k") == b"whole"
    with pytest.raises(ResponseStreamingError):
        S3(FakeClient(BreakingBody(4))).read("b", "k")


@pytest.mark.parametrize(
    ("uri", "code", "message"),
    [
        ("s3://bucket/k.csv", "403", r"s3:GetObject on k\.csv in the bucket bucket, and"),
        (
            "s3://bucket/p/",
            "AccessDenied",
            r"s3:ListBucket on .* inputs.buckets, .* inputs.locations, .*inputs.kms_key_arns.*S3 says: no kms:Decrypt",
        ),
        ("s3://bucket/k.csv", "404", "does not exist"),
    ],
)
def test_refusals_of_s3_name_the_permission(uri: str, code: str, message: str) -> None:
    refusal = ClientError({"Error": {"Code": code, "Message": "no kms:Decrypt"}}, "GetObject")
    with pytest.raises(errors.InputNotFound, match=message):
        input_files.find(S3(FakeClient(refusal)), uri)


class Refusing(FakeClient):
    """A client whose answers to HEAD and GET differ: the answer to a HEAD has no body with the reason."""

    def __init__(self, head: Any, get: Any) -> None:
        super().__init__(get)
        self.head = head

    def head_object(self, **request: Any) -> Any:
        if isinstance(self.head, Exception):
            raise self.head
        return self.head


def refusal(code: str, message: str = "", **more: Any) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}, **more}, "GetObject")  # type: ignore[typeddict-item]  # as botocore lays modelled members


SSE_C = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided."


@pytest.mark.parametrize(
    ("head", "get", "message"),
    [
        ("403", refusal("AccessDenied", "not authorized to perform: kms:Decrypt"), "inputs.kms_key_arns.*kms:Decrypt$"),
        (
            "400",
            refusal("InvalidRequest", SSE_C),
            r"\(SSE-C\)\. .* Copy the object with SSE-S3 or SSE-KMS",
        ),
        ("400", refusal("KMS.DisabledException", "key is disabled"), "cannot be decrypted .*Enable the key"),
        ("403", refusal("AccessDenied", "Access Denied"), "If another account's bucket has Requester Pays, copy"),
        (
            "403",
            refusal("AccessDenied", "Bucket is a Requester Pays bucket"),
            "do not pay for requests.*Copy the object to a bucket",
        ),
        (
            "301",
            refusal("PermanentRedirect", "use this endpoint"),
            "the bucket bucket is in another Region\\. Copy",
        ),
        (
            "301",
            refusal("301", ResponseMetadata={"HTTPHeaders": {"x-amz-bucket-region": "eu-west-1"}}),
            r"another Region \(eu-west-1\)",
        ),
        (
            "403",
            refusal("InvalidObjectState", StorageClass="INTELLIGENT_TIERING", AccessTier="ARCHIVE_ACCESS"),
            r"archived \(INTELLIGENT_TIERING, ARCHIVE_ACCESS\) and cannot be read. Restore it.* copy",
        ),
    ],
)
def test_refusals_name_the_object_and_the_way_out(head: str, get: ClientError, message: str) -> None:
    s3 = S3(Refusing(refusal(head), get))
    with pytest.raises(errors.InputNotFound, match=rf"s3://bucket/d/k\.csv.*{message}"):
        input_files.find(s3, "s3://bucket/d/k.csv")
    with pytest.raises(errors.InputNotFound, match=rf"s3://bucket/d/k\.csv.*{message}"):
        s3.read("bucket", "d/k.csv")


def put_in(key: str, storage_class: str) -> str:
    clients.s3().put_object(Bucket=BUCKET, Key=key, Body=b"a\n1\n", StorageClass=storage_class)
    return f"s3://{BUCKET}/{key}"


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_refused_before_anything_is_read(s3: S3, storage_class: str) -> None:
    put_in("d/0.csv", "STANDARD")
    uri = put_in("d/1.csv", storage_class)
    for asked in (uri, f"s3://{BUCKET}/d/"):
        with pytest.raises(errors.InputNotFound, match=rf"{uri} is archived \({storage_class}\).*Restore.*copy"):
            input_files.find(s3, asked)
    with pytest.raises(errors.InputNotFound, match=rf"{uri} is archived"):
        s3.copy(BUCKET, "d/1.csv", to=(BUCKET, "copy"))
    clients.s3().restore_object(Bucket=BUCKET, Key="d/1.csv", RestoreRequest={"Days": 1})
    assert len(input_files.find(s3, f"s3://{BUCKET}/d/").sources) == 2


@pytest.mark.parametrize("storage_class", ["GLACIER_IR", "STANDARD_IA", "INTELLIGENT_TIERING"])
def test_other_storage_classes_are_read(s3: S3, storage_class: str) -> None:
    put_in("d/1.csv", storage_class)
    assert [source.key for source in input_files.find(s3, f"s3://{BUCKET}/d/").sources] == ["d/1.csv"]
    assert [item.storage_class for item in s3.list(BUCKET, "d/")] == [storage_class]


@pytest.mark.parametrize(
    ("answer", "archived"),
    [
        ({"StorageClass": "INTELLIGENT_TIERING"}, False),
        ({"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "DEEP_ARCHIVE_ACCESS"}, True),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="true"'}, True),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2029"'}, False),
    ],
)
def test_a_head_shows_what_is_archived(answer: dict[str, str], archived: bool) -> None:
    s3 = S3(Refusing({"ETag": "e", "ContentLength": 1, **answer}, None))
    if not archived:
        assert s3.head("bucket", "k").size == 1
        return
    with pytest.raises(errors.InputNotFound, match=f"archived .*{answer['StorageClass']}"):
        s3.head("bucket", "k")


def test_other_errors_of_s3_go_on_as_they_are() -> None:
    refusal = ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
    with pytest.raises(ClientError, match="SlowDown"):
        S3(FakeClient(refusal)).read("b", "k")
