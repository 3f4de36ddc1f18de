"""What planning found in the input's files, and its copy in the run's folder for the next call of planning."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import PlanUnfinished, TooLarge
from bedrock_batch.table.deadline import Deadline, OutOfTime
from bedrock_batch.table.jsonl_types import Kinds
from bedrock_batch.table.layout import Layout
from bedrock_batch.table.schemas import packed, unpacked

_SUFFIX = ".scan.json"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a file.

    `schema` is None for an empty file and for JSON lines, which have `kinds` instead. If `whole` is false, only the
    first rows of the file were read.
    """

    file: Source
    layout: Layout
    schema: pa.Schema | None = None
    kinds: Kinds = field(default_factory=dict)
    whole: bool = True

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file.to_json(),
            "rows_at": self.layout.rows_at.tolist(),
            "bytes_at": self.layout.bytes_at.tolist(),
            "schema": None if self.schema is None else packed(self.schema),
            "kinds": [[name, sorted(seen)] for name, seen in self.kinds.items()],
            "whole": self.whole,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Found":
        return cls(
            file=Source.from_json(value["file"]),
            layout=Layout(np.array(value["rows_at"], np.int64), np.array(value["bytes_at"], np.int64), "bytes"),
            schema=value["schema"] and unpacked(value["schema"]),
            kinds={name: set(seen) for name, seen in value["kinds"]},
            whole=value["whole"],
        )


@dataclass(frozen=True, slots=True)
class Scan:
    """One file to read up to its first `limit` rows and up to the deadline.

    `earlier` is what an earlier call of planning found in the first rows: the scan continues after them. `copy` is the
    bucket and the key, without its suffix, for a plain copy.
    """

    file: Source
    limit: int | None
    copy: tuple[str, str]
    deadline: Deadline
    earlier: Found | None = None

    @property
    def known(self) -> Layout | None:
        """The layout of the rows that an earlier call found."""
        return None if self.earlier is None else self.earlier.layout

    def progress(self, layout: Layout) -> Layout:
        """Return the layout of a file that was not read to its end. Raises OutOfTime if no row was added."""
        if layout.rows == (0 if self.known is None else self.known.rows):
            raise OutOfTime(self.file.uri)
        return layout


class Scans:
    """The scans of a run's text files, by the files' numbers. `staged` is a bucket and a prefix.

    If planning runs out of time, it writes what it found there, and the next call for the same run continues from it.
    """

    def __init__(self, s3: S3, staged: tuple[str, str], files: Sequence[Source], deadline: Deadline) -> None:
        self._s3, self._files, self._deadline = s3, files, deadline
        self._bucket, self._prefix = staged
        keys = [item.key for item in s3.list(*staged) if item.key.endswith(_SUFFIX)] if self._bucket else []
        self._numbers = {int(key.removeprefix(self._prefix).removesuffix(_SUFFIX)) for key in keys}
        self._kept: dict[int, Found] = {}

    def scan(self, number: int, limit: int | None) -> Scan:
        """Return the scan of a file, with what an earlier call found in it if the file is still the same."""
        copy = (self._bucket, f"{self._prefix}{number:05d}")
        return Scan(self._files[number], limit, copy, self._deadline, self._known(number))

    def collect(self, described: Generator[Found, None, None]) -> list[Found]:
        """Return what was found in the files, in order.

        Raises:
            PlanUnfinished: the deadline has passed; what was found is kept, and the next call continues after it.
            TooLarge: nothing new was found, so the next call would find nothing new either.
        """
        found: list[Found] = []
        try:
            with closing(described):
                for one in described:
                    found.append(one)
                    if not one.whole:
                        raise OutOfTime(one.file.uri)
        except OutOfTime as err:
            raise self._keep(found, err) from None
        return found

    def _known(self, number: int) -> Found | None:
        if number in self._numbers:
            value = self._s3.get_json(self._bucket, self._key(number))
            if value["etag"] == self._files[number].etag:
                self._kept[number] = Found.from_json(value["found"])
        return self._kept.get(number)

    def _keep(self, found: Sequence[Found], err: OutOfTime) -> PlanUnfinished | TooLarge:
        """Keep what was found in the first files; return the error to raise."""
        new = [number for number, one in enumerate(found) if one is not self._kept.get(number)]
        if not new or not self._bucket:
            return TooLarge(
                f"Reading {err} alone takes longer than the function plan_run may run, and a file that is compressed "
                "or not in UTF-8 must be read at once. Write it as plain text in UTF-8, split it into several files, "
                "or write the table as Parquet: then planning reads only footers."
            )
        for number in new:
            value = {"etag": self._files[number].etag, "found": found[number].to_json()}
            self._s3.put_json(self._bucket, self._key(number), value)
        whole = sum(one.whole for one in found)
        rows = sum(one.layout.rows for one in found)
        return PlanUnfinished(
            f"{whole} of {len(self._files)} text files, {rows:,} rows, were read when the function's time ended. The "
            "next call continues from there."
        )

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:05d}{_SUFFIX}"
