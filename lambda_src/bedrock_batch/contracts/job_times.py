"""The times of a job."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class JobTimes:
    """When a job was submitted, and when it ended, as Bedrock lists it."""

    submitted: datetime
    ended: datetime
