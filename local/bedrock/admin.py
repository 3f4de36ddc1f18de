"""The admin interface of the stand-in: change its settings and see what it did."""

import dataclasses
import json
from collections import Counter
from typing import Any

from local.bedrock.config import ConfigError
from local.bedrock.service import ApiError, Service


def handle(service: Service, method: str, body: bytes, query: dict[str, list[str]]) -> dict[str, Any]:
    """Answer a request: POST changes settings, both methods return settings and summary. Raises ApiError."""
    if method == "POST":
        try:
            document = json.loads(body or b"{}")
            if not isinstance(document, dict):
                raise ConfigError("The body must be a JSON object.")
            service.settings.change(document)
        except ValueError as error:
            raise ApiError("ValidationException", str(error)) from error
    elif method != "GET":
        raise ApiError("ValidationException", f"{method} is not known here: use GET or POST.")
    return summary(service, job_name_contains=query.get("job_name_contains", [""])[0])


def summary(service: Service, *, job_name_contains: str = "") -> dict[str, Any]:
    """Return the settings, and what happened to jobs with this text in their names, in all accounts and Regions."""
    jobs = [job for job in list(service.jobs.values()) if job_name_contains in job.name]
    answered = [pair for job in jobs for pair in job.output.answered]
    calls = Counter(service.on_demand)
    calls.update(digest for _, digest in answered)
    return {
        "config": dataclasses.asdict(service.settings.config),
        "creates": dict(service.creates),
        "jobs": dict(Counter(job.status for job in jobs)),
        "records": dict(Counter(record_id for record_id, _ in answered)),
        "on_demand": {"answered": sum(service.on_demand.values()), "refused": service.on_demand_refused},
        "paid_twice": {digest: count for digest, count in calls.items() if count > 1},
    }
