"""The parts of a run's table, as they lie in the bucket."""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bedrock_batch_client import runs
from bedrock_batch_client.errors import Mistake, NotFound, calling
from bedrock_batch_client.installation import Installation

FORMATS = ("parquet", "csv", "jsonl")


@dataclass(frozen=True, slots=True)
class Table:
    """The parts of one table, in order. `folder` is that of its model, where a run has several: `bedrock_model=…`."""

    folder: str
    form: str
    keys: tuple[str, ...]

    @property
    def model(self) -> str:
        """The model as its folder names it, or an empty text."""
        return self.folder.partition("=")[2]


def tables(installation: Installation, run: str, model: str = "") -> list[Table]:
    """Return the tables of a run that has ended: one, or one of each model; with `model` the one of that model.

    Raises Mistake while the run goes on, NotFound where there is no table, or none of the model.
    """
    execution = runs.execution(installation, run)
    item = runs.item(installation, run)
    if execution is None and item is None:
        raise runs.no_run(installation, run)
    if execution and execution["status"] == "RUNNING":
        raise Mistake(f"The run {run!r} goes on: its table is complete when it has ended. Wait for it with `watch`.")
    if runs.is_stopping(item, execution):
        raise Mistake(
            f"The jobs of the run {run!r} are being stopped, and its answers are joined then. Wait with "
            f"`bedrock-batch stop {run} --wait`."
        )
    found = _listed(installation, run)
    if not found:
        status = item.status if item else str((execution or {}).get("status"))
        raise NotFound(f"The run {run!r} has no table. Its status is {status}; `bedrock-batch status {run}` says why.")
    if not model:
        return found
    chosen = [table for table in found if model in (table.model, table.folder) or safe(model) == table.model]
    if not chosen:
        names = ", ".join(table.model for table in found if table.model) or "one model alone, so leave the model out"
        raise NotFound(f"The run {run!r} has no table of the model {model!r}. It has: {names}.")
    return chosen


def safe(model: str) -> str:
    """Return a model's id as the folder of its table has it."""
    return "".join(c if c.isascii() and (c.isalnum() or c in ".-") else "-" for c in model)


def _listed(installation: Installation, run: str) -> list[Table]:
    prefix = installation.output_prefix(run)
    folders: dict[str, list[str]] = {}
    bucket = installation.object_arn("").removesuffix("/")
    with calling("s3:ListBucket", f"{bucket} (prefix {prefix})"):
        pages = installation.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=installation.bucket, Prefix=prefix)
        for page in pages:
            for found in page.get("Contents", ()):
                folder, _, name = found["Key"].removeprefix(prefix).rpartition("/")
                if name.startswith("part-"):
                    folders.setdefault(folder, []).append(found["Key"])
    return [Table(folder, keys[0].rpartition(".")[2], tuple(sorted(keys))) for folder, keys in sorted(folders.items())]


@contextlib.contextmanager
def downloaded(installation: Installation, keys: Iterable[str]) -> Iterator[Iterator[Path]]:
    """Give the objects one after the other as files; each is deleted before the next one comes."""
    with tempfile.TemporaryDirectory(prefix="bedrock-batch-") as folder:
        yield _each(installation, keys, Path(folder))


def _each(installation: Installation, keys: Iterable[str], folder: Path) -> Iterator[Path]:
    for key in keys:
        path = folder / key.rpartition("/")[2]
        with calling("s3:GetObject", installation.object_arn(key)):
            installation.aws.s3.download_file(installation.bucket, key, str(path))
        yield path
        path.unlink()
