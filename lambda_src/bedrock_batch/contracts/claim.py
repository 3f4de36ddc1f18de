"""The claim: whose execution the name of a run is."""

from dataclasses import dataclass, field

from bedrock_batch.contracts.shape import Shape


@dataclass(frozen=True, slots=True)
class Claim(Shape):
    """`claims/<run>.json`. The execution that wrote it has the name for ever; `started_at` is its start, ISO 8601.

    A state machine that is deleted and made anew may start an execution of the same ARN, but not at the same time.
    A redrive changes neither.
    """

    contract: int
    execution_arn: str
    started_at: str
    functions: dict[str, str] = field(default_factory=dict)
    """The versions that the run began with of the functions that `stop_run` calls: their ARNs by name."""
