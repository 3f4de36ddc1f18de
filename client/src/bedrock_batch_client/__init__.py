"""Start, follow and stop runs of bedrock-batch, and fetch their tables. It needs boto3 alone."""

__version__ = "0.2.0"

from bedrock_batch_client.api import Batch, Run, attach
from bedrock_batch_client.errors import BatchError, Mistake, NoPermission, NotFound, RunEndedBadly, ServiceTrouble

__all__ = [
    "Batch",
    "BatchError",
    "Mistake",
    "NoPermission",
    "NotFound",
    "Run",
    "RunEndedBadly",
    "ServiceTrouble",
    "attach",
]
