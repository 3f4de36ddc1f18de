"""The Python API: `Batch` starts runs of an installation, `Run` is one of them."""

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from bedrock_batch_client import failures, follow, installation, progress, runs, tables, uploads
from bedrock_batch_client.errors import Mistake, NotFound, RunEndedBadly
from bedrock_batch_client.progress import Status

if TYPE_CHECKING:
    import pandas
    import pyarrow


class Batch:
    """An installation, found by its name.

    `profile`, `region` and `endpoint_url` are as boto3 has them; `session` is one of boto3's that you have already.
    """

    def __init__(
        self,
        name: str,
        *,
        profile: str | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        session: boto3.Session | None = None,
    ) -> None:
        self.installation = installation.find(
            name, profile=profile, region=region, endpoint_url=endpoint_url, session=session
        )

    def __repr__(self) -> str:
        return f"Batch({self.installation.name!r})"

    def run(
        self,
        table: Any = None,
        *,
        prompt: str | dict[str, Any] | None = None,
        model: str | list[str] | None = None,
        name: str | None = None,
        upload_to: str | None = None,
        **keys: Any,
    ) -> "Run":
        """Start a run over a table and return it.

        `table` is a data frame (pandas, polars, Arrow), a path, or an address on S3. `prompt` is a template or the
        object of the run input, `model` a model id or a list of them; `keys` are the other keys of the run input.
        Without `name` the run's name is made from the time.
        """
        if name is not None:  # A table may take long to upload.
            runs.check_free(self.installation, name)
        document = self._document(table, prompt=prompt, model=model, upload_to=upload_to, keys=keys)
        return self.start(document, name=name)

    def estimate(
        self,
        table: Any = None,
        *,
        prompt: str | dict[str, Any] | None = None,
        model: str | list[str] | None = None,
        upload_to: str | None = None,
        **keys: Any,
    ) -> dict[str, Any]:
        """Return the report of a dry run: it has the `estimate`, the `warnings` and the `first_record`."""
        document = self._document(table, prompt=prompt, model=model, upload_to=upload_to, keys=keys)
        run = self.start(document | {"dry_run": True})
        run.wait(every=2)
        return run.report()

    def start(self, document: dict[str, Any], *, name: str | None = None) -> "Run":
        """Start a run with a run document as it stands in docs/run-input.md."""
        return Run(self, runs.start(self.installation, document, name))

    def attach(self, run: str) -> "Run":
        """Return a run that was started before, by whomever. Raises NotFound where there is none."""
        if runs.item(self.installation, run) is None and runs.execution(self.installation, run) is None:
            raise runs.no_run(self.installation, run)
        return Run(self, run)

    def runs(self, *, limit: int = 20) -> list[runs.Item]:
        """Return the latest runs, the latest start first."""
        return runs.list_runs(self.installation, limit=limit)

    def _document(
        self,
        table: Any,
        *,
        prompt: str | dict[str, Any] | None,
        model: str | list[str] | None,
        upload_to: str | None,
        keys: dict[str, Any],
    ) -> dict[str, Any]:
        for key, given, instead in (
            ("s3_uri", table, "the table"),
            ("prompt", prompt, ""),
            ("model_id", model, "model"),
        ):
            if key in keys and given is not None:
                raise Mistake(f"{key} is given twice: as a key of the run input and as {instead or key}.")
        given = {"prompt": {"text": prompt} if isinstance(prompt, str) else prompt, "model_id": model}
        document = keys | {key: value for key, value in given.items() if value is not None}
        if table is not None:
            document["s3_uri"] = uploads.place(self.installation, table, to=upload_to)
        return document


class Run:
    """A run of an installation, whoever started it."""

    def __init__(self, batch: Batch, name: str) -> None:
        self.batch = batch
        self.name = name

    def __repr__(self) -> str:
        return f"Run({self.name!r}, of {self.batch.installation.name!r})"

    def status(self) -> Status:
        """Return how far the run is."""
        return progress.status(self.batch.installation, self.name)

    def wait(self, *, every: float = 10, timeout: float | None = None) -> Status:
        """Wait until the run has ended, and its jobs with it.

        Raises RunEndedBadly where it has failed, was stopped or ran out of time; TimeoutError after `timeout` seconds.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout

        def pause(seconds: float) -> None:
            time.sleep(max(0, min(seconds, deadline - time.monotonic())))

        for status in follow.follow(self.batch.installation, self.name, every=every, pause=pause):
            if not status.ended and time.monotonic() >= deadline:
                raise TimeoutError(f"The run {self.name!r} goes on after {timeout} s.")
        return good(status)

    def watch(self, *, every: float = 10) -> Iterator[Status]:
        """Yield the status every `every` seconds, until the run has ended."""
        return follow.follow(self.batch.installation, self.name, every=every)

    def stop(self) -> bool:
        """Stop the run: its jobs are stopped, and its answers are kept. Returns False where it has ended already."""
        return runs.stop(self.batch.installation, self.name)

    def redrive(self) -> None:
        """Go on with a run that ended badly; what was answered is not sent again."""
        runs.redrive(self.batch.installation, self.name)

    def report(self) -> dict[str, Any]:
        """Return `report.json`. Raises NotFound while there is none."""
        at = self.batch.installation
        report = runs.read_json(at, at.report_key(self.name))
        if report is None:
            raise NotFound(f"The run {self.name!r} has no report, or not yet: its status is {self.status().status}.")
        return report

    def failures(self, *, model: str = "", examples: int = 3) -> failures.Failures:
        """Return the rows without an answer, by their code."""
        return failures.failures(self.batch.installation, self.name, model=model, examples=examples)

    def fetch(
        self,
        out: str | Path | None = None,
        *,
        form: str | None = None,
        model: str = "",
        unanswered: bool = False,
        overwrite: bool = False,
    ) -> list[tables.Fetched]:
        """Write the table to a file in the format `parquet`, `csv` or `jsonl`; of several models to a folder.

        With `unanswered` it is the table of a new run: the rows without an answer, and the columns of the input.
        """
        path = None if out is None else Path(out)
        there = self.batch.installation
        return tables.fetch(there, self.name, path, form=form, model=model, unanswered=unanswered, overwrite=overwrite)

    def to_arrow(self, model: str = "") -> "pyarrow.Table":
        """Return the table in memory."""
        return tables.to_arrow(self.batch.installation, self.name, model)

    def to_pandas(self, model: str = "") -> "pandas.DataFrame":
        """Return the table as a data frame of pandas."""
        table = self.to_arrow(model)
        with _pandas_needed():
            return table.to_pandas()


def attach(run: str, *, name: str | None = None, **where: Any) -> Run:
    """Return a run of the installation `name`, for example after a kernel restart; `where` is as for `Batch`.

    Without `name` the variable BEDROCK_BATCH_NAME has it, as for the command.
    """
    name = name or os.environ.get("BEDROCK_BATCH_NAME")
    if not name:
        raise Mistake("Name the installation: with `name=`, or with the variable BEDROCK_BATCH_NAME.")
    return Batch(name, **where).attach(run)


def good(status: Status) -> Status:
    """Return the status of a run that has ended well. Raises RunEndedBadly of any other."""
    if status.good:
        return status
    said = f"The run {status.run!r} ended {status.status}" + (f": {status.why}" if status.why else "")
    do = f" Do this: {status.what_to_do}." if status.what_to_do else ""
    raise RunEndedBadly(said.removesuffix(".") + "." + do)


@contextlib.contextmanager
def _pandas_needed() -> Iterator[None]:
    try:
        yield
    except ImportError as err:
        raise Mistake("This needs pandas: `pip install pandas`. Or use to_arrow().") from err
