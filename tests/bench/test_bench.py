"""All candidates of the bench do the same work: they give the same result, on a few hundred rows."""

import re
from pathlib import Path

import pytest

from bench import data, measure
from bench.__main__ import LIBRARIES_ENVIRONMENT
from bench.targets import TARGETS
from bench.tasks import TASKS, available, same

CANDIDATES = [(task, one) for task in TASKS for one in TASKS[task].candidates if one != "ours"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> data.Workload:
    return data.make(tmp_path_factory.mktemp("bench"), 300)


@pytest.mark.parametrize(("task", "candidate"), CANDIDATES)
def test_every_candidate_gives_what_ours_gives(work: data.Workload, task: str, candidate: str) -> None:
    if not available(candidate):
        pytest.skip(f"{candidate} is installed for `make bench` only, which compares it as well")
    run, result = TASKS[task].candidates, TASKS[task].result
    expected = result(run["ours"](work))
    assert same(result(run[candidate](work)), expected)
    records = expected[0] if task == "prepare" else expected
    assert (records if task == "plan csv" else len(records)) == TASKS[task].rows(work)


def test_a_difference_is_seen(work: data.Workload) -> None:
    task = TASKS["join text"]
    table = task.result(task.candidates["ours"](work))
    assert not same(table, table.slice(1))
    assert not same(table, table.take(list(reversed(range(len(table))))))
    assert table["bedrock_response"].null_count == 0


def test_targets_name_tasks_and_candidates() -> None:
    for target in TARGETS:
        assert target.against in TASKS[target.task].candidates
        better = target.stretch > target.value if target.of == "speed" else target.stretch < target.value
        assert better


def test_data_is_the_same_every_time(work: data.Workload, tmp_path: Path) -> None:
    other = data.make(tmp_path, 300)
    written = list((work.folder / "s3").rglob("*.jsonl*"))
    assert len(written) == 3 * len(data.RUNS)  # the plan, the input and the raw output of each run
    for path in written:
        assert (other.folder / path.relative_to(work.folder)).read_bytes() == path.read_bytes()


def test_vectors_have_as_many_rows_as_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "_PAGE", 100)
    work = data.make(tmp_path, 3_000, ["vectors"])
    assert (
        sum(path.read_bytes().count(b"\n") for path in work.raw("vectors")) == TASKS["join vectors"].rows(work) == 750
    )


def test_memory_is_managed_as_in_the_functions() -> None:
    text = (Path(__file__).parents[2] / "terraform" / "functions.tf").read_text()
    block = re.search(r"libraries_environment = \{(.*?)\}", text, re.DOTALL)
    assert block and dict(re.findall(r'(\w+) += "(\w+)"', block[1])) == LIBRARIES_ENVIRONMENT


def test_peak_memory_is_the_process_s_own() -> None:
    assert 10e6 < measure.peak_bytes() < 10e9
