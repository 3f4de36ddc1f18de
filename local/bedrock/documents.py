"""The files of a job: read and check its input, make the output lines, write the output and the manifest."""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from local.bedrock import references, storage
from local.bedrock.bodies import Refused
from local.bedrock.config import Config
from local.bedrock.models import Answer


class InvalidInput(Exception):
    """Input that fails the Validating status; the text becomes the message of the job."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One JSONL file of a job's input that passed the checks. `whole_folder`: the job's input is the file's folder."""

    bucket: str
    key: str
    records: int
    whole_folder: bool

    def lines(self) -> Iterator[bytes]:
        """Yield its lines."""
        return storage.lines(self.bucket, self.key)


@dataclass(slots=True)
class Output:
    """Output lines and counters of a job so far."""

    lines: dict[str, list[bytes]] = field(default_factory=dict)  # by the name of the input file
    answered: list[tuple[str, str]] = field(default_factory=list)  # record_id and digest of the input, for each answer
    succeeded: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


def checked_input(uri: str, limits: Config) -> list[InputFile]:
    """Check a job's input like the status Validating, and return its files. Raises InvalidInput."""
    bucket, given = storage.split(uri)
    try:
        sizes = storage.sizes(uri)
    except storage.StorageError as error:
        raise InvalidInput(str(error)) from error
    files = {key: size for key, size in sizes.items() if key.endswith(".jsonl")}
    if not files:
        raise InvalidInput(f"No file that ends in .jsonl was found at {uri}")
    for key, size in files.items():
        _at_most(size, limits.maximum_file_bytes, f"The file {key} holds {{}} bytes")
    _at_most(sum(sizes.values()), limits.maximum_job_bytes, "The input holds {} bytes")
    checked = [InputFile(bucket, key, _count(bucket, key), whole_folder=key != given) for key in files]
    for file in checked:
        _at_most(file.records, limits.maximum_records_per_file, f"The file {file.key} holds {{}} records")
    total = sum(file.records for file in checked)
    _at_most(total, limits.maximum_records_per_job, "Batch job contains {} records")
    if total < limits.minimum_records:
        raise InvalidInput(
            f"Batch job contains less records ({total}) than the required minimum of: {limits.minimum_records}"
        )
    return checked


def _at_most(number: int, most: int, text: str) -> None:
    if number > most:
        raise InvalidInput(f"{text.format(number)}, more than the maximum of: {most}")


def _count(bucket: str, key: str) -> int:
    """Count the records of a file in which every line has the right frame. The model's part is not checked."""
    number = 0
    for number, line in enumerate(storage.lines(bucket, key), 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"Line {number} of {key} is not a JSON object: {error}") from error
        if not isinstance(record, dict) or not isinstance(record.get("modelInput"), dict):
            raise InvalidInput(f"Line {number} of {key} has no object `modelInput`")
    return number


# Gives a body to the model; the number counts the records of the job from 1. Raises Refused.
Call = Callable[[dict[str, Any], int], Answer]


def run_record(output: Output, file: InputFile, line: bytes, *, number: int, model: str, call: Call) -> None:
    """Give one record to the model and add its line to the output."""
    record = json.loads(line)
    body = record["modelInput"]
    record_id = str(record.get("recordId") or f"CALL{number:07d}")  # If it is missing, Bedrock makes one up.
    text = f'{{"recordId": {json.dumps(record_id)}, "modelInput": {json.dumps(body, ensure_ascii=False)}, '
    try:
        references.check_folder(body, f"s3://{file.bucket}/{file.key}", whole_folder=file.whole_folder)
        references.check(body, model)
        said = call(body, number)
    except Refused as refusal:
        error = {"errorCode": refusal.code, "errorMessage": str(refusal)}
        text += f'"error": {json.dumps(error, ensure_ascii=False)}}}'
        output.failed += 1
    else:
        text += f'"modelOutput": {said.body}}}'
        output.answered.append((record_id, digest(model, body)))
        output.succeeded += 1
        output.input_tokens += said.input_tokens
        output.output_tokens += said.output_tokens
    output.lines.setdefault(file.key.rsplit("/", 1)[-1], []).append(text.encode())


def digest(model: str, body: dict[str, Any]) -> str:
    """Return a digest of a model call. The same call has the same digest in a batch and on demand."""
    return hashlib.sha256(f"{model}\n{json.dumps(body, sort_keys=True)}".encode()).hexdigest()[:16]


def write_output(output: Output, folder: str, *, total: int, kms_key: str | None, find: Callable[[str], Any]) -> None:
    """Write the shuffled output files and the manifest into a folder (an S3 URI). The manifest counts lost lines."""
    bucket, prefix = storage.split(folder)
    for index, (name, lines) in enumerate(sorted(output.lines.items())):
        kept = _spoil(lines, find) if index == 0 else lines
        random.Random(folder).shuffle(kept)
        storage.write(bucket, f"{prefix}/{name}.out", b"\n".join([*kept, b""]), kms_key=kms_key)
    if find("no_manifest"):
        return
    manifest = {
        "totalRecordCount": total,
        "processedRecordCount": output.succeeded + output.failed,
        "successRecordCount": output.succeeded,
        "errorRecordCount": output.failed,
        "inputTokenCount": output.input_tokens,
        "outputTokenCount": output.output_tokens,
    }
    storage.write(bucket, f"{prefix}/manifest.json.out", json.dumps(manifest).encode(), kms_key=kms_key)


def _spoil(lines: list[bytes], find: Callable[[str], Any]) -> list[bytes]:
    """Return the output lines with the faults that the rules ask for; `find` looks up a rule."""
    kept = lines[find("drop_records") or 0 :]
    kept += kept[: find("duplicate_records") or 0]
    foreign = {"modelInput": {}, "modelOutput": {"note": "this record was never submitted"}}
    for number in range(find("foreign_records") or 0):
        kept.append(json.dumps({"recordId": f"FOREIGN{number:04d}"} | foreign).encode())
    return kept
