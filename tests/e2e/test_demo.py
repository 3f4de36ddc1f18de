"""The demo on the applied module shows what has happened."""

import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from local import demo
from local.screen import Screen
from tests.e2e.batch import Batch

pytestmark = pytest.mark.e2e

ROWS = 1_000


def test_the_demo_shows_a_job_that_fails_and_heals(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "WORK", tmp_path)
    try:
        demo.run_sample(Screen(), batch.engine, batch.outputs, ROWS)
    finally:
        batch.engine.configure(answers=[], faults=[], seconds_per_status=0.2, records_per_second=None)
    shown = capsys.readouterr().out
    assert "a job ended Failed after 300 of 500 records: Internal error, please try again." in shown
    assert "RUNNING · Run jobs" in shown and "SUCCEEDED" in shown
    table = pq.read_table(tmp_path / "reviews-with-answers.parquet")
    moods = Counter(table["ai_sentiment"].to_pylist())
    assert moods.keys() == {"positive", "mixed", "negative"} and moods.total() == ROWS
    assert str(table.schema.field("ai_urgency").type) == "int64"
    rows, cost, look = shown.splitlines()[-3:]
    assert re.fullmatch(r"1,000 rows: 1,000 succeeded · 3 jobs, 1 failed and healed · \d+ s", rows)
    report = batch.report(demo.RUN)
    assert f"${report['cost_usd']:.4f} (on demand ${2 * report['cost_usd']:.4f})" in cost
    page = Path(look.rpartition(" ")[2])
    assert "README.md" in look and page.name.startswith("report.") and page.exists()
