"""After Review run, the source is not needed: if it is changed or deleted, the output has the same bytes."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import CanaryFailed, NoValidRows, PermissionMissing, TooManyFailures
from tests.conftest import BUCKET
from tests.functional.played import RUN
from tests.functional.tables import csv_bytes, gz, jsonl_bytes, parquet_bytes
from tests.functional.whole import (
    LITE,
    MICRO,
    MIN_RECORDS,
    TITAN,
    BehindReview,
    Document,
    Fate,
    MemoryS3,
    Verdict,
    WholeRun,
    asked,
)

OWN = f"reviews/work/{RUN}/"
CUT = {"modelOutput": {"output": {"message": {"content": [{"text": "cut"}]}}, "stopReason": "max_tokens"}}
RETRY = {"inference": {"max_tokens": 100}, "retry": {"outcomes": ["truncated"], "max_tokens": 900}}
VERDICTS: list[Verdict] = [
    {},
    {},
    {},
    CUT,
    {"error": {"errorCode": 429, "errorMessage": "slow down"}},
    {"error": {"errorCode": 400, "errorMessage": "not this"}},
    None,
]
FATES: list[Fate] = [
    None,
    None,
    None,
    None,
    ("Failed", "Unable to parse Amazon S3 file: a.jsonl"),
    ("Expired", "late"),
    ("Failed", "the role may not read the bucket"),
]

# --- What becomes of an object: each is done to the S3 of the test, past its client ---


def changed(s3: MemoryS3, key: str) -> None:
    body, _ = s3.objects[key]
    s3.objects[key] = (bytes(byte ^ 1 for byte in body), '"changed"')


def truncated(s3: MemoryS3, key: str) -> None:
    body, _ = s3.objects[key]
    s3.objects[key] = (body[: len(body) // 2], '"truncated"')


def deleted(s3: MemoryS3, key: str) -> None:
    del s3.objects[key]


def replaced(s3: MemoryS3, key: str) -> None:
    s3.objects[key] = (b"id,review\n" + b"7,of another table\n" * 400, '"replaced"')


def touched(s3: MemoryS3, key: str) -> None:
    """The object is copied onto itself: the bytes stay the same, but the ETag changes."""
    s3.objects[key] = (s3.objects[key][0], '"touched"')


def archived(s3: MemoryS3, key: str) -> None:
    s3.archived.add(key)


LOSSES = (changed, truncated, deleted, replaced, touched, archived)
Loss = Callable[[MemoryS3, str], None]

# --- Tables, as files ---

PNG = b"\x89PNG\r\n\x1a\n"

Rows = list[dict[str, Any]]


def written_as_csv(rows: Rows) -> bytes:
    texts = [["" if row[name] is None else str(row[name]) for name in row] for row in rows]
    return csv_bytes([list(rows[0]), *texts])


def written_as_parquet(rows: Rows) -> bytes:
    kinds = {"id": pa.int64(), "review": pa.string(), "tags": pa.list_(pa.int64()), "picture": pa.string()}
    return parquet_bytes(pa.Table.from_pylist(rows, pa.schema(list(kinds.items()))), row_group_size=7)


FORMS: dict[str, Callable[[Rows], bytes]] = {
    "csv": written_as_csv,
    "csv.gz": lambda rows: gz(written_as_csv(rows)),
    "jsonl": jsonl_bytes,
    "jsonl.gz": lambda rows: gz(jsonl_bytes(rows)),
    "parquet": written_as_parquet,
}


@dataclass(frozen=True)
class Case:
    """A run: its files and pictures, its input, and random results of its records and jobs."""

    files: dict[str, bytes]
    document: Document
    redrives: int
    seed: int

    def play(self, s3: MemoryS3, behind_review: Callable[[Any], Any]) -> str:
        """Play the run to its end, whichever that is; return how it ended."""
        for key, body in self.files.items():
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        times: Counter[str] = Counter()

        def drawn(what: str, odds: list[Any]) -> Any:
            times[what] += 1
            return random.Random(f"{self.seed} {what} {times[what]}").choice(odds)

        run = WholeRun(
            S3(s3),
            lambda model_id, record_id: drawn(f"{model_id} {record_id}", VERDICTS),
            fate=lambda line: drawn(line["job_name"], FATES),
            redrives=self.redrives,
            behind_review=behind_review,
        )
        try:
            run.run(self.document)
        except (PermissionMissing, TooManyFailures, CanaryFailed) as err:
            return f"{type(err).__name__}: {err}"
        return "ended well"


@st.composite
def cases(draw: st.DrawFn) -> Case:
    form = draw(st.sampled_from(sorted(FORMS)))
    nulls = draw(st.sets(st.integers(0, 40), max_size=6))
    models = draw(st.sampled_from([[LITE], [LITE], [TITAN], [LITE, MICRO], [MICRO, TITAN]]))
    files, first = {}, 0
    for number, rows in enumerate(draw(st.lists(st.integers(3, 14), min_size=1, max_size=3))):
        table = [
            {
                "id": at,
                "review": None if at in nulls else f"review {at}",
                "tags": [at, number],
                "picture": f"s3://{BUCKET}/pictures/{at % 4}.png",
            }
            for at in range(first, first + rows)
        ]
        files[f"in/part-{number}.{form}"] = FORMS[form](table)
        first += rows
    output: Document = {"format": draw(st.sampled_from(["parquet", "csv", "jsonl"]))}
    columns = draw(st.sampled_from([None, ["review"], ["id", "tags"], ["tags", "review"]]))
    if columns is not None:
        output["columns"] = columns
    changes = RETRY if TITAN not in models and draw(st.booleans()) else {}
    source = draw(st.sampled_from([None, None, "inline", "s3_location"])) if models == [LITE] else None
    if source:
        files |= {f"pictures/{number}.png": PNG + bytes([number]) * 40 for number in range(4)}
        changes = changes | {"media": {"column": "picture", "kind": "image", "source": source}}
    document = asked(
        *models,
        s3_uri=f"s3://{BUCKET}/in/",
        max_records_per_job=draw(st.integers(5, 12)),
        output=output,
        limits={
            "max_rounds": draw(st.integers(0, 3)),
            "on_demand_tail": draw(st.booleans()) or first - len(nulls) < MIN_RECORDS,
            "canary_records": draw(st.sampled_from([0, 0, 3])),
        },
        **changes,
    )
    return Case(files, document, redrives=draw(st.integers(0, 3)), seed=draw(st.integers(0, 10**6)))


class Meddling(BehindReview):
    """Loses the source at the S3 call number `moment`, from 0, of the functions after Review run."""

    def __init__(self, client: Any, calls: "count[int]", moment: int, lose: Callable[[], None]) -> None:
        super().__init__(client)
        self._calls, self._moment, self._lose = calls, moment, lose

    def before(self, operation: str) -> None:
        if next(self._calls) == self._moment:
            self._lose()


@given(case=cases(), lose=st.sampled_from(LOSSES), all_files=st.booleans(), moment=st.floats(0, 1))
# An example is two whole runs, so shrinking a failing one would take minutes.
@settings(max_examples=30, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_what_becomes_of_the_source_behind_review_run_changes_no_byte(
    case: Case, lose: Loss, all_files: bool, moment: float
) -> None:
    before, after, calls = MemoryS3(), MemoryS3(), count()
    try:
        end = case.play(before, lambda client: Meddling(client, calls, -1, lambda: None))
    except NoValidRows:
        return
    keys = sorted(case.files)[:: 1 if all_files else 2]
    at = int(moment * (next(calls) - 1))

    def lose_them() -> None:
        for key in keys:
            lose(after, key)

    assert case.play(after, lambda client: Meddling(client, count(), at, lose_them)) == end
    for key in keys:
        assert key in after.archived or after.objects.get(key) != before.objects[key], "it was lost"
    assert own(after) == own(before)


def own(s3: MemoryS3) -> dict[str, tuple[bytes, str]]:
    """Return everything that the run wrote: the table, the report and its work."""
    return {key: one for key, one in s3.objects.items() if key.startswith(OWN)}


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_source_that_is_lost_before_the_first_job(form: str, lose: Loss) -> None:
    rows = [{"id": number, "review": f"review {number}"} for number in range(24)]
    memory, key = MemoryS3(), f"in/t.{form}"
    memory.put_object(Bucket=BUCKET, Key=key, Body=FORMS[form](rows))
    lost = partial(Meddling, calls=count(), moment=0, lose=partial(lose, memory, key))
    run = WholeRun(S3(memory), behind_review=lost)
    run.run(asked(LITE, s3_uri=f"s3://{BUCKET}/{key}", output={"columns": ["review"]}))
    table = run.table()
    assert table["review"].to_pylist() == [row["review"] for row in rows]
    assert table["bedrock_response"].to_pylist() == [f"{LITE} on Judge {row['review']}" for row in rows]
