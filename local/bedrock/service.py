"""The operations of the stand-in: those of batch inference jobs and of inference profiles."""

import base64
import random
import string
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import bedrock as engines_bedrock

from local.bedrock import access, models, validation
from local.bedrock.config import Settings
from local.bedrock.jobs import TERMINAL, Job, Life
from local.bedrock.profiles import Profiles

_STATUS_CODES = {
    "AccessDeniedException": 403,
    "ConflictException": 400,
    "InternalServerException": 500,
    "ModelErrorException": 424,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 400,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "ValidationException": 400,
}
# ListModelInvocationJobs was never seen to return these two, although its model has them.
_NOT_LISTED = {"message", "clientRequestToken"}


class ApiError(Exception):
    """An error that the service answers: its name, which determines the HTTP status, and a message."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.status = _STATUS_CODES.get(name, 500)


@dataclass(slots=True)
class Service:
    """All jobs of all accounts and Regions, and the settings."""

    settings: Settings = field(default_factory=Settings)
    jobs: dict[str, Job] = field(default_factory=dict)  # by ARN
    creates: Counter[str] = field(default_factory=Counter)  # by outcome
    on_demand: Counter[str] = field(default_factory=Counter)  # successful calls, by digest
    on_demand_refused: int = 0
    profiles: Profiles = field(default_factory=Profiles)
    _create_times: deque[float] = field(default_factory=deque)
    _random: random.Random = field(default_factory=lambda: random.Random(0))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, request: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        """Answer CreateModelInvocationJob. Raises ApiError."""
        try:
            answer, outcome = self._create(request, headers)
        except ApiError as error:
            self.creates[error.name] += 1
            raise
        self.creates[outcome] += 1
        return answer

    def get(self, identifier: str) -> dict[str, Any]:
        """Answer GetModelInvocationJob. Raises ApiError."""
        job = self._job(identifier, "GetModelInvocationJob")
        if fault := self.settings.faults.take("refuse_get", job_name=job.name, model_id=job.model):
            raise ApiError(fault["error"], fault.get("message", "Refused by a fault rule."))
        return job.described()

    def stop(self, identifier: str) -> dict[str, Any]:
        """Answer StopModelInvocationJob. Raises ApiError."""
        job = self._job(identifier, "StopModelInvocationJob")
        if not job.stop():
            raise ApiError("ConflictException", f"The job cannot be stopped: its status is {job.status}.")
        return {}

    def create_profile(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer CreateInferenceProfile. Raises ApiError."""
        _check("CreateInferenceProfile", request)
        return self.profiles.create(request)

    def get_profile(self, identifier: str) -> dict[str, Any]:
        """Answer GetInferenceProfile. Raises ApiError."""
        _check("GetInferenceProfile", {"inferenceProfileIdentifier": identifier})
        profile = self.profiles.find(identifier)
        if profile is None:
            raise ApiError("ResourceNotFoundException", f"The inference profile {identifier} was not found.")
        return profile

    def list_jobs(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer ListModelInvocationJobs. Raises ApiError."""
        _check("ListModelInvocationJobs", request)
        jobs = [job for job in self._own() if _selected(job, request)]
        jobs.sort(key=lambda job: job.number, reverse=request.get("sortOrder") != "Ascending")
        if token := request.get("nextToken"):
            after = _position(token)
            jobs = [job for job in jobs if (job.number > after) == (request.get("sortOrder") == "Ascending")]
            jobs = [job for job in jobs if job.number != after]
        page = jobs[: request.get("maxResults", 100)]
        answer: dict[str, Any] = {
            "invocationJobSummaries": [
                {key: value for key, value in job.described().items() if key not in _NOT_LISTED} for job in page
            ]
        }
        if len(page) < len(jobs):
            answer["nextToken"] = base64.urlsafe_b64encode(str(page[-1].number).encode()).decode()
        return answer

    def reset(self) -> None:
        """Forget all jobs, counts and settings."""
        with self._lock:
            for job in self.jobs.values():
                job.forget()
            self.jobs.clear()
            self.creates.clear()
            self.on_demand.clear()
            self.on_demand_refused = 0
            self.profiles = Profiles()
            self.settings = Settings()

    def _create(self, request: dict[str, Any], headers: dict[str, str]) -> tuple[dict[str, Any], str]:
        name, model_id = str(request.get("jobName", "")), self.profiles.behind(str(request.get("modelId", "")))
        self._refuse(name, model_id)
        _check("CreateModelInvocationJob", request)
        if not access.may_pass_role(request["roleArn"], headers):
            raise ApiError("AccessDeniedException", f"You are not authorized to pass {request['roleArn']}.")
        with self._lock:
            self._throttle()
            if known := self._replayed(request):
                return {"jobArn": known.arn}, "replayed"
            self._check_room(name, model_id, custom=models.is_custom(request["modelId"]))
            job = self._new(request, model_id)
            self.jobs[job.arn] = job
        Life(job, self.settings, get_account_id()).start()
        if self.settings.faults.take("lose_create_response", job_name=name, model_id=model_id):
            raise ApiError("InternalServerException", "The response was lost, the job was made.")
        return {"jobArn": job.arn}, "accepted"

    def _refuse(self, name: str, model_id: str) -> None:
        """Refuse a request as the fault rules ask."""
        faults = self.settings.faults
        fault = faults.find("refuse_create", job_name=name, model_id=model_id) or faults.take(
            "fail_create", job_name=name, model_id=model_id
        )
        if fault:
            raise ApiError(fault["error"], fault.get("message", "Refused by a fault rule."))

    def _throttle(self) -> None:
        rate = self.settings.config.creates_per_second
        if rate is None:
            return
        now = time.monotonic()
        while self._create_times and self._create_times[0] <= now - 1:
            self._create_times.popleft()
        if len(self._create_times) >= rate:
            raise ApiError("ThrottlingException", "Too many requests, please wait before trying again.")
        self._create_times.append(now)

    def _replayed(self, request: dict[str, Any]) -> Job | None:
        """Return the job that was already created with the client token, if any."""
        token = request.get("clientRequestToken")
        for job in self._own():
            if token and job.request.get("clientRequestToken") == token:
                if job.request != _filled(request):
                    raise ApiError(
                        "ConflictException",
                        f"The client request token {token} made the job {job.name} with other parameters.",
                    )
                return job
        return None

    def _check_room(self, name: str, model_id: str, *, custom: bool) -> None:
        unfinished = 0
        for job in self._own():
            if job.name == name:
                raise ApiError("ConflictException", f"A job with the name {name} exists already.")
            unfinished += (job.model, job.custom) == (model_id, custom) and job.status not in TERMINAL
        config = self.settings.config
        quota = config.concurrent_custom_jobs if custom else config.concurrent_jobs
        if unfinished >= quota:
            raise ApiError(
                "ServiceQuotaExceededException",
                f"The sum of in-progress and submitted batch inference jobs for {model_id} has reached its "
                f"quota of {quota}. Resubmit your request later.",
            )

    def _new(self, request: dict[str, Any], model_id: str) -> Job:
        job_id = "".join(self._random.choices(string.ascii_lowercase + string.digits, k=12))
        arn = f"arn:aws:bedrock:{get_region()}:{get_account_id()}:model-invocation-job/{job_id}"
        if request.get("tags"):
            engines_bedrock._tags[arn] = {tag["key"]: tag["value"] for tag in request["tags"]}
        engines_bedrock._model_invocation_jobs[arn] = {}  # so that the engine's tagging finds the job
        now = datetime.now(UTC)
        created = now.replace(microsecond=now.microsecond // 1000 * 1000)  # The API shows whole milliseconds.
        return Job(_filled(request), arn, access.model_arn(request["modelId"]), model_id, len(self.jobs) + 1, created)

    def _job(self, identifier: str, operation: str) -> Job:
        _check(operation, {"jobIdentifier": identifier})
        for job in self._own():
            if identifier in (job.arn, job.arn.rsplit("/", 1)[-1]):
                return job
        raise ApiError("ResourceNotFoundException", "The provided batch inference job was not found")

    def _own(self) -> list[Job]:
        """Return the jobs of the account and Region of the request."""
        prefix = f"arn:aws:bedrock:{get_region()}:{get_account_id()}:"
        return [job for job in list(self.jobs.values()) if job.arn.startswith(prefix)]


def _check(operation: str, request: dict[str, Any]) -> None:
    if found := validation.problems(operation, request):
        raise ApiError("ValidationException", validation.message(found))


def _filled(request: dict[str, Any]) -> dict[str, Any]:
    """Return a Create request with the defaults that a Get echoes."""
    filled = {"timeoutDurationInHours": 24, "modelInvocationType": "InvokeModel"} | request
    for key in ("inputDataConfig", "outputDataConfig"):
        ((kind, config),) = request[key].items()
        filled[key] = {kind: {"s3BucketOwner": get_account_id()} | config}
    return filled


def _selected(job: Job, request: dict[str, Any]) -> bool:
    after, before = request.get("submitTimeAfter"), request.get("submitTimeBefore")
    return (
        request.get("statusEquals", job.status) == job.status
        and request.get("nameContains", "") in job.name
        and (after is None or job.created > _time(after))
        and (before is None or job.created < _time(before))
    )


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ApiError("ValidationException", f"Not a timestamp: {text}") from error


def _position(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise ApiError("ValidationException", "The provided nextToken is invalid.") from error
