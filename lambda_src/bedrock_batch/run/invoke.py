"""One record on demand: the same body, model and invocation type as in a batch, the answer in the batch's format.

An error is the record's own, and ends it, only where the model or Bedrock judged this record. All else, such as a
missing permission, a model that is gone or an SDK that is too old, would be the same for every record: it is raised.

A refusal of the service tier is raised too: the same call without a tier may be answered.
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
"""The SDK repeats a value of the wrong type, which may be a whole image."""

_TIMED_OUT = 408
_BAD_REQUEST = 400
_TOO_LARGE = 413
_MODEL_ERROR = 424
_NO_CAPACITY = (429, 503)

_JUDGES_THE_BODY = {"ValidationException", "SerializationException"}
"""The errors with status 400 that are about the body. Others are about quotas or signatures."""

_JUDGES_THE_ACCOUNT = re.compile(
    r"operation not allowed|account is not authorized|not allowed from unsupported|on-demand throughput"
    r"|model identifier is invalid|data retention mode",
    re.IGNORECASE,
)
"""Bedrock says these things about model and account in a ValidationException too."""

_NAMES_THE_TIER = re.compile(
    r"service[ _-]?tier|\btier\b.{0,40}\bflex\b|\bflex\b.{0,40}\btier\b", re.IGNORECASE | re.DOTALL
)
_MAY_REFUSE_A_TIER = (_BAD_REQUEST, 403)
"""The statuses of a request, or of a policy, that does not allow a tier. Others are about the moment or the model."""

_ACCESS = (
    "See that the account has access to the model, which may need a subscription in AWS Marketplace and, for models "
    "of Anthropic, the use case form, that the model is still offered, and that the role of answer_on_demand may "
    "call it"
)
_SDK = (
    "The SDK of the function answer_on_demand does not know this parameter. Give the function a newer SDK; where the "
    "parameter is a mistake, start a new run without it"
)


class TierRefused(Exception):
    """The call's service tier was refused, and nothing else is said about the record. Nothing is paid."""


def answer(
    client: Any, record: dict[str, Any], *, model_id: str, invocation_type: InvocationType, tier: str | None = None
) -> dict[str, Any]:
    """Return the record's output line: with `modelOutput`, or with `error` where the model refused it.

    Beside an answer stands its `serviceTier`, where the answer names one. With `tier` the call asks for that one,
    unless the record's body asks for a tier itself; without it the request is as it is in a batch.

    `client` retries throttled calls; if the last retry is throttled too, that is an error of the record, so that the
    others of its chunk go on. Network errors are raised.

    Raises:
        OnDemandRefused: the record is not at fault, so it can be sent again later.
        TierRefused: the tier is at fault.
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
    except ValueError as err:  # media that are not base64
        return _failed(record, _BAD_REQUEST, err)
    except ReadTimeoutError as err:
        return _failed(record, _TIMED_OUT, err)
    except _Unreadable as err:
        return _failed(record, RowError.UNPARSEABLE, err)
    except NETWORK:  # these pass: the state machine calls the function again
        raise
    except BotoCoreError as err:  # no credentials, no Region, no endpoint
        raise _refused(record, model_id, err, _ACCESS) from err
    return record | {"modelOutput": output} | ({"serviceTier": named} if named else {})


def is_throttled(line: Mapping[str, Any]) -> bool:
    """Tell whether a record's output line says that there was no capacity for it at this moment."""
    return line.get("error", {}).get("errorCode") in _NO_CAPACITY


def _converse(client: Any, model_id: str, body: Any, tier: str | None) -> tuple[dict[str, Any], str | None]:
    """Return the model's output, and the service tier that the answer names."""
    asked = {"serviceTier": {"type": tier}} if tier else {}
    output = client.converse(**{**_with_bytes(body), **asked, "modelId": model_id})
    output.pop("ResponseMetadata", None)
    return output, (output.pop("serviceTier", None) or {}).get("type")


def _invoke(client: Any, model_id: str, body: Any, tier: str | None) -> tuple[Any, str | None]:
    """Do the same as `_converse` with the model's own body."""
    asked = {"serviceTier": tier} if tier else {}
    answered = client.invoke_model(modelId=model_id, body=json.dumps(body).encode(), **asked)
    return _loaded(answered["body"].read()), answered.get("serviceTier")


def _asks_for_a_tier(body: Any) -> bool:
    """Tell whether a body has a tier of its own: Converse's member, or that of models with the shape of OpenAI's."""
    return isinstance(body, dict) and ("serviceTier" in body or "service_tier" in body)


def _refusal(record: dict[str, Any], model_id: str, err: ClientError | ParamValidationError) -> dict[str, Any]:
    """Return the output line of a record that was refused. Raises OnDemandRefused where it is not at fault."""
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
        f"The call on demand of {model_id} for record {record['recordId']} was refused: {err}. The record is not at "
        f"fault, and nothing is lost: answers that are there are kept. {advice}. Then redrive the execution: it asks "
        "the records that have no answer. Where the model cannot be called on demand, start a new run with "
        "limits.on_demand_tail false and without limits.canary_records."
    )


def _status(err: ClientError) -> int:
    return int(err.response["ResponseMetadata"]["HTTPStatusCode"])


def _is_of_the_record(err: ClientError) -> bool:
    """Return whether an error is about this record: its body, the model's work on it, or the moment it was sent."""
    status = _status(err)
    if status == _BAD_REQUEST:
        about_body = err.response["Error"]["Code"] in _JUDGES_THE_BODY
        return about_body and not _JUDGES_THE_ACCOUNT.search(err.response["Error"].get("Message", ""))
    return status in (_TOO_LARGE, _MODEL_ERROR) or is_leftover("failed", str(status))


def _is_of_the_sdk(err: ParamValidationError) -> bool:
    """Return whether the SDK only does not know a parameter; a wrong type or value is an error of the record."""
    lines = [line for line in str(err.kwargs["report"]).split("\n") if line]
    return all(line.startswith("Unknown parameter in ") for line in lines)


def _is_of_the_tier(err: ClientError | ParamValidationError) -> bool:
    """Return whether the service tier was refused: by Bedrock, by a policy, or by an SDK that does not know it."""
    if isinstance(err, ParamValidationError):
        return 'Unknown parameter in input: "serviceTier"' in str(err.kwargs["report"])
    return _status(err) in _MAY_REFUSE_A_TIER and bool(_NAMES_THE_TIER.search(err.response["Error"].get("Message", "")))


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
