"""The claim: the execution that owns the name of a run."""

from dataclasses import dataclass, field

from bedrock_batch.contracts.shape import Shape


@dataclass(frozen=True, slots=True)
class Claim(Shape):
    """`claims/<run>.json`. The execution that wrote it owns the name for ever. `started_at` is its start in ISO 8601.

    A state machine that is deleted and created again may start an execution with the same ARN, but with another start.
    A redrive changes neither.
    """

    contract: int
    execution_arn: str
    started_at: str
    functions: dict[str, str] = field(default_factory=dict)
    """The functions that `stop_run` calls, in the versions that the run began with: their ARNs by name."""
