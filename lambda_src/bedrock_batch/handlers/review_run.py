"""Review run: add the prepared shards up, refuse what must not be paid, decide what is done first."""

from typing import Any

from bedrock_batch import review
from bedrock_batch.adapters import clients
from bedrock_batch.adapters.results import read_results
from bedrock_batch.adapters.s3 import S3
from bedrock_batch.contracts import Run
from bedrock_batch.handlers.gather_leftovers import next_step

NOTHING_YET = {"step": 0, "rounds": 0, "passes": 0, "jobs": 0, "results": {"jobs": [], "answers": [], "joins": []}}


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the run's state with the estimate and with `next`, what to do first."""
    return review_run(S3(clients.s3()), clients.client("bedrock"), event)


def review_run(s3: S3, bedrock: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Review the run; on a dry run the estimate is all, and no list of jobs is written."""
    run = Run.from_json(s3.get_json(state["bucket"], state["run_key"]))
    prepared = review.prepared_shards(read_results(s3, state["prepared"]))
    estimate = review.estimate(run, prepared)
    review.check(run, estimate)
    reviewed = state | NOTHING_YET | {"estimate": estimate.to_json()}
    if run.dry_run:
        return reviewed | {"next": "end"}
    return next_step(s3, bedrock, run, reviewed)
