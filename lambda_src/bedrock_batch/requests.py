"""Build what is sent to Bedrock: the body template of a record, and the request that creates a job."""

import copy
import itertools
from collections.abc import Mapping
from typing import Any

from bedrock_batch import ids
from bedrock_batch.catalogue import Family
from bedrock_batch.contracts import Run
from bedrock_batch.errors import InvalidRunInput, UnsupportedRequest

DEFAULT_EMBEDDING_PROMPT = "{input_text}"
"""What an embedding run without a prompt embeds: the column that the published AWS sample uses."""


def body_template(
    family: Family,
    *,
    prompt: str,
    system: str | None,
    inference: Mapping[str, Any],
    embedding: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the `modelInput` template: the family's constant part with everything put in its place.

    String values keep their `{column}` places; stop sequences are escaped, because they are no templates.

    Raises:
        UnsupportedRequest: the family has no place for something that was asked for.
    """
    wanted: dict[str, Any] = {"prompt": prompt, **inference, **embedding}
    if system is not None:
        wanted["system"] = system
    if "stop_sequences" in wanted:
        wanted["stop_sequences"] = [text.replace("{", "{{").replace("}", "}}") for text in wanted["stop_sequences"]]
    body = copy.deepcopy(dict(family.request))
    for name, value in wanted.items():
        if name not in family.places:
            raise UnsupportedRequest(f"{name!r} is not supported by the model family {family.family!r}: leave it out.")
        _put(body, family.places[name], value)
    return body


def _put(body: Any, pointer: str, value: Any) -> None:
    """Set the value at a JSON pointer (RFC 6901), making objects and list items on the way."""
    steps = pointer.removeprefix("/").split("/")
    for step, following in itertools.pairwise(steps):
        empty: Any = [] if following.isdigit() else {}
        if isinstance(body, list):
            if int(step) == len(body):
                body.append(empty)
            body = body[int(step)]
        else:
            body = body.setdefault(step, empty)
    if isinstance(body, list):
        body.append(value)
    else:
        body[steps[-1]] = value


def dimensions(family: Family, embedding: Mapping[str, Any]) -> int | None:
    """Return the length of the vectors, None for text models.

    Raises:
        InvalidRunInput: the model does not have this length.
    """
    if family.kind != "embedding":
        return None
    length = int(embedding.get("dimensions", family.dimensions["default"]))
    allowed = family.dimensions["allowed"]
    if length not in allowed:
        raise InvalidRunInput(f"embedding.dimensions is {length}; {family.family} has {', '.join(map(str, allowed))}.")
    return length


def create_job(run: Run, *, job_name: str, input_key: str) -> dict[str, Any]:
    """Return the arguments of `aws-sdk:bedrock:createModelInvocationJob`, in Step Functions' PascalCase.

    `ModelInvocationType` is left out where it is Bedrock's default: newer members reach Step Functions late.
    """
    output: dict[str, Any] = {"S3Uri": f"s3://{run.bucket}/{ids.raw_prefix(run.run_id, job_name)}"}
    if run.kms_key_arn:
        output["S3EncryptionKeyId"] = run.kms_key_arn
    request = {
        "JobName": job_name,
        "ClientRequestToken": ids.client_request_token(job_name),
        "RoleArn": run.service_role_arn,
        "ModelId": run.model_id,
        "InputDataConfig": {
            "S3InputDataConfig": {"S3InputFormat": "JSONL", "S3Uri": f"s3://{run.bucket}/{input_key}"}
        },
        "OutputDataConfig": {"S3OutputDataConfig": output},
        "TimeoutDurationInHours": run.limits["job_timeout_hours"],
        "Tags": [{"Key": "bedrock-batch:name", "Value": run.name}, {"Key": "bedrock-batch:run", "Value": run.run_id}],
    }
    if run.invocation_type != "InvokeModel":
        request["ModelInvocationType"] = run.invocation_type
    return request
