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
    """A body that breaks off as often as `times` says."""

    def __init__(self, times: int) -> None:
        self.times = times

    def read(self) -> bytes:
        self.times -= 1
        if self.times >= 0:
            raise ResponseStreamingError(error="connection broken")
        return b"whole"


class FakeClient:
    """A client that answers every call with one thing."""

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
        ("s3://bucket/k.csv", "403", r"s3:GetObject on arn:aws:s3:::bucket/k\.csv"),
        (
            "s3://bucket/p/",
            "AccessDenied",
            r"s3:ListBucket on .* inputs.buckets .*inputs.kms_key_arns.*S3 says: no kms:Decrypt",
        ),
        ("s3://bucket/k.csv", "404", "does not exist"),
    ],
)
def test_refusals_of_s3_name_the_permission(uri: str, code: str, message: str) -> None:
    refusal = ClientError({"Error": {"Code": code, "Message": "no kms:Decrypt"}}, "GetObject")
    with pytest.raises(errors.InputNotFound, match=message):
        input_files.find(S3(FakeClient(refusal)), uri)


def test_other_errors_of_s3_go_on_as_they_are() -> None:
    refusal = ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
    with pytest.raises(ClientError, match="SlowDown"):
        S3(FakeClient(refusal)).read("b", "k")
