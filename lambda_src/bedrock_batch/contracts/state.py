"""The state that a run carries from state to state: references and counts, so that it never grows with the table."""

from dataclasses import dataclass, field
from typing import Literal

from bedrock_batch.contracts.estimate import Estimate
from bedrock_batch.contracts.shape import Shape, Sparse
from bedrock_batch.keys import RunKeys

Next = Literal["run_jobs", "answer", "join", "finish"]
"""What a run does next; *Next step?* in run.asl.json has a way for each."""

MapResult = dict[str, str]
"""Where a Map's ResultWriter listed what the children returned: `Bucket` and `Key` of the manifest."""


@dataclass(frozen=True, slots=True)
class MapResults(Shape):
    """The results of all Maps that have run behind Review run, in the order of time."""

    jobs: list[MapResult] = field(default_factory=list)
    answers: list[MapResult] = field(default_factory=list)
    joins: list[MapResult] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OverBudget(Shape):
    """Why the budget ended a run: what was spent, and what the next step could have cost."""

    budget_usd: float
    spent_usd: float
    next_usd: float
    next_step: Next
    records: int


@dataclass(frozen=True, slots=True)
class FailedChildren(Shape):
    """An error that children of a Map ended with, how many of them did, and which was the first."""

    error: str
    message: str
    children: int
    first: str


@dataclass(frozen=True, slots=True)
class End(Sparse):
    """How a run ended, as its report says it first."""

    status: str
    failed_children: list[FailedChildren] = field(default_factory=list)
    error: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState(Sparse):
    """The state of a run; the fields stand in the order in which functions add them.

    State machines read some of them by name, so `to_json` leaves out what is not set.
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
    """Of the run's work: Maps write their results below it."""
    plan_key: str = ""
    job_names: str = ""
    """How the names of its jobs begin."""
    rows: int = 0
    shards: int = 0
    """Of all models together."""
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
    """That of the Map that `next` led to, until it is filed under `results`."""
    jobs_key: str = ""
    answers_key: str = ""
    joins_key: str = ""
    """The lines that the next Map reads."""
    max_concurrent_jobs: int = 0
    redrives: int = 0
    round_redrives: int = 0
    """How often the execution had been redriven when the last round began."""
    over_budget: OverBudget | None = None

    # Of a run that was stopped.
    salvage: bool = False
    ended: End | None = None
    message: str | None = None
    """How the run ended, for the inventory."""
    replaces: str | None = None
    """The ETag of the report that this one may replace; None: any."""
    job_statuses: dict[str, int] = field(default_factory=dict)
    """How many jobs have which status, those included that nobody tried to make; `model_job_statuses` by model."""
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
    """The version of `join_shard` that the run began with."""
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
