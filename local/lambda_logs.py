"""Write what a function logs through `logging` like Lambda's runtime for Python.

In the log format JSON, a record is an object with Lambda's own fields and the fields of `extra`, all at the top level.
A field of `extra` is dropped if it is None or has the name of one of Lambda's. In the format Text, which is the
default, a record is a line, and `extra` is lost.

This is stricter than Lambda: a value that JSON does not have, or half of a surrogate pair, fails the call. It is not
documented which versions of Lambda's runtime accept the former.
"""

from collections.abc import Callable
from typing import Any

# The environment variables that Lambda sets from a function's log settings.
_SETTINGS = {"AWS_LAMBDA_LOG_FORMAT": "LogFormat", "AWS_LAMBDA_LOG_LEVEL": "ApplicationLogLevel"}

# Python for MiniStack's worker, in its function `run`; `context` is the context of the call.
START = """
    import logging
    context = None

    class _MsHandler(logging.StreamHandler):
        def handleError(self, record):
            raise

    class _MsJson(logging.Formatter):
        converter = time.gmtime
        _own = {"timestamp", "level", "message", "logger", "requestId", "stackTrace", "errorType", "errorMessage",
                "location"}
        _of_record = {*logging.makeLogRecord({}).__dict__, "message", "asctime"}

        def format(self, record):
            fields = {
                "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
                "level": record.levelname,
                "message": record.getMessage(),
                "logger": record.name,
                "requestId": context.aws_request_id if context else None,
            }
            if record.exc_info:
                kind, error, trace = record.exc_info
                fields["errorType"], fields["errorMessage"] = kind.__name__, str(error)
                fields["stackTrace"] = traceback.format_tb(trace)
            for name, value in record.__dict__.items():
                if name not in self._of_record and name not in self._own:
                    fields[name] = value
            line = json.dumps({name: value for name, value in fields.items() if value is not None}, ensure_ascii=False)
            line.encode()
            return line

    _ms_handler = _MsHandler(sys.stderr)
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        _ms_handler.setFormatter(_MsJson())
    else:
        _ms_handler.setFormatter(logging.Formatter("[%(levelname)s]\\t%(asctime)s\\t%(message)s"))
    logging.getLogger().addHandler(_ms_handler)
    if os.environ.get("AWS_LAMBDA_LOG_LEVEL"):
        logging.getLogger().setLevel(os.environ["AWS_LAMBDA_LOG_LEVEL"])
"""


def with_settings(start: Callable[..., None]) -> Callable[..., None]:
    """Wrap a worker's `__init__` so that the function's process gets the log settings."""

    def started(worker: Any, name: str, config: dict[str, Any], *rest: Any) -> None:
        logging_config = config.get("LoggingConfig") or {}
        settings = {name: logging_config[key] for name, key in _SETTINGS.items() if logging_config.get(key)}
        environment = config.get("Environment") or {}
        variables = {**(environment.get("Variables") or {}), **settings}
        start(worker, name, {**config, "Environment": {**environment, "Variables": variables}}, *rest)

    return started
