"""See which records have no answer yet after a Map, and decide what is done about it."""

from dataclasses import replace
from typing import Any

from bedrock_batch.aws.run_documents import read_runs
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.state import RunState
from bedrock_batch.run import progress
from bedrock_batch.run.next_step import next_step


def gather_leftovers(s3: S3, bedrock: Any, state: RunState) -> RunState:
    """Take the result of the Map that has run, and decide. The same state gives the same files and answer.

    `redrives` counts how often the execution was redriven.

    Raises:
        CanaryFailed: the first rows failed, before any job was made.
        PermissionMissing: jobs of the last round lacked a permission, and nobody has redriven the run since.
    """
    runs = read_runs(s3, state.bucket, state.keys.run())
    return next_step(s3, bedrock, runs, replace(progress.collect(state), step=state.step + 1))
