"""One batch job and its life: a thread that walks it through its statuses."""

import contextvars
import itertools
import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from local.bedrock import access, documents, events, models
from local.bedrock.bodies import Refused
from local.bedrock.config import Settings
from local.bedrock.replies import author

logger = logging.getLogger("bedrock-batch")

TERMINAL = {"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"}
# One job computes at a time: more threads would only slow down the event loop, which serves all requests.
_computing = threading.Lock()
_STEPS = 20  # how often a running job stops for its counters, the clock and a Stop


@dataclass(eq=False, slots=True)
class Job:
    """A job of the service. `request` is the accepted request with its defaults."""

    request: dict[str, Any]
    arn: str
    model_arn: str
    model: str  # the id of its base model
    number: int
    created: datetime
    status: str = "Submitted"
    message: str = ""
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    total: int = 0
    output: documents.Output = field(default_factory=documents.Output)
    lock: threading.Lock = field(default_factory=threading.Lock)
    woken: threading.Event = field(default_factory=threading.Event)  # by a Stop, or because the engine was reset
    forgotten: bool = False

    @property
    def name(self) -> str:
        """Return the job's name."""
        return str(self.request["jobName"])

    @property
    def custom(self) -> bool:
        """Return whether the job's model is a custom model."""
        return models.is_custom(self.model_arn)

    def described(self) -> dict[str, Any]:
        """Return the members of GetModelInvocationJob."""
        kept = {key: value for key, value in self.request.items() if key not in ("tags", "modelId")}
        counted = self.output.succeeded + self.output.failed
        expires = self.created + timedelta(hours=self.request["timeoutDurationInHours"])
        times = {"submitTime": self.created, "lastModifiedTime": self.modified, "jobExpirationTime": expires}
        if self.ended and self.status != "Stopped":  # a stopped job was never seen with an end time
            times["endTime"] = self.ended
        described = kept | {
            "jobArn": self.arn,
            "modelId": self.model_arn,
            "status": self.status,
            "totalRecordCount": self.total,
            "processedRecordCount": counted,
            "successRecordCount": self.output.succeeded,
            "errorRecordCount": self.output.failed,
        }
        if self.message:
            described["message"] = self.message
        return described | {key: f"{value:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z" for key, value in times.items()}

    def stop(self) -> bool:
        """Begin to stop. Returns False if the job has already ended."""
        with self.lock:
            if self.status in TERMINAL:
                return False
            self.status = "Stopping"
            self.modified = datetime.now(UTC)
            self.woken.set()
            return True

    def forget(self) -> None:
        """End without an event: the engine was reset."""
        self.forgotten = True
        self.woken.set()


class _Stopped(Exception):
    """The job was stopped or forgotten while it waited or worked."""


class _Ended(Exception):
    """The job came to a terminal status."""

    def __init__(self, status: str, message: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.message = message


@dataclass(slots=True)
class Life:
    """The walk of one job through its statuses."""

    job: Job
    settings: Settings
    account: str

    def start(self) -> None:
        """Announce the job and start its thread, in the account and Region of the request."""
        if self._fault("early_event"):
            self._send("Completed", "")
        self._announce()
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._live,), name=self.job.name, daemon=True).start()

    def _live(self) -> None:
        try:
            self._work(self._validated())
        except _Ended as end:
            self._close(end.status, end.message)
        except _Stopped:
            self._stopped()
        except Exception as error:
            logger.exception("Job %s broke the stand-in", self.job.name)
            self._close("Failed", f"Internal error of the stand-in: {error!r}")

    def _validated(self) -> list[documents.InputFile]:
        """Go from Submitted to Scheduled. Returns the input; raises _Ended if it does not pass."""
        self._wait(self.settings.config.seconds_per_status)
        self._enter("Validating")
        self._wait(self.settings.config.seconds_per_status)
        try:
            access.check_job(self.job.request, job_arn=self.job.arn, base_model=self.job.model)
            with _computing:
                files = documents.checked_input(self._uri("input"), self.settings.config)
        except documents.InvalidInput as error:
            raise _Ended("Failed", str(error)) from error
        message = self._fault("fail_job")
        if message and not self._fault("partial"):
            raise _Ended("Failed", str(message))
        self._enter("Scheduled")
        self._wait(self.settings.config.seconds_per_status + float(self._fault("stuck") or 0))
        if self._fault("expire") and not self._fault("partial"):
            raise _Ended("Expired")
        return files

    def _work(self, files: list[documents.InputFile]) -> None:
        """Run the records, write the output and end. Raises _Ended always, unless stopped."""
        self.job.total = sum(file.records for file in files)
        share = self._fault("partial")
        self._enter("InProgress")
        try:
            self._run(files, self.job.total if share is None else int(self.job.total * share))
        except _Stopped:
            if not self.job.forgotten:
                self._write()  # The records processed so far are written, and were paid.
            raise
        self._write()
        if message := self._fault("fail_job"):
            raise _Ended("Failed", str(message))
        if self._fault("expire"):
            raise _Ended("Expired")
        raise _Ended("Completed" if share is None else "PartiallyCompleted")

    def _run(self, files: list[documents.InputFile], records: int) -> None:
        """Process that many records, evenly over the running time, and keep the counters up to date."""
        call = self._model()
        lines = ((file, line) for file in files for line in file.lines())
        numbered = itertools.islice(enumerate(lines, 1), records)
        started = time.monotonic()
        step = max(1, self.job.total // _STEPS)
        while chunk := list(itertools.islice(numbered, step)):
            with _computing:
                for number, (file, line) in chunk:
                    documents.run_record(self.job.output, file, line, number=number, model=self.job.model, call=call)
            due = self.settings.config.run_time(self.job.total) * chunk[-1][0] / self.job.total
            self._wait(started + due - time.monotonic())

    def _model(self) -> documents.Call:
        """Return a function that calls the model with one body, with the errors that the fault rules ask for."""
        family = models.converse if self.job.request["modelInvocationType"] == "Converse" else models.invoke
        write = author(self.settings.config.answers)
        errors = self._fault("record_errors")

        def call(body: dict[str, Any], number: int) -> models.Answer:
            if errors and number % errors.get("every", 1) == 0:
                raise Refused(errors.get("message", "Too many requests"), errors.get("code", 429))
            return family(self.job.model, body, write)

        return call

    def _write(self) -> None:
        job_id = self.job.arn.rsplit("/", 1)[-1]
        target = self.job.request["outputDataConfig"]["s3OutputDataConfig"]
        with _computing:
            documents.write_output(
                self.job.output,
                f"{self._uri('output').rstrip('/')}/{job_id}",
                total=self.job.total,
                kms_key=target.get("s3EncryptionKeyId"),
                find=self._fault,
            )
        self.job.output.lines.clear()

    def _uri(self, direction: str) -> str:
        (config,) = self.job.request[f"{direction}DataConfig"].values()
        return str(config["s3Uri"])

    def _wait(self, seconds: float) -> None:
        if self.job.woken.wait(max(0.0, seconds)):
            raise _Stopped

    def _enter(self, status: str, message: str = "") -> None:
        """Change the status and announce it. Raises _Stopped if a Stop came first."""
        with self.job.lock:
            if self.job.woken.is_set() and status != "Stopped":
                raise _Stopped
            now = datetime.now(UTC)
            self.job.status, self.job.message, self.job.modified = status, message, now
            self.job.ended = now if status in TERMINAL else None
        self._announce()

    def _close(self, status: str, message: str) -> None:
        try:
            self._enter(status, message)
        except _Stopped:
            self._stopped()

    def _stopped(self) -> None:
        if self.job.forgotten:
            return
        self._announce()  # Stopping
        time.sleep(self.settings.config.seconds_per_status)
        self._enter("Stopped")

    def _announce(self) -> None:
        """Send the event of the current status, with the faults that the rules ask for."""
        dropped = self._fault("drop_events")
        if dropped is True or (dropped and self.job.status in dropped):
            return
        for _ in range(int(self._fault("duplicate_events") or 1)):
            self._send(self.job.status, self.job.message)

    def _send(self, status: str, message: str) -> None:
        event: dict[str, Any] = {
            "job_name": self.job.name,
            "job_arn": self.job.arn,
            "model_arn": self.job.model_arn,
            "status": status,
            "message": message,
            "created": self.job.created,
            "account": self.account,
        }
        if delay := self._fault("delay_event_seconds"):
            events.later(float(delay), **event)
        else:
            events.send(**event)

    def _fault(self, fault: str) -> Any:
        return self.settings.faults.find(fault, job_name=self.job.name, model_id=self.job.model)
