"""What scanning a text file found, kept in the run's folder: planning that ran out of time goes on behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import PlanUnfinished, TooLarge
from bedrock_batch.table.jsonl_types import Kinds
from bedrock_batch.table.layout import Layout
from bedrock_batch.table.schemas import packed, unpacked


class OutOfTime(Exception):
    """The function's time is nearly over; its argument is the URI of the file that was being read."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a file turned out to hold: `schema`, None without a header, or what JSON lines show of their columns.

    When it is not `whole`, all is of the first rows only.
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


class Scans:
    """The scans of a run's text files, by the files' numbers. `staged` is a bucket and a prefix.

    Only a planning that runs out of time writes any; the next one of the same run goes on behind what they tell of.
    """

    def __init__(self, s3: S3, staged: tuple[str, str], files: Sequence[Source]) -> None:
        self._s3, self._files = s3, files
        self._bucket, self._prefix = staged
        suffix = ".scan.json"
        keys = [item.key for item in s3.list(*staged) if item.key.endswith(suffix)] if self._bucket else []
        self._numbers = {int(key.removeprefix(self._prefix).removesuffix(suffix)) for key in keys}
        self._kept: dict[int, Found] = {}

    def kept(self, number: int) -> Found | None:
        """Return what an earlier planning found in a file, or in a part of it, if it is still the same."""
        if number in self._numbers:
            value = self._s3.get_json(self._bucket, self._key(number))
            if value["etag"] == self._files[number].etag:
                self._kept[number] = Found.from_json(value["found"])
        return self._kept.get(number)

    def keep(self, found: Sequence[Found], err: OutOfTime) -> PlanUnfinished | TooLarge:
        """Write down what was found in the first files; return the error to end with."""
        new = [number for number, one in enumerate(found) if one is not self._kept.get(number)]
        if not new or not self._bucket:
            return TooLarge(
                f"{err} alone takes longer to read than the function for planning has time, and a file that is "
                "compressed or not in UTF-8 must be read in one go. Write it as plain text in UTF-8, split it into "
                "several files, or write the table as Parquet, of which only footers are read."
            )
        for number in new:
            value = {"etag": self._files[number].etag, "found": found[number].to_json()}
            self._s3.put_json(self._bucket, self._key(number), value)
        whole = sum(one.whole for one in found)
        rows = sum(one.layout.rows for one in found)
        return PlanUnfinished(
            f"{whole} of {len(self._files)} text files, {rows:,} rows, were read when the function's time was over; "
            "it goes on there."
        )

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:05d}.scan.json"
