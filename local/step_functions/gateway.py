"""Send requests of states to the gateway, within the process but through the gateway's application.

MiniStack's integrations call service functions directly, without IAM. With requests to the application, `AUTH=true`
checks every call of a state against the policies of the machine's role. Without sockets, thousands of calls are faster.
"""

import asyncio
import hashlib
import json
import os
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.credentials import Credentials
from ministack import app
from ministack.core.iam_evaluator import _service_principal_matches
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, sts

from local.roles import lacks

from .errors import StateError

_unfinished: set[asyncio.Task[None]] = set()  # Calls whose state stopped waiting. The loop has only weak references.


async def send(request: dict[str, Any], signing_name: str, role_arn: str) -> tuple[int, dict[str, str], bytes]:
    """Send a request from a botocore serializer; return status, headers and body of the answer."""
    ready = _signed(request, signing_name, role_arn)
    url = urlsplit(ready.url)
    body = ready.body.encode() if isinstance(ready.body, str) else ready.body or b""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": ready.method,
        "client": ("127.0.0.1", 0),
        "path": unquote(url.path),
        "raw_path": url.path.encode(),
        "query_string": url.query.encode(),
        "headers": [
            (b"host", url.netloc.encode()),
            *((k.lower().encode(), v if isinstance(v, bytes) else str(v).encode()) for k, v in ready.headers.items()),
        ],
    }
    answer: dict[str, Any] = {"body": []}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def respond(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.update(status=message["status"], headers=message["headers"])
        else:
            answer["body"].append(message.get("body", b""))

    # A separate task: if a state times out or is stopped, its call goes on, as on AWS. And the gateway's context
    # variables about the caller do not get into the execution.
    task = asyncio.ensure_future(app.app(scope, receive, respond))
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
    await asyncio.shield(task)
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in answer["headers"]}
    return answer["status"], headers, b"".join(answer["body"])


def _signed(request: dict[str, Any], signing_name: str, role_arn: str) -> Any:
    """Return the request of HTTP, signed with the role's credentials if the engine checks permissions."""
    prepare_request_dict(
        request,
        endpoint_url=f"http://127.0.0.1:{os.environ.get('GATEWAY_PORT', '4566')}",
        user_agent="AWS-StepFunctions",
    )
    draft = create_request_object(request)
    if app.AUTH:
        signer = S3SigV4Auth if signing_name == "s3" else SigV4Auth
        signer(_credentials(role_arn), signing_name, get_region()).add_auth(draft)
    else:  # Only the names in the header are read then, and a signature would take a fifth of a call's time.
        scope_names = f"{get_account_id()}/20260101/{get_region()}/{signing_name}/aws4_request"
        draft.headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope_names}, SignedHeaders=, Signature="
    return draft.prepare()


def check_role(role_arn: str, action: str, resource: str) -> None:
    """Refuse an action that the machine's role may not do, for actions without a call through the gateway."""
    if lacks(role_arn, [(action, resource, {})]):
        raise StateError("States.Runtime", f"{role_arn} is not authorized to perform: {action} on resource: {resource}")


def _credentials(role_arn: str) -> Credentials:
    """Return the credentials of a session of the machine's role."""
    account = get_account_id()
    role = role_arn.rsplit("/", 1)[-1]
    if not _trusts_states(iam._roles.get(role) or {}):
        raise StateError("States.Runtime", f"states.amazonaws.com is not authorized to assume the role {role_arn}.")
    digest = hashlib.sha256(f"states:{role_arn}".encode()).hexdigest()
    session = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/states",
        "UserId": f"{role}:states",
        "SecretAccessKey": digest,
        "SessionToken": digest,
    }
    key = f"ASIA{digest[:16].upper()}"
    sts.register_session(key, session)
    return Credentials(key, digest, digest)


def _trusts_states(role: dict[str, Any]) -> bool:
    trust = json.loads(role.get("AssumeRolePolicyDocument") or "{}").get("Statement", [])
    return any(
        statement.get("Effect") == "Allow"
        and _service_principal_matches(statement.get("Principal"), "states.amazonaws.com")
        for statement in (trust if isinstance(trust, list) else [trust])
    )
