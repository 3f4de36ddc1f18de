"""Whole runs with `retry`: a record is asked again until a model answers it, while rounds are left."""

from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bedrock_batch.aws.s3 import S3
from tests.conftest import BUCKET
from tests.functional.played import RUN
from tests.functional.whole import LITE, MICRO, Fate, MemoryS3, Verdict, WholeRun, asked, reviews
from tests.unit.factories import keys_of

RETRY = {"outcomes": ["truncated"], "max_tokens": 900}
CUT = {"modelOutput": {"output": {"message": {"content": [{"text": "cut"}]}}, "stopReason": "max_tokens"}}
THROTTLED = {"error": {"errorCode": 429, "errorMessage": "slow down"}}
REFUSED = {"error": {"errorCode": 400, "errorMessage": "too many tokens"}}
ROWS = 24


@pytest.fixture
def s3() -> S3:
    return S3(MemoryS3())


def played(s3: S3, *fates: Verdict, rounds: int, tail: bool = True) -> tuple[WholeRun, dict[str, Any]]:
    """Play a run in which every record has these results, one after the other; return the run and its report."""
    reviews(s3, ROWS)
    times: Counter[str] = Counter()

    def verdict(model_id: str, record_id: str) -> Verdict:
        times[record_id] += 1
        return fates[times[record_id] - 1]

    run = WholeRun(s3, verdict)
    limits = {"max_rounds": rounds, "on_demand_tail": tail, "tolerated_failure_percentage": 100}
    run.run(asked(LITE, inference={"max_tokens": 100}, retry=RETRY, limits=limits))
    return run, run.report()


@pytest.mark.parametrize("vain", [THROTTLED, None], ids=["throttled", "stopped before its turn"])
def test_a_record_is_asked_again_while_rounds_are_left(s3: S3, vain: Verdict) -> None:
    run, report = played(s3, CUT, vain, vain, {}, rounds=6)
    assert [round_["records"] for round_ in report["rounds"]] == [ROWS] * 4
    assert report["outcomes"]["succeeded"] == ROWS
    assert report["retried"] == {"records": ROWS, "succeeded": ROWS}
    limits = {
        line["modelInput"]["inferenceConfig"]["maxTokens"]
        for job in run.jobs
        if job["round"]
        for line in s3.lines(BUCKET, keys_of(RUN).pooled(job["round"], job["number"]))
    }
    assert limits == {900}


@pytest.mark.parametrize(("rounds", "sent"), [(0, 2), (1, 2), (2, 3)])
def test_no_round_is_added_for_it(s3: S3, rounds: int, sent: int) -> None:
    """The first retry of a record gets a round in any case. After that, `max_rounds` counts."""
    _, report = played(s3, CUT, *[THROTTLED] * 6, rounds=rounds, tail=False)
    assert [round_["records"] for round_ in report["rounds"]] == [ROWS] * sent
    assert (report["outcomes"]["truncated"], report["leftovers"]) == (ROWS, ROWS)
    assert report["retried"] == {"records": 0}


def test_a_refusal_is_final_and_no_answer(s3: S3) -> None:
    run, report = played(s3, CUT, REFUSED, rounds=6)
    assert (len(run.sent), report["leftovers"], report["retried"]) == (2 * ROWS, 0, {"records": 0})
    assert report["outcomes"]["truncated"] == ROWS


@pytest.mark.parametrize("first", [None, ("Failed", "Unable to parse a.jsonl")], ids=["answered", "refused"])
def test_what_two_jobs_refused_is_not_sent_again_and_keeps_its_answer(s3: S3, first: Fate) -> None:
    """A first answer stays, whether the jobs refused the record before it or after it."""
    reviews(s3, ROWS)
    refused = ("Failed", "Unable to parse a.jsonl")
    fates = [first, refused, refused] if first is None else [first, None, refused]
    run = WholeRun(s3, lambda *_: CUT, fate=lambda line: fates[line["round"]])
    run.run(asked(LITE, inference={"max_tokens": 100}, retry=RETRY, limits={"max_rounds": 6}))
    report = run.report()
    assert [round_["records"] for round_ in report["rounds"]] == [ROWS] * 3
    assert (report["outcomes"]["truncated"], report["leftovers"]) == (ROWS, 0)
    assert (report["on_demand"], report["retried"]) == ([], {"records": 0})


def test_what_was_not_asked_in_its_round_is_asked_on_demand(s3: S3) -> None:
    reviews(s3, ROWS)
    times: Counter[str] = Counter()

    def verdict(model_id: str, record_id: str) -> Verdict:
        times[record_id] += 1
        return [CUT, THROTTLED if record_id.endswith("3") else {}][times[record_id] - 1]

    run = WholeRun(s3, verdict)
    run.run(asked(LITE, inference={"max_tokens": 100}, retry=RETRY))
    report = run.report()
    assert [pass_["records"] for pass_ in report["on_demand"]] == [3]
    assert report["retried"] == {"records": ROWS, "succeeded": ROWS}


@given(
    models=st.sampled_from([[LITE], [LITE, MICRO]]),
    rounds=st.integers(0, 4),
    tail=st.booleans(),
    canary=st.sampled_from([0, 3]),
    verdicts=st.data(),
)
# An example is a whole run, so shrinking a failing one would take minutes.
@settings(max_examples=40, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_nobody_is_asked_a_third_time_and_every_run_ends(
    models: list[str], rounds: int, tail: bool, canary: int, verdicts: Any
) -> None:
    s3 = S3(MemoryS3())
    reviews(s3, ROWS)
    run = WholeRun(s3, lambda *_: verdicts.draw(st.sampled_from([{}, CUT, CUT, THROTTLED, REFUSED, None])))
    limits = {
        "max_rounds": rounds,
        "on_demand_tail": tail,
        "canary_records": canary,
        "tolerated_failure_percentage": 100,
    }
    model_id = models if len(models) > 1 else models[0]
    run.run(asked(model_id=model_id, inference={"max_tokens": 100}, retry=RETRY, limits=limits))
    answers: dict[tuple[str, str], list[str]] = defaultdict(list)
    model_of = {job["job_name"]: job["request"]["ModelId"] for job in run.jobs}
    for item in s3.list(BUCKET, f"reviews/work/{RUN}/raw/"):
        name = item.key.split("/")[4]
        # on-demand-3 is the fourth pass of the first model, on-demand-3-1 that of the second.
        model = model_of[name] if name in model_of else models[name.count("-") - 2]
        for line in s3.lines(BUCKET, item.key):
            if "modelOutput" in line:
                answers[model, line["recordId"]].append(line["modelOutput"]["stopReason"])
    assert max(map(len, answers.values()), default=0) <= 2
    assert all("max_tokens" in reasons for reasons in answers.values() if len(reasons) == 2)
    assert run.report()["retried"]["records"] == sum(len(reasons) == 2 for reasons in answers.values())
