"""What the AWS clients do if a call fails, and what they add to a write."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError

from bedrock_batch.aws import clients, quotas
from bedrock_batch.aws.inventory import Inventory
from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import PART_BYTES
from bedrock_batch.contracts.run import InvocationType
from bedrock_batch.run import invoke
from tests.conftest import BUCKET

KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """A service that accepts every call and never answers; the fixture is the calls so far."""
    calls: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            with suppress(OSError):  # the server was closed
                while True:
                    calls.append(server.accept()[0])

        thread = Thread(target=take)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield calls
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for call in calls:
        call.close()


@pytest.mark.parametrize("invocation_type", ["Converse", "InvokeModel"])
def test_a_model_that_thinks_too_long_is_asked_once(
    silent: list[socket.socket], monkeypatch: pytest.MonkeyPatch, invocation_type: InvocationType
) -> None:
    """The model goes on with the first call, which is paid."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    impatient = clients._OWN_CONFIGS["bedrock-runtime"].merge(Config(read_timeout=0.1, proxies={}))
    monkeypatch.setitem(clients._OWN_CONFIGS, "bedrock-runtime", impatient)
    runtime = clients.client.__wrapped__("bedrock-runtime")
    record = {"recordId": "00000000000", "modelInput": {"messages": []}}
    line = invoke.answer(runtime, record, model_id="m", invocation_type=invocation_type)
    assert line["error"]["errorCode"] == 408
    assert len(silent) == 1


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A VPC without endpoints: packets get no answer. No packet leaves the machine here."""
    tries: list[str] = []

    def unanswered(*_: Any, **__: Any) -> Any:
        tries.append("connect")
        raise ConnectTimeoutError(endpoint_url="https://anything.us-east-1.amazonaws.com")

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", unanswered)
    return tries


def test_an_inventory_that_cannot_be_reached_costs_a_run_seconds(
    tries: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    client = clients.client.__wrapped__("dynamodb")
    assert Inventory(client, "reviews-inventory").running_since("monday") == {}
    assert tries == ["connect"]
    assert client.meta.config.connect_timeout <= 3
    assert [record.message for record in caplog.records] == ["the starts of jobs are not known"]


def test_quotas_that_cannot_be_reached_cost_a_run_seconds(tries: list[str], caplog: pytest.LogCaptureFixture) -> None:
    client = clients.client.__wrapped__("service-quotas")
    listed: dict[str, Any] = {}
    start = time.monotonic()
    for label in ("Nova Lite V1", "Nova Pro V1"):
        values, origins = quotas.applied(client, label, {"min_records": 100}, run_id="monday", listed=listed)
        assert (values, origins) == ({"min_records": 100}, {"min_records": "catalogue"})
    assert tries == ["connect"], "one try for the whole run, not eight for each operation and model"
    assert client.meta.config.connect_timeout <= 3
    assert time.monotonic() - start < 3
    assert [record.message for record in caplog.records] == ["quotas are not looked up"]


@pytest.fixture
def named(aws: None, monkeypatch: pytest.MonkeyPatch) -> tuple[S3, list[dict[str, Any]]]:
    """S3 of a function that knows the key, and the headers of each write."""
    monkeypatch.setenv("KMS_KEY_ARN", KEY)
    client, sent = clients.client.__wrapped__("s3"), []
    client.meta.events.register("before-sign.s3", lambda request, **_: sent.append((request.method, request.headers)))
    return S3(client), sent


def test_every_write_names_the_key(named: tuple[S3, list[dict[str, Any]]]) -> None:
    s3, sent = named
    s3.put(BUCKET, "whole", b"x")
    s3.put_json(BUCKET, "claim", {}, replaces="")
    s3.copy(BUCKET, "whole", to=(BUCKET, "copy"))
    with s3.writer(BUCKET, "parts") as out:
        out.write(b"x" * PART_BYTES)
        out.write(b"x")
    for key in ("whole", "claim", "copy", "parts"):
        head = s3._client.head_object(Bucket=BUCKET, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", KEY), key
    begun = [headers for method, headers in sent if "x-amz-server-side-encryption" in headers]
    assert {str(headers["x-amz-server-side-encryption"]) for headers in begun} == {"aws:kms"}
    assert len(begun) == 4, "S3 refuses the headers on parts and reads"


def test_without_a_key_the_bucket_decides(s3: S3) -> None:
    sent: list[Any] = []
    s3._client.meta.events.register("before-sign.s3", lambda request, **_: sent.append(request.headers))
    s3.put(BUCKET, "whole", b"x")
    assert not [name for headers in sent for name in headers if "encryption" in name]
