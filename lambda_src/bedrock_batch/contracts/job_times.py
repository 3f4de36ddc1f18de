"""The times of a job."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class JobTimes:
    """The times when a job was submitted and when it ended, from Bedrock's list."""

    submitted: datetime
    ended: datetime
