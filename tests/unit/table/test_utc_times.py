"""Times of UTC have the same text with and without a time zone database."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from bedrock_batch.records.cell_text import CellReader
from bedrock_batch.table import plain_types, utc_times

UTC, OTHER = pa.timestamp("us", "UTC"), pa.timestamp("ns", "Etc/UTC")
COLUMNS = [
    pa.array([0, None, -5, 10**15], UTC),
    pa.array([0, None, 5, 5], OTHER),
    pa.array([0, None, 0, 7], UTC).dictionary_encode(),
    pa.array([[0, 1], None, [], [None, 5]], pa.list_(UTC)),
    pa.array([[0, 1], None, [], [None, 5]], pa.large_list(OTHER)),
    pa.array([[0, 1], None, [2, 3], [None, 5]], pa.list_(UTC, 2)),
    pa.array(
        [{"a": 0, "b": [1], "c": 1}, None, {"a": None, "b": None, "c": 2}, {"a": 3, "b": [], "c": 3}],
        pa.struct([("a", UTC), ("b", pa.list_(OTHER)), ("c", pa.int8())]),
    ),
    pa.array([[("k", 0)], None, [], [("k", None), ("k", 3)]], pa.map_(pa.string(), UTC)),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.type)[:40])
@pytest.mark.parametrize(("first", "count"), [(0, 4), (1, 3), (1, 2), (2, 0)])
def test_the_text_is_the_one_that_arrow_has(column: pa.Array, first: int, count: int) -> None:
    some = column.slice(first, count)
    found = plain_types.to_plain(some)
    found.validate(full=True)
    decoded = some.cast(UTC) if isinstance(some, pa.DictionaryArray) else some
    assert found.equals(decoded.cast(found.type))


def test_columns_without_such_times_are_left_alone() -> None:
    for column in (pa.array([0], pa.timestamp("s")), pa.array([0], pa.timestamp("s", "+02:00")), pa.array([{"a": 1}])):
        assert utc_times.written(column) is column


def without_database(script: str) -> str:
    """Run a script where the system has no time zone database."""
    hidden = f"mount -t tmpfs tmpfs /usr/share/zoneinfo && exec {sys.executable} -c '{script}'"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hidden],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        env={"PYTHONPATH": "lambda_src:."},
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("hiding the database takes the right to mount")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_database_is_needed() -> None:
    texts = [plain_types.to_plain(column).to_pylist() for column in COLUMNS]
    cells = pa.record_batch([COLUMNS[0], COLUMNS[1]], names=["a", "b"])
    texts += [CellReader(name, cells.schema).read(cells, 0).to_pylist() for name in ("a", "b")]
    script = """
import pyarrow as pa
from bedrock_batch.table import plain_types
from bedrock_batch.records.cell_text import CellReader
from bedrock_batch.errors import InvalidRunInput, UnsupportedRequest
from tests.unit.table.test_utc_times import COLUMNS
texts = [plain_types.to_plain(column).to_pylist() for column in COLUMNS]
cells = pa.record_batch([COLUMNS[0], COLUMNS[1]], names=["a", "b"])
texts += [CellReader(name, cells.schema).read(cells, 0).to_pylist() for name in ("a", "b")]
plain_types.check(pa.schema([(str(number), column.type) for number, column in enumerate(COLUMNS)]), "csv")
other = pa.schema([("t", pa.timestamp("s", "Europe/Berlin"))])
for refused, error in ((lambda: plain_types.check(other, "csv"), InvalidRunInput),
                       (lambda: CellReader("t", other), UnsupportedRequest)):
    try:
        refused()
    except error:
        continue
    raise AssertionError("a zone that is not known was taken")
print(texts)
"""
    assert without_database(script) == f"{texts}\n"
