"""Find the records without an answer after a Map, and decide what to do about them."""

from dataclasses import replace
from typing import Any

from bedrock_batch.aws.run_documents import read_runs
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.state import RunState
from bedrock_batch.run import progress
from bedrock_batch.run.next_step import next_step


def gather_leftovers(s3: S3, bedrock: Any, state: RunState) -> RunState:
    """Read the result of the Map that has run, and decide what to do next. The same state gives the same result.

    `redrives` in the state is the number of redrives of the execution.

    Raises:
        CanaryFailed: the first rows failed, before any job was made.
        PermissionMissing: jobs of the last round lacked a permission, and the run was not redriven since.
    """
    runs = read_runs(s3, state.bucket, state.keys.run())
    return next_step(s3, bedrock, runs, replace(progress.collect(state), step=state.step + 1))
