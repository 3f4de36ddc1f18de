"""Claim a run's name, by a write that succeeds only if nobody has claimed the name."""

from dataclasses import replace

from bedrock_batch.aws.s3 import S3
from bedrock_batch.aws.s3_upload import Overtaken
from bedrock_batch.contracts.claim import Claim
from bedrock_batch.contracts.state import RunState
from bedrock_batch.contracts.version import check_document
from bedrock_batch.errors import ContractMismatch, InputNotFound, InvalidRunInput, RunNameTaken, TransientError
from bedrock_batch.keys import RUN_ID

_WHAT_TO_DO = "Start this run under another execution name."


def claim_run(s3: S3, state: RunState, claim: Claim) -> RunState:
    """Write the run's claim, unless this execution has already written it; return the run's first state.

    The state has the versions of functions that the claim names.

    An execution with the same ARN and the same start is the same run: it may call again after a lost response or a
    redrive.

    Raises:
        InvalidRunInput: the execution's name is not valid for a run.
        RunNameTaken: another execution has claimed the name.
        TransientError: another call is writing the claim.
        ContractMismatch: the object is not a claim, or this execution wrote it in a contract that this code cannot
            read.
    """
    run_id, key = state.run_id, state.keys.claim
    if not RUN_ID.fullmatch(run_id):
        raise InvalidRunInput(
            f"The execution name {run_id!r} is not valid: use at most 80 letters, digits, `-` and `_`."
        )
    try:
        s3.put_json(state.bucket, key, claim.to_json(), replaces="")
    except Overtaken:
        first = _read(s3, state.bucket, key)
        if (first.execution_arn, first.started_at) != (claim.execution_arn, claim.started_at):
            raise RunNameTaken(
                f"The name {run_id!r} belongs to the run that started at {first.started_at} "
                f"({first.execution_arn}). Its files were not changed. Start this run under another execution name."
            ) from None
        check_document(first.to_json(), f"The claim s3://{state.bucket}/{key}", _WHAT_TO_DO)
        return replace(state, functions=first.functions)
    return state


def _read(s3: S3, bucket: str, key: str) -> Claim:
    """Return the claim that exists already. It may have any contract, because a claim never expires."""
    try:
        return Claim.from_json(s3.get_json(bucket, key))
    except InputNotFound as err:  # S3 refuses the second of two concurrent writes before the first has ended.
        raise TransientError(f"s3://{bucket}/{key} is being written by another call.") from err
    except (ValueError, ContractMismatch) as err:
        raise ContractMismatch(f"s3://{bucket}/{key} is not a claim of this module ({err}). {_WHAT_TO_DO}") from err
