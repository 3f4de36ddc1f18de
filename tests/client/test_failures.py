"""Rows without an answer, by their code."""

import csv
from pathlib import Path
from typing import Any

import pytest

from bedrock_batch_client import show
from bedrock_batch_client.errors import Mistake
from bedrock_batch_client.failures import failures
from bedrock_batch_client.installation import Installation
from tests.client import fakes
from tests.client.test_tables import FORMS, ROWS, bytes_of, ended

__all__ = ["ended"]


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_counted_across_parts_and_shown(ended: Any, at: Installation, form: str) -> None:
    ended(form)
    found = failures(at, "monday")
    assert (found.rows, [(group.code, group.outcome, group.rows) for group in found.groups]) == (
        5,
        [("400", "failed", 1), ("NullColumn", "skipped", 1)],
    )
    (example,) = found.groups[0].examples
    assert (example["row"], example["error"], example["cells"]['the "name"\nof it']) == (2, "Too long", 'say "hi"')
    assert list(example["cells"]) == ROWS.column_names[:7]
    assert found.groups[1].examples[0]["row"] == 4


def test_the_most_frequent_code_comes_first_and_examples_are_few(ended: Any, at: Installation) -> None:
    import pyarrow as pa

    ended("csv", pa.concat_tables([ROWS.slice(3, 1), *[ROWS.slice(1, 1)] * 9]))
    first, second = failures(at, "monday", examples=2).groups
    assert (first.code, first.rows, len(first.examples)) == ("400", 9, 2)
    assert second.rows == 1
    assert [one.examples for one in failures(at, "monday", examples=0).groups] == [[], []]


def test_each_model_has_its_own(ended: Any, at: Installation) -> None:
    for model in ("a", "b"):
        ended("jsonl", folder=f"bedrock_model={model}/")
    assert {group.model for group in failures(at, "monday").groups} == {"a", "b"}
    assert failures(at, "monday", model="a").rows == 5


def test_long_cells_are_cut_and_nothing_steers_the_terminal(ended: Any, at: Installation, put: Any) -> None:
    import pyarrow as pa

    hostile = pa.array(["x" * 1_000_000, "\x1b[2J\u202egone", "", None, ""])
    ended("parquet", ROWS.set_column(1, "name", hostile))
    found = failures(at, "monday")
    assert found.groups[0].examples[0]["cells"]["name"] == "\x1b[2J\u202egone"
    text = "\n".join(show.failure_lines(found))
    assert "\x1b" not in text and "\u202e" not in text


def test_a_long_cell_of_a_csv_is_read_and_the_process_keeps_its_own_limit(ended: Any, at: Installation) -> None:
    import pyarrow as pa

    limit = csv.field_size_limit()
    ended("csv", ROWS.set_column(1, "name", pa.array(["", "x" * (limit + 1), "", "", ""])))
    assert failures(at, "monday").rows == 5
    assert csv.field_size_limit() == limit


def test_a_table_of_another_program(at: Installation, services: fakes.Aws, put: Any) -> None:
    services.states.put("monday", "SUCCEEDED")
    put(f"{at.output_prefix('monday')}part-00000.csv", "a\n1\n")
    with pytest.raises(Mistake, match="no columns of outcomes"):
        failures(at, "monday")


def test_without_pyarrow_csv_and_json_lines_can_be_read(
    ended: Any, at: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from bedrock_batch_client import formats, tables

    def missing() -> Any:
        raise Mistake("This needs pyarrow")

    ended("csv")
    monkeypatch.setattr(formats, "arrow", missing)
    assert failures(at, "monday").rows == 5
    (one,) = tables.fetch(at, "monday", tmp_path / "out.csv")
    assert Path(one.path).read_bytes() == bytes_of(ROWS, "csv")
    with pytest.raises(Mistake, match="needs pyarrow"):
        tables.fetch(at, "monday", tmp_path / "out.parquet")


def test_cells_that_json_or_python_has_not(ended: Any, at: Installation) -> None:
    import pyarrow as pa

    cells = pa.array([None, 1, None, None, None], pa.timestamp("ns"))
    score = pa.array([0, float("nan"), 0, 0, 0], pa.float64())
    ended("parquet", ROWS.set_column(3, "seen", cells).set_column(6, "score", score))
    (example,) = failures(at, "monday").groups[0].examples
    assert (example["cells"]["seen"], example["cells"]["score"]) == ("1970-01-01 00:00:00.000000001", None)
