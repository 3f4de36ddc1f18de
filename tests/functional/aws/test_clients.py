"""What the AWS clients do if a call fails."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread

import pytest
from botocore.config import Config

from bedrock_batch.aws import clients
from bedrock_batch.contracts.run import InvocationType
from bedrock_batch.run import invoke


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
    monkeypatch.setattr(clients, "_ON_DEMAND", clients._ON_DEMAND.merge(Config(read_timeout=0.1, proxies={})))
    runtime = clients.client.__wrapped__("bedrock-runtime")
    record = {"recordId": "00000000000", "modelInput": {"messages": []}}
    line = invoke.answer(runtime, record, model_id="m", invocation_type=invocation_type)
    assert line["error"]["errorCode"] == 408
    assert len(silent) == 1
