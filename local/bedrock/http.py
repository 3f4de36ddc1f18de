"""The HTTP side of the stand-in: the paths of Bedrock, of its runtime, and of the admin interface."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from local.bedrock import admin, runtime
from local.bedrock.service import ApiError, Service

Headers = dict[str, str]
Query = dict[str, list[str]]
Response = tuple[int, Headers, bytes]
Handler = Callable[[str, str, Headers, bytes, Query], Awaitable[Response]]

ADMIN_PATH = "/_local/bedrock"
_JOB = re.compile(r"/model-invocation-job/(.+?)(/stop)?")
_PROFILE = re.compile(r"/inference-profiles/(.+)")
_MODEL = re.compile(r"/model/(.+)/(invoke|converse)")


def install(app: Any, service: Service) -> None:
    """Wrap the engine's handlers, its admin routes and its reset."""
    for name, route in (("bedrock", _batch), ("bedrock-runtime", _on_demand)):
        app.SERVICE_HANDLERS[name] = _wrapped(app.SERVICE_HANDLERS[name], route, service)

    engines_shortcuts = app._handle_post_body_shortcuts

    async def shortcuts(
        method: str, path: str, headers: Headers, body: bytes, query: Query, request_id: str
    ) -> Response | None:
        if path == ADMIN_PATH:
            return await asyncio.to_thread(_answer, lambda: admin.handle(service, method, body, query))
        answer: Response | None = await engines_shortcuts(method, path, headers, body, query, request_id)
        return answer

    app._handle_post_body_shortcuts = shortcuts

    engines_reset = app._reset_all_state

    def reset() -> None:
        service.reset()
        engines_reset()

    app._reset_all_state = reset


Route = Callable[[Service, str, str, Headers, bytes, Query], Callable[[], Any] | None]


def _wrapped(engines_own: Handler, route: Route, service: Service) -> Handler:
    async def handle(method: str, path: str, headers: Headers, body: bytes, query: Query) -> Response:
        action = route(service, method, path, headers, body, query)
        if action is None:
            return await engines_own(method, path, headers, body, query)
        # In a thread: an action sends events, and so may start Lambda functions and executions.
        return await asyncio.to_thread(_answer, action)

    return handle


def _batch(
    service: Service, method: str, path: str, headers: Headers, body: bytes, query: Query
) -> Callable[[], Any] | None:
    """Return the action behind a request to the control plane, or None if the engine has it."""
    if (method, path) == ("POST", "/model-invocation-job"):
        return lambda: service.create(_document(body), headers)
    if (method, path) == ("GET", "/model-invocation-jobs"):
        return lambda: service.list_jobs(_parameters(query))
    if (method, path) == ("POST", "/inference-profiles"):
        return lambda: (201, _json(), json.dumps(service.create_profile(_document(body))).encode())
    if method == "GET" and (match := _PROFILE.fullmatch(path)):
        profile = unquote(match[1])
        return lambda: service.get_profile(profile)
    if match := _JOB.fullmatch(path):
        job, stop = unquote(match[1]), match[2]
        if (method, stop) == ("GET", None):
            return lambda: service.get(job)
        if method == "POST" and stop:
            return lambda: service.stop(job)
    return None


def _on_demand(
    service: Service, method: str, path: str, headers: Headers, body: bytes, query: Query
) -> Callable[[], Any] | None:
    match = _MODEL.fullmatch(path)
    if method != "POST" or match is None:
        return None
    model_id, operation = unquote(match[1]), match[2]
    return lambda: runtime.call(service, model_id, operation, _document(body), headers)


def _answer(action: Callable[[], Any]) -> Response:
    """Run an action; its result is a document, or a finished response."""
    try:
        result = action()
    except ApiError as error:
        return error.status, _json() | {"x-amzn-ErrorType": error.name}, json.dumps({"message": str(error)}).encode()
    if isinstance(result, tuple):
        return result
    return 200, _json(), json.dumps(result).encode()


def _json() -> Headers:
    return {"Content-Type": "application/json"}  # a new one each time: the engine adds to it


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError as error:
        raise ApiError("ValidationException", f"The body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ApiError("ValidationException", "The body must be a JSON object.")
    return document


def _parameters(query: Query) -> dict[str, Any]:
    """Return the query as the members of a request; maxResults is a number."""
    parameters: dict[str, Any] = {name: values[0] for name, values in query.items()}
    if "maxResults" in parameters:
        try:
            parameters["maxResults"] = int(parameters["maxResults"])
        except ValueError as error:
            raise ApiError("ValidationException", "maxResults must be a number.") from error
    return parameters
