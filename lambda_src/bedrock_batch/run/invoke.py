"""Answer one record on demand: with the body, model and invocation type of a batch, and in the format of a batch.

An error is written for the record only if the model or Bedrock judged this record. Other errors, such as a missing
permission, a model that was withdrawn or an old SDK, would be the same for every record, so they are raised. A refusal
of the service tier is raised too, because the same call without a tier may be answered.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError, ReadTimeoutError

from bedrock_batch.answers.outcome import is_leftover
from bedrock_batch.aws.transient import NETWORK
from bedrock_batch.contracts.run import InvocationType
from bedrock_batch.errors import OnDemandRefused
from bedrock_batch.row_errors import RowError

_MOST_MESSAGE = 2_000
"""Most characters of an error's message. The SDK repeats a value of the wrong type, which may be a whole image."""

_TIMED_OUT = 408
_BAD_REQUEST = 400
_TOO_LARGE = 413
_MODEL_ERROR = 424
_NO_CAPACITY = (429, 503)

_JUDGES_THE_BODY = {"ValidationException", "SerializationException"}
"""Errors with status 400 that are about the body. Others are about quotas or signatures."""

_JUDGES_THE_ACCOUNT = re.compile(
    r"operation not allowed|account is not authorized|not allowed from unsupported|on-demand throughput"
    r"|model identifier is invalid|data retention mode",
    re.IGNORECASE,
)
"""Messages of a ValidationException that are about the model or the account, not about the body."""

_NAMES_THE_TIER = re.compile(
    r"service[ _-]?tier|\btier\b.{0,40}\bflex\b|\bflex\b.{0,40}\btier\b", re.IGNORECASE | re.DOTALL
)
_MAY_REFUSE_A_TIER = (_BAD_REQUEST, 403)
"""Statuses if a tier is not allowed by the request or a policy. Other statuses are about the moment or the model."""

_ACCESS = (
    "Check three things: the account has access to the model (this may need a subscription in AWS Marketplace and, for "
    "models of Anthropic, the use case form); the model is still offered; the role of answer_on_demand may call it"
)
_SDK = (
    "The SDK of the function answer_on_demand does not know this parameter. Give the function a newer SDK, or if the "
    "parameter is a mistake, start a new run without it"
)


class TierRefused(Exception):
    """Bedrock refused the call's service tier. The record itself was not judged, and nothing is paid."""


def answer(
    client: Any, record: dict[str, Any], *, model_id: str, invocation_type: InvocationType, tier: str | None = None
) -> dict[str, Any]:
    """Return the record's output line, with `modelOutput`, or with `error` if the model refused the record.

    The line also has the answer's `serviceTier`, if it has one. The call asks for `tier`, unless the record's body asks
    for a tier itself. Without `tier`, the request is the same as in a batch.

    `client` repeats throttled calls. If the last one is throttled too, the record gets that error, so that the other
    records of the chunk are answered. Network errors are raised.

    Raises:
        OnDemandRefused: the record is not the cause, so it can be sent again later.
        TierRefused: the tier is the cause.
    """
    body = record["modelInput"]
    asked = None if _asks_for_a_tier(body) else tier
    try:
        if invocation_type == "Converse":
            output, named = _converse(client, model_id, body, asked)
        else:
            output, named = _invoke(client, model_id, body, asked)
    except (ClientError, ParamValidationError) as err:
        if asked and _is_of_the_tier(err):
            raise TierRefused(str(err)) from err
        return _refusal(record, model_id, err)
    except ValueError as err:  # The media are not base64.
        return _failed(record, _BAD_REQUEST, err)
    except ReadTimeoutError as err:
        return _failed(record, _TIMED_OUT, err)
    except _Unreadable as err:
        return _failed(record, RowError.UNPARSEABLE, err)
    except NETWORK:  # The state machine calls the function again.
        raise
    except BotoCoreError as err:  # Credentials, a Region or an endpoint are missing.
        raise _refused(record, model_id, err, _ACCESS) from err
    return record | {"modelOutput": output} | ({"serviceTier": named} if named else {})


def is_throttled(line: Mapping[str, Any]) -> bool:
    """Return whether a record's output line says that there was no capacity."""
    return line.get("error", {}).get("errorCode") in _NO_CAPACITY


def _converse(client: Any, model_id: str, body: Any, tier: str | None) -> tuple[dict[str, Any], str | None]:
    """Return the model's output and the service tier of the answer."""
    asked = {"serviceTier": {"type": tier}} if tier else {}
    output = client.converse(**{**_with_bytes(body), **asked, "modelId": model_id})
    output.pop("ResponseMetadata", None)
    return output, (output.pop("serviceTier", None) or {}).get("type")


def _invoke(client: Any, model_id: str, body: Any, tier: str | None) -> tuple[Any, str | None]:
    """Do what `_converse` does, with the model's own body."""
    asked = {"serviceTier": tier} if tier else {}
    answered = client.invoke_model(modelId=model_id, body=json.dumps(body).encode(), **asked)
    return _loaded(answered["body"].read()), answered.get("serviceTier")


def _asks_for_a_tier(body: Any) -> bool:
    """Return whether a body asks for a tier itself, in Converse's member or in the member of OpenAI-shaped bodies."""
    return isinstance(body, dict) and ("serviceTier" in body or "service_tier" in body)


def _refusal(record: dict[str, Any], model_id: str, err: ClientError | ParamValidationError) -> dict[str, Any]:
    """Return the output line of a record that was refused. Raises OnDemandRefused if the record is not the cause."""
    if isinstance(err, ParamValidationError):
        if _is_of_the_sdk(err):
            raise _refused(record, model_id, err, _SDK) from err
        return _failed(record, _BAD_REQUEST, err)
    if not _is_of_the_record(err):
        raise _refused(record, model_id, err, _ACCESS) from err
    return _failed(record, _status(err), err)


def _failed(record: dict[str, Any], code: int | str, err: Exception) -> dict[str, Any]:
    return record | {"error": {"errorCode": code, "errorMessage": str(err)[:_MOST_MESSAGE]}}


def _refused(record: dict[str, Any], model_id: str, err: Exception, advice: str) -> OnDemandRefused:
    return OnDemandRefused(
        f"Bedrock refused to answer record {record['recordId']} on demand with {model_id}: {err}. The record is not "
        f"the cause, and nothing is lost: all answers so far are kept. {advice}. Then redrive the execution: it sends "
        "only records without an answer. If the model cannot be called on demand, start a new run with "
        "limits.on_demand_tail false and without limits.canary_records."
    )


def _status(err: ClientError) -> int:
    return int(err.response["ResponseMetadata"]["HTTPStatusCode"])


def _is_of_the_record(err: ClientError) -> bool:
    """Return whether an error is about this record: its body, the model's work on it, or the moment of the call."""
    status = _status(err)
    if status == _BAD_REQUEST:
        about_body = err.response["Error"]["Code"] in _JUDGES_THE_BODY
        return about_body and not _JUDGES_THE_ACCOUNT.search(err.response["Error"].get("Message", ""))
    return status in (_TOO_LARGE, _MODEL_ERROR) or is_leftover("failed", str(status))


def _is_of_the_sdk(err: ParamValidationError) -> bool:
    """Return whether the only error is that the SDK does not know a parameter. A wrong value is the record's error."""
    lines = [line for line in str(err.kwargs["report"]).split("\n") if line]
    return all(line.startswith("Unknown parameter in ") for line in lines)


def _is_of_the_tier(err: ClientError | ParamValidationError) -> bool:
    """Return whether the service tier was refused, by Bedrock, by a policy, or by an SDK that does not know it."""
    if isinstance(err, ParamValidationError):
        return 'Unknown parameter in input: "serviceTier"' in str(err.kwargs["report"])
    return _status(err) in _MAY_REFUSE_A_TIER and bool(_NAMES_THE_TIER.search(err.response["Error"].get("Message", "")))


class _Unreadable(Exception):
    """The model's answer cannot be read. It is paid."""


def _loaded(body: bytes) -> Any:
    """Decode an answer. Raises _Unreadable if it could not be encoded again."""
    try:
        output = json.loads(body)
        json.dumps(output)
    except (ValueError, RecursionError) as err:
        raise _Unreadable(f"the model's answer is not readable JSON: {err}") from err
    return output


def _with_bytes(value: Any) -> Any:
    """Return a Converse body for the SDK: media are base64 in a record, but bytes for the SDK."""
    if isinstance(value, list):
        return [_with_bytes(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(member) if key == "bytes" and isinstance(member, str) else _with_bytes(member)
        for key, member in value.items()
    }


def to_line(line: dict[str, Any]) -> bytes:
    # ASCII, because JSON may have half of a surrogate pair, which UTF-8 cannot hold, and the answer is paid.
    return json.dumps(line, separators=(",", ":"), default=_as_text).encode() + b"\n"


def _as_text(value: object) -> str:
    """Return bytes (such as redacted reasoning) as base64, as in Bedrock's JSON."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"an answer cannot have a {type(value).__name__}")
