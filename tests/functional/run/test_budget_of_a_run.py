"""The budget holds for the whole run: rounds, retries and calls on demand that it does not allow are not sent."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.state import RunState
from bedrock_batch.errors import BudgetExceeded, TooManyFailures
from bedrock_batch.run.next_step import next_step
from tests.conftest import BUCKET
from tests.functional.played import Jobs, State, gathered
from tests.functional.whole import LITE, MICRO, MemoryS3, Verdict, WholeRun, asked, reviews

PRICE = {"input": 0.0, "output": 1000.0}
"""A price: an answer of one token costs a tenth of a cent, and input costs nothing."""


class Budgeted(WholeRun):
    """A run that notes the inputs of Gather leftovers, and calls it twice each time, like a redrive."""

    def _gather(self, state: State) -> State:
        first = super()._gather(state)
        assert gathered(self.later, Jobs(), state | {"redrives": self.redriven}) == first
        return first


class Lossy(Budgeted):
    """A run whose Bedrock loses answers, but counts and charges them."""

    def _job(self, line: dict[str, Any]) -> dict[str, Any]:
        count = line["records"]
        counted = {"successRecordCount": count, "errorRecordCount": 0, "inputTokenCount": 0, "outputTokenCount": count}
        self.s3.put_json(BUCKET, f"{line['raw_prefix']}abc/manifest.json.out", counted)
        return super()._job(line)


def play(
    rows: int, lost: int, *models: str, kind: type[Budgeted] = Budgeted, **given: Any
) -> tuple[Budgeted, Callable[[], dict[str, Any]]]:
    """Return a run whose first `lost` records get no answer in the first round, and the object that plays it."""
    s3 = S3(MemoryS3())
    reviews(s3, rows)
    seen: set[tuple[str, str]] = set()

    def verdict(model_id: str, record_id: str) -> Verdict:
        again = (model_id, record_id) in seen
        seen.add((model_id, record_id))
        row = int(record_id[:5]) * 10 + int(record_id[5:])
        usage = {"inputTokens": 5, "outputTokens": 1, "totalTokens": 6}
        output = {"output": {"message": {"content": [{"text": "x"}]}}, "stopReason": "end_turn", "usage": usage}
        return {"modelOutput": output} if again or row >= lost else None

    played = kind(s3, verdict)

    def end() -> dict[str, Any]:
        played.run(asked(*(models or (LITE,)), price=PRICE, inference={"max_tokens": 1}, **given))
        return played.report()

    return played, end


def test_within_the_budget_leftovers_are_sent_again() -> None:
    _, end = play(100, 10, limits={"budget_usd": 0.1})
    told = end()
    assert (told["outcomes"]["succeeded"], told["cost_usd"]) == (100, 0.1)
    assert "over_budget" not in told


def test_a_round_that_the_budget_does_not_allow_is_not_sent() -> None:
    played, end = play(100, 10, kind=Lossy, limits={"budget_usd": 0.1})
    told = end()
    assert played.steps == ["run_jobs", "finish"]
    assert (told["outcomes"]["succeeded"], told["outcomes"]["missing"]) == (90, 10)
    assert told["over_budget"] == {
        "budget_usd": 0.1,
        "spent_usd": 0.1,
        "next_usd": 0.01,
        "next_step": "run_jobs",
        "records": 10,
    }
    (warning,) = [one for one in told["warnings"] if "budget" in one]
    assert warning.startswith("limits.budget_usd is 0.1: 0.1 USD are spent, and 10 more records in batch jobs could")
    assert "up to 0.01 USD. They were not sent" in warning


def test_the_tail_on_demand_counts_at_its_own_price() -> None:
    """Four leftovers on demand cost twice the batch price: 0.096 and 0.008."""
    for budget, missing in ((0.104, 0), (0.103, 4)):
        _, end = play(100, 4, limits={"budget_usd": budget})
        told = end()
        assert told["outcomes"]["missing"] == missing, budget
        assert told["cost_usd"] <= budget
    assert told["over_budget"]["next_step"] == "answer"
    assert told["over_budget"]["next_usd"] == 0.008


def test_flex_costs_the_tail_the_batch_price() -> None:
    _, end = play(100, 4, "openai.gpt-oss-20b-1:0", limits={"budget_usd": 0.1})
    told = end()
    assert told["outcomes"]["missing"] == 0
    assert told["usage"]["flex"]["records"] == 4


def test_a_run_that_fails_for_its_budget_says_so() -> None:
    _, end = play(100, 50, kind=Lossy, limits={"budget_usd": 0.1})
    with pytest.raises(TooManyFailures, match=r"limits.budget_usd is 0.1: 0.1 USD are spent, and 50 more"):
        end()


def test_shards_that_no_job_had_are_joined_without_answers() -> None:
    """A canary that costs more than it should leaves nothing for the jobs."""
    played, end = play(60, 0, limits={"budget_usd": 0.07, "canary_records": 10})
    answered = played.converse

    def dear(**call: Any) -> dict[str, Any]:
        answer = answered(**call)
        answer["usage"]["outputTokens"] = 3
        return answer

    played.converse = dear  # type: ignore[method-assign]
    with pytest.raises(TooManyFailures, match="limits.budget_usd"):
        end()
    told = played.report()
    assert played.steps == ["answer", "join", "join", "finish"]
    assert told["outcomes"]["missing"] == 50
    assert told["over_budget"]["spent_usd"] == 0.06


def test_retries_are_held_against_the_budget() -> None:
    """The estimate has two answers for each record. Lost answers are paid in addition."""
    cut = {"output": {"message": {"content": [{"text": "x"}]}}, "stopReason": "max_tokens"}
    cut |= {"usage": {"inputTokens": 5, "outputTokens": 1, "totalTokens": 6}}

    def retried(budget: float, kind: type[Budgeted]) -> Budgeted:
        s3 = S3(MemoryS3())
        reviews(s3, 20)
        played = kind(s3, lambda model_id, record_id: {"modelOutput": cut})
        retry = {"outcomes": ["truncated"], "max_tokens": 3}
        given = asked(LITE, price=PRICE, inference={"max_tokens": 1}, retry=retry, limits={"budget_usd": budget})
        played.run(given)
        return played

    class Dear(Budgeted):
        def _job(self, line: dict[str, Any]) -> dict[str, Any]:
            counted = {"successRecordCount": 10, "outputTokenCount": 11}
            self.s3.put_json(BUCKET, f"{line['raw_prefix']}abc/manifest.json.out", counted)
            return super()._job(line)

    within, over = retried(0.08, Budgeted), retried(0.08, Dear)
    assert within.report()["retried"]["records"] == 20
    told = over.report()
    assert told["retried"]["records"] == 0
    assert (told["over_budget"]["spent_usd"], told["over_budget"]["next_usd"]) == (0.022, 0.06)
    with pytest.raises(BudgetExceeded):
        retried(0.079, Budgeted)


def test_several_models_share_the_budget() -> None:
    _, end = play(100, 10, LITE, MICRO, kind=Lossy, limits={"budget_usd": 0.2})
    told = end()
    assert [section["outcomes"]["missing"] for section in told["models"]] == [10, 10]
    assert (told["over_budget"]["spent_usd"], told["over_budget"]["records"]) == (0.2, 20)


def test_the_state_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    _, end = play(100, 10, kind=Lossy, limits={"budget_usd": 0.1})
    states: list[State] = []

    def noted(*given: Any) -> RunState:
        state = next_step(*given)
        states.append(state.to_json())
        return state

    monkeypatch.setattr("bedrock_batch.run.gather_leftovers.next_step", noted)
    end()
    assert "over_budget" in states[-1]
    assert json.loads(json.dumps(states[-1])) == states[-1]
