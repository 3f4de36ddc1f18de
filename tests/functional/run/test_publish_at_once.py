"""stop-run and the redriven run publish at the same time: page, statement and report have the same end in the end."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.version import CONTRACT
from bedrock_batch.run import publish as room
from bedrock_batch.run.publish import publish
from tests.conftest import BUCKET
from tests.functional.played import RUN, Jobs, finished
from tests.functional.whole import LITE, MemoryS3, WholeRun, asked, reviews
from tests.unit.factories import keys_of

KEYS = keys_of(RUN)


def ended(status: str) -> dict[str, Any]:
    """A report with this status, of a run without a plan. Only a run that succeeded has a table."""
    return {"contract": CONTRACT, "run_id": RUN, "status": status, "error": "", "warnings": []}


class Stepped:
    """An S3 client of one writer, which makes one call each time that it is let through."""

    def __init__(self, client: MemoryS3, work: Callable[[S3], Any]) -> None:
        self._client, self._go, self._at = client, threading.Semaphore(0), threading.Semaphore(0)
        self.over = False
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self._at.acquire()

    def step(self) -> None:
        """Let the writer make its next call, and wait until it comes to the one after that, or to its end."""
        self._go.release()
        self._at.acquire()

    def _run(self, work: Callable[[S3], Any]) -> None:
        work(S3(self))
        self.over = True
        self._at.release()

    def __getattr__(self, operation: str) -> Any:
        call = getattr(self._client, operation)

        def stepped(**request: Any) -> Any:
            self._at.release()
            self._go.acquire()
            return call(**request)

        return stepped


@given(order=st.lists(st.booleans(), max_size=24), first=st.sampled_from(["", "ABORTED"]))
@settings(max_examples=300, deadline=None)
def test_page_and_report_have_the_same_end(order: list[bool], first: str) -> None:
    client = MemoryS3()
    etag = ""
    if first:
        publish(S3(client), BUCKET, KEYS, ended("ABORTED"))
        etag = client.head_object(Bucket=BUCKET, Key=KEYS.report)["ETag"]
    writers = [
        Stepped(client, lambda s3: publish(s3, BUCKET, KEYS, ended("TIMED_OUT"), replaces=etag)),
        Stepped(client, lambda s3: publish(s3, BUCKET, KEYS, ended("SUCCEEDED"))),
    ]
    for of_the_run in order:
        if not writers[of_the_run].over:
            writers[of_the_run].step()
    for writer in writers:
        while not writer.over:
            writer.step()
    assert room.report_so_far(S3(client), BUCKET, KEYS)["status"] == "SUCCEEDED", "the run's own report always stands"
    page = client.objects[KEYS.page]
    publish(S3(client), BUCKET, KEYS, ended("SUCCEEDED"))
    assert client.objects[KEYS.page] == page


def test_a_run_that_is_alone_makes_each_file_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of 10,000 jobs takes seconds."""
    drawn, draw = list[str](), room.page.draw
    monkeypatch.setattr(room.page, "draw", lambda *given, **named: drawn.append("page") or draw(*given, **named))
    client = MemoryS3()
    reviews(S3(client), 300)
    played = WholeRun(S3(client))
    played.run(asked(LITE, price={"input": 1.0, "output": 2.0}, report={"examples": True}))
    finished(S3(client), played.state, Jobs())
    assert drawn == ["page"] * 2, "one for each time that Finish run ran"
