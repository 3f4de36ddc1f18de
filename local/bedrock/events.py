"""The event that Bedrock sends to EventBridge at every change of a job's status."""

import contextvars
import json
import threading
from datetime import datetime
from typing import Any

from ministack.services import eventbridge


def send(
    *, job_name: str, job_arn: str, model_arn: str, status: str, message: str, created: datetime, account: str
) -> None:
    """Put one event on the default bus of the current account and Region."""
    detail = {
        "version": "0.0",
        "accountId": account,
        "batchJobName": job_name,
        "batchJobArn": job_arn,
        "batchModelId": model_arn,
        "status": status,
        "failureMessage": message,
        "creationTime": f"{created:%b} {created.day}, {created:%Y}, {created:%I:%M:%S %p}",
    }
    entry = {
        "Source": "aws.bedrock",
        "DetailType": "Batch Inference Job State Change",
        "Resources": [job_arn],
        "Detail": json.dumps(detail),
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def later(seconds: float, **event: Any) -> None:
    """Send an event after some seconds, in the present account and Region."""
    context = contextvars.copy_context()
    timer = threading.Timer(seconds, lambda: context.run(send, **event))
    timer.daemon = True
    timer.start()
