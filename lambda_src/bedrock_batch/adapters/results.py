"""Read what the children of a Distributed Map returned, where its ResultWriter put it."""

from collections.abc import Mapping
from typing import Any

from bedrock_batch.adapters.s3 import S3


def read_results(s3: S3, details: Mapping[str, str] | None) -> list[Any]:
    """Return the children's outputs, in no particular order; none when the Map did not run.

    `details` is the Map state's `ResultWriterDetails`: the manifest that lists the result files.
    """
    if not details:
        return []
    manifest = s3.get_json(details["Bucket"], details["Key"])
    return [
        output for file in manifest["ResultFiles"]["SUCCEEDED"] for output in s3.lines(details["Bucket"], file["Key"])
    ]
