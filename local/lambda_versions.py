"""Repairs of MiniStack's published versions of a Lambda function.

In MiniStack, a version that a create or an update publishes has the function's ARN, not its own, and the next
PublishVersion makes another version of the same code. Versions do not share their function's reserved concurrency. For
a version, GetFunction offers the code of `$LATEST`.
"""

import json
from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc

Record = dict[str, Any]  # MiniStack's record of a function or of a version, with its "config"
Answer = tuple[int, dict[str, str], bytes]

_CHANGES_ALONE = {
    "FunctionArn",
    "Version",
    "RevisionId",
    "LastModified",
    "State",
    "StateReason",
    "StateReasonCode",
    "LastUpdateStatus",
    "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
}
"""Members of a configuration that differ between a version and its function."""


def install() -> None:
    """Put the repairs into the engine."""
    lambda_svc._publish_version = _unless_unchanged(lambda_svc._publish_version)
    lambda_svc._create_function = _publishing(lambda_svc._create_function, lambda data: data["FunctionName"])
    lambda_svc._update_code = _publishing_update(lambda_svc._update_code)
    lambda_svc._reserved_concurrency = _of_the_function(lambda_svc._reserved_concurrency)
    lambda_svc._get_function = _offering_own_code(lambda_svc._get_function)
    lambda_svc.serve_function_code = _of_a_version(lambda_svc.serve_function_code)


# --- Publishing ---


def _unless_unchanged(publish: Callable[..., Answer]) -> Callable[..., Answer]:
    """Do not publish a second version of the same code and configuration."""

    def publishing(name: str, data: dict[str, Any]) -> Answer:
        function = lambda_svc._functions.get(name)
        versions = (function or {}).get("versions")
        if versions:
            latest = versions[max(versions, key=int)]
            same = _content(latest["config"]) == _content(function["config"])
            latest["function_revision"] = function["config"]["RevisionId"] if same else None
        return publish(name, data)

    return publishing


def _content(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in _CHANGES_ALONE}


def _publishing(create: Callable[[dict[str, Any]], Answer], name_of: Callable[[dict[str, Any]], str]) -> Any:
    def creating(data: dict[str, Any]) -> Answer:
        answer = create({**data, "Publish": False})
        return lambda_svc._publish_version(name_of(data), {}) if data.get("Publish") and answer[0] < 300 else answer

    return creating


def _publishing_update(update: Callable[[str, dict[str, Any]], Answer]) -> Any:
    def updating(name: str, data: dict[str, Any]) -> Answer:
        answer = update(name, {**data, "Publish": False})
        if not data.get("Publish") or answer[0] >= 300:
            return answer
        return 200, *lambda_svc._publish_version(name, {})[1:]

    return updating


# --- Properties of a version ---


def _of_the_function(reserved: Callable[[Record, dict[str, Any]], int | None]) -> Any:
    """Read the reserved concurrency from the function, because its versions share it."""

    def reading(record: Record, config: dict[str, Any]) -> int | None:
        function = lambda_svc._functions.get(config.get("FunctionName"))
        return reserved(function or record, config)

    return reading


def _offering_own_code(get: Callable[..., Answer]) -> Any:
    def getting(name: str, qualifier: str | None = None) -> Answer:
        status, headers, body = get(name, qualifier)
        if status != 200 or not qualifier:
            return status, headers, body
        document = json.loads(body)
        version = document["Configuration"]["Version"]
        document["Code"]["Location"] = document["Code"]["Location"].replace(f"/{name}?", f"/{name}:{version}?")
        answer: Answer = lambda_svc.json_response(document)
        return answer

    return getting


def _of_a_version(serve: Callable[..., Answer]) -> Any:
    def serving(name: str, account_id: str | None = None, region: str | None = None) -> Answer:
        function, _, version = name.partition(":")
        if not version or version == "$LATEST" or account_id is None:
            return serve(function, account_id=account_id, region=region)
        record = (lambda_svc._functions.get_scoped(account_id, region, function) or {}).get("versions", {}).get(version)
        if record is None:
            return 404, {"Content-Type": "text/plain"}, b"Function not found"
        return 200, {"Content-Type": "application/zip"}, record.get("code_zip") or b""

    return serving
