"""A run of many thousand jobs through the real machines: SCALE_JOBS=1000 pytest -m long -s tests/asl/test_scale.py.

The services answer by script and at once, so this measures only Step Functions: histories, states, transitions,
documents. Every shard is joined twice: by its job's child, and again afterwards. docs/scale.md has the numbers.
"""

import json
import os
import time
from typing import Any

import pytest

from tests.unit.factories import keys_of

from .bench import BUCKET, Bench, execution_arn, turns
from .histories import Ended

JOBS = int(os.environ.get("SCALE_JOBS", "10000"))
PATIENCE_SECONDS = 3_600
SAMPLED = 50
"""The number of children of each Map whose histories are read. The Map Runs have the counts of all children."""


@pytest.mark.long
def test_a_run_of_many_jobs_is_no_larger_than_a_small_one(bench: Bench) -> None:
    started = time.monotonic()
    bench.start_run("scale", {"Gather leftovers": turns("scale", "join", shards=JOBS)}, shards=JOBS)
    run = ended(bench, "scale")
    assert run.status == "SUCCEEDED", run.description
    seconds = time.monotonic() - started

    transitions, lines = run.transitions(), []
    for map_run in bench.sfn.list_map_runs(executionArn=execution_arn("scale"))["mapRuns"]:
        described = bench.sfn.describe_map_run(mapRunArn=map_run["mapRunArn"])
        counts = described["executionCounts"]
        assert counts["succeeded"] == counts["total"] == JOBS
        children = sampled(bench, map_run["mapRunArn"])
        each = max(child.transitions() for child in children)
        transitions += JOBS * each
        lines.append(
            f"{map_run['mapRunArn'].rpartition('/')[2].split(':')[0]}: {counts['total']} children, each at most "
            f"{max(len(child.events) for child in children)} events, {each} transitions, input "
            f"{max(len(child.description['input']) for child in children)} bytes, output "
            f"{max(len(child.description['output']) for child in children)} bytes"
        )
    largest = max(len(output) for _, output in run.outputs())
    print(f"\n{JOBS} jobs in {seconds:.0f} s: {transitions} transitions in all, {transitions / JOBS:.2f} a job")
    print(f"parent: {len(run.events)} events, {run.transitions()} transitions, largest state {largest} bytes")
    print(*lines, sep="\n")
    for key in (keys_of("scale").plan, keys_of("scale").jobs(0)):
        print(key, bench.s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"], "bytes")
    assert len(run.events) <= 66
    assert largest < 2_000


def ended(bench: Bench, name: str) -> Ended:
    """Wait for the end of a run and return it without its children: those are too many to read."""
    arn = execution_arn(name)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (described := bench.sfn.describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline, "it does not end"
        time.sleep(0.5)
    return Ended("run", described, bench._events(arn))


def sampled(bench: Bench, map_run_arn: str) -> list[Ended]:
    """Return some children of a Map Run."""
    page: dict[str, Any] = bench.sfn.list_executions(mapRunArn=map_run_arn, maxResults=SAMPLED)
    found = []
    for child in page["executions"]:
        arn = child["executionArn"]
        found.append(Ended("run", bench.sfn.describe_execution(executionArn=arn), bench._events(arn)))
    assert all(json.loads(child.description["output"]) for child in found)
    return found
