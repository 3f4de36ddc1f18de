"""The state that a run carries from state to state: references and counts, so that it does not grow with the table."""

from dataclasses import dataclass, field
from typing import Literal

from bedrock_batch.contracts.estimate import Estimate
from bedrock_batch.contracts.shape import Shape, Sparse
from bedrock_batch.keys import RunKeys

Next = Literal["run_jobs", "answer", "join", "finish"]
"""What a run does next. *Next step?* in run.asl.json has a branch for each."""

MapResult = dict[str, str]
"""A Map's `ResultWriterDetails`: `Bucket` and `Key` of the manifest that lists what the children returned."""


@dataclass(frozen=True, slots=True)
class MapResults(Shape):
    """The results of all Maps after Review run, in the order of time."""

    jobs: list[MapResult] = field(default_factory=list)
    answers: list[MapResult] = field(default_factory=list)
    joins: list[MapResult] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OverBudget(Shape):
    """Why the budget ended a run: the USD spent, and the most that the next step could have cost."""

    budget_usd: float
    spent_usd: float
    next_usd: float
    next_step: Next
    records: int


@dataclass(frozen=True, slots=True)
class FailedChildren(Shape):
    """An error of a Map's children: its name and message, the number of children, and the first of them."""

    error: str
    message: str
    children: int
    first: str


@dataclass(frozen=True, slots=True)
class End(Sparse):
    """How a run ended: the first fields of its report."""

    status: str
    failed_children: list[FailedChildren] = field(default_factory=list)
    error: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState(Sparse):
    """The state of a run. The fields are in the order in which functions add them.

    State machines read some fields by name, so `to_json` leaves out fields that are not set.
    """

    contract: int
    bucket: str
    root: str
    run_id: str
    execution_arn: str = ""
    started_at: str = ""
    functions: dict[str, str] = field(default_factory=dict)
    """The versions of functions that the claim names."""

    # From plan_run on.
    prefix: str = ""
    """The prefix of the run's work. Maps write their results below it."""
    plan_key: str = ""
    job_names: str = ""
    """The beginning of the names of the run's jobs."""
    rows: int = 0
    shards: int = 0
    """The number of shards of all models together."""
    dry_run: bool = False
    prepared: MapResult | None = None

    # From review_run and gather_leftovers on.
    estimate: Estimate | None = None
    next: Next | Literal["", "end"] = ""
    step: int = 0
    rounds: int = 0
    passes: int = 0
    jobs: int = 0
    results: MapResults = field(default_factory=MapResults)
    result: MapResult | None = None
    """The result of the Map that `next` led to. Gather leftovers moves it to `results`."""
    jobs_key: str = ""
    answers_key: str = ""
    joins_key: str = ""
    """The key of the lines that the next Map reads."""
    max_concurrent_jobs: int = 0
    redrives: int = 0
    round_redrives: int = 0
    """The number of redrives before the last round began."""
    over_budget: OverBudget | None = None

    # Only for a run that was stopped.
    salvage: bool = False
    ended: End | None = None
    message: str | None = None
    """How the run ended, for the inventory."""
    replaces: str | None = None
    """ETag of the report that this run's report may replace; None to replace any."""
    job_statuses: dict[str, int] = field(default_factory=dict)
    """The number of jobs with each status, including jobs that were never created; `model_job_statuses` by model."""
    model_job_statuses: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def keys(self) -> RunKeys:
        """Where everything of the run lies."""
        return RunKeys(self.root, self.run_id)


@dataclass(frozen=True, slots=True)
class Stopped(Shape):
    """The event of Gather leftovers for a run that was stopped or failed."""

    contract: int
    bucket: str
    root: str
    run_id: str
    status: str
    join_shard: str
    """ARN of the version of `join_shard` that the run began with."""
    error: str = ""
    cause: str = ""
    salvage: bool = True
    started_at: str = ""
    functions: dict[str, str] = field(default_factory=dict)
    """The start of the run and the versions of functions, as its claim has them."""

    @property
    def keys(self) -> RunKeys:
        """Where everything of the run lies."""
        return RunKeys(self.root, self.run_id)
