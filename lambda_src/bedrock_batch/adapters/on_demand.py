"""One record on demand: the same body, model and invocation type as in a batch, the answer in the batch's format."""

import base64
import json
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError

from bedrock_batch.catalogue import InvocationType
from bedrock_batch.outcomes import UNPARSEABLE

_TIMED_OUT = 408
_BAD_REQUEST = 400


def answer(client: Any, record: dict[str, Any], *, model_id: str, invocation_type: InvocationType) -> dict[str, Any]:
    """Return the record's output line: with `modelOutput`, or with `error` where the model refused it.

    `client` tries again what is throttled; what is left of that is an error of the record, so that the others
    of its chunk go on. Network errors are raised.
    """
    body = record["modelInput"]
    try:
        if invocation_type == "Converse":
            output = client.converse(modelId=model_id, **_with_bytes(body))
            output.pop("ResponseMetadata", None)
        else:
            text = json.dumps(body).encode()
            output = _loaded(client.invoke_model(modelId=model_id, body=text)["body"].read())
    except ClientError as err:
        code = int(err.response["ResponseMetadata"]["HTTPStatusCode"])
        return record | {"error": {"errorCode": code, "errorMessage": str(err)}}
    except ParamValidationError as err:
        return record | {"error": {"errorCode": _BAD_REQUEST, "errorMessage": str(err)}}
    except ReadTimeoutError as err:
        return record | {"error": {"errorCode": _TIMED_OUT, "errorMessage": str(err)}}
    except _Unreadable as err:
        return record | {"error": {"errorCode": UNPARSEABLE, "errorMessage": str(err)}}
    return record | {"modelOutput": output}


class _Unreadable(Exception):
    """The model's answer, which is paid for, cannot be read."""


def _loaded(body: bytes) -> Any:
    """Decode an answer so that it can be written again."""
    try:
        output = json.loads(body)
        json.dumps(output)
    except (ValueError, RecursionError) as err:
        raise _Unreadable(f"the model's answer is no JSON that can be read: {err}") from err
    return output


def _with_bytes(value: Any) -> Any:
    """Return a Converse body as the SDK wants it: media are base64 in a record, and bytes for the SDK."""
    if isinstance(value, list):
        return [_with_bytes(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(member) if key == "bytes" and isinstance(member, str) else _with_bytes(member)
        for key, member in value.items()
    }


def to_line(line: dict[str, Any]) -> bytes:
    # As ASCII: JSON may hold half a surrogate pair, which has no UTF-8, and the answer is paid for.
    return json.dumps(line, separators=(",", ":"), default=_as_text).encode() + b"\n"


def _as_text(value: object) -> str:
    """Return bytes (such as redacted reasoning) as Bedrock's JSON has them."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} does not belong into an answer")
