"""Read the run documents: one for each model of a run."""

from datetime import UTC, datetime

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Run
from bedrock_batch.contracts.version import check_document
from bedrock_batch.errors import RunExpired


def read_run(s3: S3, bucket: str, run_key: str) -> Run:
    """Return a model's run document.

    Raises:
        ContractMismatch: this code cannot read the document's contract.
        RunExpired: the run is so old that some of its files may be deleted.
    """
    document = s3.get_json(bucket, run_key)
    check_document(document, f"s3://{bucket}/{run_key}", "Another version of the module planned it: start a new run.")
    run = Run.from_json(document)
    if datetime.now(UTC) > run.expires_at:
        raise RunExpired(
            f"The run {run.run_id!r} started at {run.started_at}, more than {run.work_days} days ago "
            "(retention.work_days). Some of its files may be deleted, so it cannot go on. If it has written a table, "
            f"the table stays in s3://{run.bucket}/{run.keys.output_folder()}. Start a new run over the "
            "rows without an answer."
        )
    return run


def read_runs(s3: S3, bucket: str, run_key: str) -> list[Run]:
    """Return the run documents of all models, in the order of the run input. `run_key` is the key of the first one.

    Raises ContractMismatch and RunExpired.
    """
    first = read_run(s3, bucket, run_key)
    return [first, *(read_run(s3, bucket, first.keys.run(number)) for number in range(1, len(first.models)))]
