"""Faults of services other than Bedrock: S3, DynamoDB, Lambda and Step Functions fail a call if a rule asks for it.

A rule fails a call before the call has any effect. With `after`, it fails the call after its effect: the caller gets an
error, but the work was done. To the caller this looks like a lost answer, or a function that died before it answered.
`local/README.md` has the members of a rule.
"""

import base64
import json
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ministack.services import stepfunctions

Query = dict[str, list[str]]
Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, Query], Awaitable[Answer]]

ADMIN_PATH = "/_local/faults"
_KEYS = {"service", "operation", "contains", "error", "times", "after"}
_OF_A_FUNCTION = 200  # If a function fails, the call of Lambda itself succeeds.
_ERRORS = {
    "s3": {"SlowDown": 503, "ServiceUnavailable": 503, "InternalError": 500, "ConditionalRequestConflict": 409},
    "dynamodb": {
        "ThrottlingException": 400,
        "ProvisionedThroughputExceededException": 400,
        "InternalServerError": 500,
    },
    "lambda": {
        "ServiceException": 500,
        "TooManyRequestsException": 429,
        "Runtime.ExitError": _OF_A_FUNCTION,
        "Runtime.OutOfMemory": _OF_A_FUNCTION,
        "Sandbox.Timedout": _OF_A_FUNCTION,
    },
    "states": {"ThrottlingException": 400, "InternalServerError": 500},
}


@dataclass(slots=True)
class _Call:
    """A request for the rules: the operation, and the text in which `contains` is searched."""

    operation: str
    text: str


@dataclass(slots=True)
class Faults:
    """The rules in force, and how often each has fired."""

    rules: Sequence[Mapping[str, Any]] = ()
    fired: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def replace(self, rules: Any) -> None:
        """Replace all rules. Raises ValueError for a rule that could never fire."""
        if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
            raise ValueError("faults must be a list of objects.")
        for rule in rules:
            _check(rule)
        with self._lock:
            self.rules, self.fired = rules, [0] * len(rules)

    def take(self, service: str, call: _Call) -> Mapping[str, Any] | None:
        """Return the first rule that matches the call and may still fire, and count it."""
        with self._lock:
            for index, rule in enumerate(self.rules):
                if self.fired[index] < rule.get("times", 1) and _meets(rule, service, call):
                    self.fired[index] += 1
                    return rule
        return None

    def give_back(self, rule: Mapping[str, Any]) -> None:
        """Take back the count for a call that failed for another reason."""
        with self._lock:
            for index, known in enumerate(self.rules):
                if known is rule:
                    self.fired[index] -= 1

    def shown(self) -> dict[str, Any]:
        """Return every rule with the number of calls that it has failed."""
        with self._lock:
            pairs = zip(self.rules, self.fired, strict=True)
            return {"faults": [{**rule, "fired": fired} for rule, fired in pairs]}


def install(app: Any) -> None:
    """Put the faults before the engine's handlers. Call this after all other repairs are installed."""
    faults = Faults()
    for service in _ERRORS:
        app.SERVICE_HANDLERS[service] = _failing(service, app.SERVICE_HANDLERS[service], faults)

    engines_shortcuts = app._handle_post_body_shortcuts

    async def shortcuts(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Query, request_id: str
    ) -> Answer | None:
        if path == ADMIN_PATH:
            return _administer(faults, method, body)
        answer: Answer | None = await engines_shortcuts(method, path, headers, body, query, request_id)
        return answer

    app._handle_post_body_shortcuts = shortcuts

    engines_reset = app._reset_all_state

    def reset() -> None:
        faults.replace([])
        engines_reset()

    app._reset_all_state = reset


def _failing(service: str, engines_own: Handler, faults: Faults) -> Handler:
    read = _READERS[service]

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: Query) -> Answer:
        rule = faults.take(service, read(method, path, headers, body, query)) if faults.rules else None
        if rule is None:
            return await engines_own(method, path, headers, body, query)
        if rule.get("after"):
            status, its_headers, its_body = await engines_own(method, path, headers, body, query)
            if status >= 300 or "X-Amz-Function-Error" in its_headers:
                faults.give_back(rule)
                return status, its_headers, its_body
        return _error(service, rule["error"])

    return handle


def _administer(faults: Faults, method: str, body: bytes) -> Answer:
    content = {"Content-Type": "application/json"}
    try:
        if method == "POST":
            faults.replace(json.loads(body or b"{}").get("faults"))
    except (ValueError, AttributeError) as error:
        return 400, content, json.dumps({"message": str(error)}).encode()
    return 200, content, json.dumps(faults.shown()).encode()


def _check(rule: Mapping[str, Any]) -> None:
    if unknown := rule.keys() - _KEYS:
        raise ValueError(f"faults: unknown {', '.join(sorted(unknown))}. Known: {', '.join(sorted(_KEYS))}.")
    errors = _ERRORS.get(rule.get("service", ""))
    if errors is None:
        raise ValueError(f"faults: service must be one of {', '.join(_ERRORS)}.")
    if rule.get("error") not in errors:
        raise ValueError(f"faults: error of {rule['service']} must be one of {', '.join(errors)}.")


def _meets(rule: Mapping[str, Any], service: str, call: _Call) -> bool:
    wanted = rule.get("contains", [])
    return (
        rule["service"] == service
        and rule.get("operation", call.operation) == call.operation
        and all(text in call.text for text in ([wanted] if isinstance(wanted, str) else wanted))
    )


def _error(service: str, code: str) -> Answer:
    """Return the service's answer for this error code."""
    status, message = _ERRORS[service][code], "Failed by a fault rule."
    if service == "s3":
        body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
        return status, {"Content-Type": "application/xml"}, body.encode()
    if status == _OF_A_FUNCTION:
        error = {"errorType": code, "errorMessage": message}
        headers = {"Content-Type": "application/json", "X-Amz-Function-Error": "Unhandled"}
        return status, headers, json.dumps(error).encode()
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": code}
    return status, headers, json.dumps({"__type": code, "message": message}).encode()


def _read_s3(method: str, path: str, headers: dict[str, str], body: bytes, query: Query) -> _Call:
    path = unquote(path)
    if not path.strip("/").partition("/")[2]:
        operation = "ListObjectsV2" if method == "GET" and "list-type" in query else f"{method} bucket"
    elif "uploads" in query:
        operation = "CreateMultipartUpload"
    elif "uploadId" in query:
        by_method = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
        operation = by_method.get(method, "ListParts")
    else:
        operation = f"{method.capitalize()}Object"
    return _Call(operation, " ".join([path, *query.get("prefix", [])]))


def _read_lambda(method: str, path: str, headers: dict[str, str], body: bytes, query: Query) -> _Call:
    operation = "Invoke" if path.endswith("/invocations") else method
    return _Call(operation, f"{unquote(path)} {body.decode(errors='replace')}")


def _read_json(method: str, path: str, headers: dict[str, str], body: bytes, query: Query) -> _Call:
    text = body.decode(errors="replace")
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    if operation.startswith("SendTask"):
        text += _input_behind(json.loads(text).get("taskToken", ""))
    return _Call(operation, text)


def _input_behind(token: str) -> str:
    """Return the input of the execution that waits for a task token. (The token itself does not contain the job.)"""
    try:
        arn = json.loads(base64.urlsafe_b64decode(token))[0]
    except (ValueError, IndexError):
        return ""
    return str(stepfunctions._executions.get(arn, {}).get("input", ""))


_READERS: dict[str, Callable[[str, str, dict[str, str], bytes, Query], _Call]] = {
    "s3": _read_s3,
    "dynamodb": _read_json,
    "lambda": _read_lambda,
    "states": _read_json,
}
