"""Claim a run's name: a write that happens only if nobody has claimed it."""

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
    """Write the run's claim, or find that this execution wrote it before; return the state that the run begins with.

    The state has the versions of functions that the claim names.

    The same ARN and the same start are the same run: after a lost response, and after a redrive.

    Raises:
        InvalidRunInput: the name cannot be that of a run.
        RunNameTaken: another execution has claimed the name.
        TransientError: somebody else is about to claim it.
        ContractMismatch: this execution claimed it with a version of the module that this one does not read, or what
            lies there is not a claim.
    """
    run_id, key = state.run_id, state.keys.claim
    if not RUN_ID.fullmatch(run_id):
        raise InvalidRunInput(
            f"The execution name {run_id!r} may hold only letters, digits, `-` and `_`, and at most 80 of them."
        )
    try:
        s3.put_json(state.bucket, key, claim.to_json(), replaces="")
    except Overtaken:
        first = _read(s3, state.bucket, key)
        if (first.execution_arn, first.started_at) != (claim.execution_arn, claim.started_at):
            raise RunNameTaken(
                f"The name {run_id!r} belongs to the run that started at {first.started_at} "
                f"({first.execution_arn}). Its files stay as they are. Start this run under another execution name."
            ) from None
        check_document(first.to_json(), f"The claim s3://{state.bucket}/{key}", _WHAT_TO_DO)
        return replace(state, functions=first.functions)
    return state


def _read(s3: S3, bucket: str, key: str) -> Claim:
    """Return the claim that made ours fail, of whatever contract: a claim outlives them all."""
    try:
        return Claim.from_json(s3.get_json(bucket, key))
    except InputNotFound as err:  # S3 refuses the second of two writes before the first has ended
        raise TransientError(f"s3://{bucket}/{key} is being written by another call.") from err
    except (ValueError, ContractMismatch) as err:
        raise ContractMismatch(f"The claim s3://{bucket}/{key} is not of this module ({err}). {_WHAT_TO_DO}") from err
