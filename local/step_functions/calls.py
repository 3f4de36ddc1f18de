"""The AWS calls of states, built and read with botocore's models.

MiniStack's `aws-sdk` integrations know 25 services (no Bedrock, no S3 objects), let unknown parameters pass and name
errors in their own way. Here any service that botocore knows can be called, members have the Java SDK's names as on
AWS, and a parameter that the model does not have is refused.
"""

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.awsrequest import HeadersDict
from botocore.exceptions import UnknownServiceError
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.session import get_session
from botocore.validate import ParamValidator
from ministack.services import stepfunctions as engine

from .errors import StateError
from .gateway import send
from .payload import dump

_BOTOCORE_NAMES = {"sfn": "stepfunctions", "eventbridge": "events", "cloudwatchlogs": "logs"}
_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")


class ServiceError(StateError):
    """An error that a service answers. `code` is its code in the service's model, or None if the model has none."""

    def __init__(self, service: str, code: str | None, message: str) -> None:
        name = code if code is None or code.endswith("Exception") else f"{code}Exception"
        super().__init__(f"{service}.{name or f'{service}Exception'}", message)
        self.code = name


async def call(service: str, action: str, arguments: Any, role_arn: str, *, wire_names: bool = False) -> dict[str, Any]:
    """Call an action of a service, named as in `aws-sdk:<service>:<action>`, and return its answer.

    The names of arguments and answers are the Java SDK's, or with `wire_names` the API's own. Binary answers become
    text if possible. Raises ServiceError, or StateError States.Runtime for a call that no SDK would send.
    """
    model = _model(service)
    name = action[:1].upper() + action[1:]
    if name not in model.operation_names or action[:1].isupper():
        raise _refused(f"The service '{service}' has no action '{action}'.")
    operation = model.operation_model(name)
    if operation.has_event_stream_output:
        raise _refused(f"'{service}:{action}' answers an event stream, which Step Functions does not support.")
    parameters = _to_wire(arguments, operation.input_shape, wire_names, "Arguments") if operation.input_shape else {}
    if operation.input_shape:
        report = ParamValidator().validate(parameters, operation.input_shape)
        if report.has_errors():
            raise _refused(f"{service}:{action}: {report.generate_report()}")
    # Of several, the one that botocore's clients use. `model.protocol` may be CBOR, which MiniStack takes for empty.
    protocol = model.resolved_protocol
    request = create_serializer(protocol, include_validation=False).serialize_to_request(parameters, operation)
    status, headers, body = await send(request, model.signing_name, role_arn)
    answer = create_parser(protocol).parse(
        {"status_code": status, "headers": HeadersDict(headers), "body": body, "context": {}}, operation.output_shape
    )
    if status >= 300:
        raise _service_error(model, status, answer)
    return _from_wire(answer, operation.output_shape, wire_names) if operation.output_shape else {}


@cache
def _model(service: str) -> Any:
    session = get_session()
    names = {name.replace("-", ""): name for name in session.get_available_services()}
    name = _BOTOCORE_NAMES.get(service) or names.get(service)
    try:
        model = session.get_service_model(name) if name else None
    except UnknownServiceError:
        model = None
    if model is None or _prefix(model).lower() != service:
        raise _refused(f"The service '{service}' is not supported by Step Functions.")
    return model


def _prefix(model: Any) -> str:
    return _sdk_name(str(model.service_id))


def _sdk_name(name: str) -> str:
    """Return a name as the Java SDK writes it: words capitalized, acronyms too (DynamoDB is DynamoDb)."""
    return "".join(word.capitalize() for word in _WORD.findall(name))


@cache
def _sdk_names(shape: str, members: tuple[str, ...]) -> dict[str, str]:
    """Map the Java SDK's member names of a structure to the API's."""
    special = engine._SDK_MEMBER_NAME_OVERRIDES
    return {special.get((shape, name)) or _sdk_name(name): name for name in members}


def _names(shape: Any, wire_names: bool) -> dict[str, str]:
    if wire_names:
        return {name: name for name in shape.members}
    return _sdk_names(shape.name, tuple(shape.members))


def _to_wire(value: Any, shape: Any, wire_names: bool, path: str) -> Any:
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict) and not getattr(shape, "is_document_type", False):
        names = _names(shape, wire_names)
        unknown = [key for key in value if key not in names]
        if unknown:
            raise _refused(
                f"The field '{path}.{unknown[0]}' is not supported by Step Functions. "
                f"Supported here: {', '.join(names)}."
            )
        return {
            names[key]: _to_wire(item, shape.members[names[key]], wire_names, f"{path}.{key}")
            for key, item in value.items()
        }
    if kind == "list" and isinstance(value, list):
        return [_to_wire(item, shape.member, wire_names, f"{path}[{i}]") for i, item in enumerate(value)]
    if kind == "map" and isinstance(value, dict):
        return {key: _to_wire(item, shape.value, wire_names, f"{path}.{key}") for key, item in value.items()}
    if kind == "blob" and not isinstance(value, bytes):
        return (value if isinstance(value, str) else dump(value)).encode()
    return value


def _from_wire(value: Any, shape: Any, wire_names: bool) -> Any:
    kind = shape.type_name
    if kind == "structure" and isinstance(value, Mapping) and not getattr(shape, "is_document_type", False):
        return {
            key: _from_wire(value[name], shape.members[name], wire_names)
            for key, name in _names(shape, wire_names).items()
            if value.get(name) is not None
        }
    if kind == "list" and isinstance(value, list):
        return [_from_wire(item, shape.member, wire_names) for item in value]
    if kind == "map" and isinstance(value, Mapping):
        return {key: _from_wire(item, shape.value, wire_names) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return value


def _service_error(model: Any, status: int, answer: dict[str, Any]) -> ServiceError:
    error = answer.get("Error", {})
    code = error.get("Code")
    # On AWS, an error has its own name if the service's model has it. If not, it has the service's base name.
    modelled = {shape.error_code or shape.name for shape in model.error_shapes} | {s.name for s in model.error_shapes}
    prefix = _prefix(model)
    message = f"{error.get('Message') or code} (Service: {prefix}, Status Code: {status})"
    return ServiceError(prefix, code if code in modelled else None, message)


def _refused(cause: str) -> StateError:
    return StateError("States.Runtime", cause)
