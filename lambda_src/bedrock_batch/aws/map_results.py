"""Read what the children of a Distributed Map returned, from the files of its ResultWriter."""

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from bedrock_batch.aws import causes
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.state import FailedChildren, MapResult

_MOST_READ = 1_000
_MOST_ERRORS = 10


def read_results(s3: S3, details: MapResult | None) -> list[Any]:
    """Return the children's outputs, in no particular order. There are none if the Map did not run.

    `details` is the Map state's `ResultWriterDetails`: the manifest that lists the result files.
    """
    if not details:
        return []
    manifest = s3.get_json(details["Bucket"], details["Key"])
    return [
        output for file in manifest["ResultFiles"]["SUCCEEDED"] for output in s3.lines(details["Bucket"], file["Key"])
    ]


def write_results(s3: S3, bucket: str, folder: str, outputs: Iterable[Any]) -> MapResult:
    """Write outputs as if children of a Map had returned them; return its `ResultWriterDetails`."""
    file, manifest = f"{folder}/SUCCEEDED_0.jsonl", f"{folder}/manifest.json"
    s3.put_lines(bucket, file, outputs)
    s3.put_json(bucket, manifest, {"ResultFiles": {"SUCCEEDED": [{"Key": file}]}})
    return {"Bucket": bucket, "Key": manifest}


def all_results(s3: S3, bucket: str, folder: str) -> list[Any]:
    """Return the outputs of the children of all Maps that wrote below a folder, including failed Maps."""
    manifests = [item.key for item in s3.list(bucket, folder) if item.key.endswith("/manifest.json")]
    return [output for key in manifests for output in read_results(s3, {"Bucket": bucket, "Key": key})]


def failed_children(s3: S3, bucket: str, prefix: str, *, but: str) -> list[FailedChildren]:
    """Return the first distinct errors of one Map's children: of the Map below `prefix` that failed last.

    Maps below the prefix `but` do not count.

    If a Map fails, the state machine says only that a threshold was exceeded. A child's input is not repeated, except
    for the name of its job, shard or chunk.
    """
    keys = [item.key for item in s3.list(bucket, prefix) if not item.key.startswith(but)]
    manifests = [key for key in keys if key.endswith("/manifest.json")]
    failed = [children for key in manifests if (children := _failed(s3, bucket, key))]
    if not failed:
        return []
    last = max(failed, key=lambda children: max(map(_stopped, children)))
    by_error: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for child in sorted(last, key=_stopped):
        by_error.setdefault((child["Error"], causes.said_by(child.get("Cause") or "")), []).append(child)
    found = islice(by_error.items(), _MOST_ERRORS)
    return [FailedChildren(error, message, len(of_it), _name(of_it[0])) for (error, message), of_it in found]


def _failed(s3: S3, bucket: str, manifest_key: str) -> list[dict[str, Any]]:
    """Return the executions of a Map's children that failed with an error. These made the Map stop the others."""
    files = s3.get_json(bucket, manifest_key)["ResultFiles"].get("FAILED", ())
    children = (child for file in files for child in islice(s3.lines(bucket, file["Key"]), _MOST_READ))
    return [child for child in islice(children, _MOST_READ) if child.get("Error")]


def _stopped(child: Mapping[str, Any]) -> str:
    return str(child.get("StopDate", ""))


def _name(child: Mapping[str, Any]) -> str:
    """Return the name of a child's job, shard or chunk, from the child's input."""
    try:
        given = json.loads(child["Input"])
    except (KeyError, ValueError):
        return ""
    found = [f"{key.partition('_')[0]} {given[key]}" for key in ("job_name", "shard", "chunk") if key in given]
    return found[0] if found else ""
