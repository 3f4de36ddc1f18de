"""Repairs of MiniStack's Lambda, and of EventBridge's delivery to its targets. The gaps in MiniStack are these.

Lambda: every error of a handler has the name `Runtime.HandlerError` and no stack trace, so no `Catch` in a state
machine can distinguish errors. After an error, the function's warm worker ends. What a function logs through `logging`
is lost. Asynchronous calls count a throttle as a failed attempt. A dead-letter queue gets an envelope, not the event.

EventBridge: a Lambda target is called only once, without a retry and without a queue for failed events. Events for a
target that does not exist are lost.
"""

import contextvars
import json
import logging
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.core import lambda_runtime
from ministack.core.arn import parse_arn
from ministack.services import eventbridge, lambda_svc, sns, sqs, stepfunctions

from . import lambda_logs

logger = logging.getLogger("lambda-ext")

Record = dict[str, Any]  # MiniStack's record of a function, with its "config"
Result = dict[str, Any]  # what an invocation returns: "body", "error", "log", "throttle"

_THROTTLE_SECONDS = 0.1  # AWS begins with a second
_THROTTLE_MAX_SECONDS = 0.5

# What the last invocation on this thread raised. It is kept here, because MiniStack drops unknown members of an answer.
_raised: ContextVar[dict[str, Any] | None] = ContextVar("raised", default=None)
# The target that an event is on its way to, for its dead-letter queue.
_delivery: ContextVar[tuple[dict[str, Any], str, str] | None] = ContextVar("delivery", default=None)


def install(app: Any) -> None:
    """Put the repairs into the engine."""
    _repair_worker()
    lambda_runtime.Worker.__init__ = lambda_logs.with_settings(lambda_runtime.Worker.__init__)
    lambda_runtime.Worker.invoke = _noting_errors(lambda_runtime.Worker.invoke)
    lambda_svc._execute_function_warm = _with_error_payload(lambda_svc._execute_function_warm)
    lambda_svc.invoke_async_with_retry = invoke_async
    eventbridge._invoke_target = _noting_target(eventbridge._invoke_target)
    eventbridge._dispatch_to_lambda = _to_lambda
    eventbridge._dispatch_to_stepfunctions = _to_step_functions


# --- Errors of a handler ---

_INIT_ERROR = """
        _real_stdout.write(json.dumps({"status": "error", "error": str(e)}) + "\\n")
"""
_INIT_ERROR_NAMED = """
        _ms_import = isinstance(e, ImportError)
        _real_stdout.write(json.dumps({"status": "error", "error": json.dumps({
            "errorType": "Runtime.ImportModuleError" if _ms_import else type(e).__name__,
            "errorMessage": ("Unable to import module '%s': %s" % (module_name, e)) if _ms_import else str(e),
        })}) + "\\n")
"""
_CALL = (
    """
        try:
            result = handler_fn(event, context)
            _real_stdout.write(json.dumps({"status": "ok", "result": result}) + "\\n")
        except Exception as e:
            _real_stdout.write(json.dumps("""
    """{"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\\n")
"""
)
# The status is "ok" even if the function raised: after an "error" MiniStack ends the process, but Lambda keeps it.
_CALL_NAMED = """
        try:
            result = handler_fn(event, context)
        except Exception as e:
            _ms_answer = json.dumps({"status": "ok", "raised": {
                "errorMessage": str(e), "errorType": type(e).__name__, "requestId": context.aws_request_id,
                "stackTrace": traceback.format_tb(e.__traceback__)[1:],
            }, "trace": traceback.format_exc()})
        else:
            try:
                _ms_answer = json.dumps({"status": "ok", "result": result})
            except Exception as e:
                _ms_answer = json.dumps({"status": "ok", "raised": {
                    "errorMessage": "Unable to marshal response: " + str(e),
                    "errorType": "Runtime.MarshalError",
                    "requestId": context.aws_request_id, "stackTrace": [],
                }, "trace": ""})
        _real_stdout.write(_ms_answer + "\\n")
"""

_START = """    os.environ.update(env)
"""
# Lambda's runtime puts a handler on the root logger; without one a function's log lines go nowhere.
_START_LOGGING = _START + lambda_logs.START


def _repair_worker() -> None:
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    for found, named in ((_START, _START_LOGGING), (_INIT_ERROR, _INIT_ERROR_NAMED), (_CALL, _CALL_NAMED)):
        if script.count(found) != 1:
            raise RuntimeError("The Lambda worker of this MiniStack is not the one that local/lambda_ext.py repairs.")
        script = script.replace(found, named)
    lambda_runtime._PYTHON_WORKER_SCRIPT = script


def _noting_errors(invoke: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def noting(worker: Any, *args: Any, **options: Any) -> dict[str, Any]:
        answer = invoke(worker, *args, **options)
        _raised.set(answer.get("raised"))
        if "raised" in answer:
            answer["log"] = "\n".join(filter(None, [answer.get("log", ""), answer.get("trace", "")]))
        return answer

    return noting


def _with_error_payload(execute: Callable[..., Result]) -> Callable[..., Result]:
    """Give a failed invocation the payload that Lambda gives it."""

    def named(func: Record, event: Any, request_id: str) -> Result:
        _raised.set(None)
        result = execute(func, event, request_id)
        raised = _raised.get()
        if raised is not None:
            return {"body": raised, "error": True, "log": result.get("log", "")}
        if result.get("error") and not result.get("throttle"):
            result["body"] = _named(result["body"], request_id)
        return result

    return named


def _named(body: dict[str, Any], request_id: str) -> dict[str, Any]:
    message = body["errorMessage"]
    if message.startswith("Worker init failed: "):
        error: dict[str, Any] = json.loads(message.removeprefix("Worker init failed: "))
        return error | {"requestId": request_id, "stackTrace": []}
    if message == "Worker process died":
        text = f"RequestId: {request_id} Error: Runtime exited without providing a reason"
        return {"errorType": "Runtime.ExitError", "errorMessage": text}
    if body["errorType"] == "Sandbox.Timedout":
        return body | {"errorMessage": f"RequestId: {request_id} Error: {message}"}
    return body


# --- Asynchronous invocation ---


def invoke_async(func: Record, event: Any) -> None:
    """Invoke a function as Lambda does for events: retry its errors as configured, and every throttle."""
    _in_thread(lambda: lambda_svc._run_with_function_config_scope(func, _retrying, func, event))


def _retrying(func: Record, event: Any) -> None:
    config = func.get("config") or func
    options = _options(func, config)
    retries = options.get("MaximumRetryAttempts")
    retries = 2 if retries is None else int(retries)
    deadline = time.monotonic() + int(options.get("MaximumEventAgeInSeconds") or 21600)
    failures = throttles = 0
    while True:
        result = lambda_svc._execute_function(func, event)
        if not result.get("error"):
            return
        if result.get("throttle"):
            throttles += 1
            delay = min(_THROTTLE_SECONDS * 2**throttles, _THROTTLE_MAX_SECONDS)
        else:
            failures += 1
            delay = min(
                lambda_svc._LAMBDA_ASYNC_RETRY_BASE_SECONDS * 2 ** (failures - 1),
                lambda_svc._LAMBDA_ASYNC_RETRY_MAX_SECONDS,
            )
            logger.info("Lambda %s failed (%d): %s", config["FunctionName"], failures, result["body"])
        if failures > retries or time.monotonic() + delay > deadline:
            break
        time.sleep(delay)
    _give_up(config, options, event, result)


def _options(func: Record, config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings for asynchronous events. The function has them for each of its versions."""
    function = lambda_svc._functions.get(config["FunctionName"]) or func
    configured = function.get("event_invoke_configs") or {}
    version = config.get("Version", "$LATEST")
    found = configured.get(version) or (configured.get("") if version == "$LATEST" else None)
    return found or {}


def _give_up(config: dict[str, Any], options: dict[str, Any], event: Any, result: Result) -> None:
    destination = ((options.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    if destination:
        lambda_svc._route_async_failure(destination, config["FunctionName"], event, result)
    queue = (config.get("DeadLetterConfig") or {}).get("TargetArn")
    if queue:
        body = result["body"] if isinstance(result["body"], dict) else {}
        attributes = {
            "RequestID": body.get("requestId", ""),
            "ErrorCode": "429" if result.get("throttle") else "200",
            "ErrorMessage": body.get("errorMessage", body.get("message", "")),
        }
        _dead_letter(queue, json.dumps(event), attributes)
    if not destination and not queue:
        logger.error("Lambda %s: event dropped after its retries: %s", config["FunctionName"], result["body"])


def _dead_letter(arn: str, body: str, attributes: dict[str, str]) -> None:
    """Send a message to a queue or a topic, with those text attributes that are not empty."""
    if parse_arn(arn).service == "sns":
        sns.publish_internal(arn, body, "Dead letter")
        return
    queue = sqs._queue_by_arn(arn)
    if queue is None:
        logger.error("The dead-letter queue %s does not exist; lost: %s", arn, body)
        return
    typed = {name: {"DataType": "String", "StringValue": value[:1024]} for name, value in attributes.items() if value}
    sqs._act_send_message({"QueueUrl": queue["url"], "MessageBody": body, "MessageAttributes": typed}, "")


# --- Targets of an EventBridge rule ---


def _noting_target(invoke_target: Callable[..., None]) -> Callable[..., None]:
    """Remember the target while an event is delivered to it."""

    def noting(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        view = view or eventbridge._pattern_event_view(event)
        token = _delivery.set((target, rule["Arn"], json.dumps(view.event_with_detail()))) if queue else None
        try:
            invoke_target(target, event, rule, view)
        finally:
            if token:
                _delivery.reset(token)

    return noting


def _undelivered(code: str, message: str) -> None:
    """Send the event to the dead-letter queue of its target, or log that it is lost."""
    delivery = _delivery.get()
    if delivery is None:
        logger.error("EventBridge: event lost, its target has no dead-letter queue: %s", message)
        return
    target, rule_arn, event = delivery
    attributes = {
        "RULE_ARN": rule_arn,
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
    }
    _dead_letter(target["DeadLetterConfig"]["Arn"], event, attributes)


def _to_lambda(arn: str, payload: str) -> None:
    func, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not func or not config:
        _undelivered("NO_RESOURCE", f"The function {name} does not exist")
        return
    invoke_async(lambda_svc._execution_record_for_config(func, config), json.loads(payload))


def _to_step_functions(arn: str, payload: str) -> None:
    status, _, body = stepfunctions._start_execution({"stateMachineArn": arn, "input": payload})
    if status != 200:
        error = json.loads(body)
        _undelivered("NO_RESOURCE" if "DoesNotExist" in str(error) else "SDK_CLIENT_ERROR", str(error))


def _in_thread(work: Callable[[], None]) -> None:
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), daemon=True).start()
