"""The documents of a run: one for each of its models."""

from bedrock_batch import keys
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Run


def read_runs(s3: S3, bucket: str, run_key: str) -> list[Run]:
    """Return the documents of all models, in the order of the run input; `run_key` is the first one's key."""
    first = Run.from_json(s3.get_json(bucket, run_key))
    others = (s3.get_json(bucket, keys.run_key(first.run_id, number)) for number in range(1, len(first.models)))
    return [first, *map(Run.from_json, others)]
