"""Claim a run's name: a write that happens only if nobody has claimed it."""

from typing import Any

from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.claim import Claim
from bedrock_batch.errors import InputNotFound, InvalidRunInput, RunNameTaken, TransientError
from bedrock_batch.keys import RUN_ID, RunKeys


def claim_run(
    s3: S3,
    *,
    contract: int,
    bucket: str,
    root: str,
    run_id: str,
    execution_arn: str,
    started_at: str,
    functions: dict[str, str],
) -> dict[str, Any]:
    """Write the run's claim, or find that this execution wrote it before; return the state that the run begins with.

    The same ARN and the same start are the same run: after a lost response, and after a redrive.

    Raises:
        InvalidRunInput: the name cannot be that of a run.
        RunNameTaken: another execution has claimed the name.
        TransientError: somebody else is about to claim it.
    """
    if not RUN_ID.fullmatch(run_id):
        raise InvalidRunInput(
            f"The execution name {run_id!r} may hold only letters, digits, `-` and `_`, and at most 80 of them."
        )
    key = RunKeys(root, run_id).claim
    claim = Claim(contract, execution_arn, started_at, functions)
    try:
        s3.put_json(bucket, key, claim.to_json(), replaces="")
    except Overtaken:
        first = _read(s3, bucket, key)
        if (first.execution_arn, first.started_at) != (execution_arn, started_at):
            raise RunNameTaken(
                f"The name {run_id!r} belongs to the run that started at {first.started_at} "
                f"({first.execution_arn}). Its files stay as they are. Start this run under another execution name."
            ) from None
        claim = first
    return {
        "contract": contract,
        "bucket": bucket,
        "root": root,
        "run_id": run_id,
        "execution_arn": execution_arn,
        "started_at": claim.started_at,
    }


def _read(s3: S3, bucket: str, key: str) -> Claim:
    """Return the claim that made ours fail."""
    try:
        return Claim.from_json(s3.get_json(bucket, key))
    except InputNotFound as err:  # S3 refuses the second of two writes before the first has ended
        raise TransientError(f"s3://{bucket}/{key} is being written by another call.") from err
