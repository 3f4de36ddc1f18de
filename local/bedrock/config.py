"""Settings and faults of the Bedrock stand-in, which can be changed while it runs."""

import dataclasses
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GIBIBYTE = 1024**3


class ConfigError(ValueError):
    """A setting or a fault rule that does not exist or has the wrong type."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of the stand-in. Limits default to the published quotas."""

    seconds_per_status: float = 0.2
    run_seconds: float | None = None  # Time InProgress for any number of records; None: see the next line.
    records_per_second: float | None = None  # None: InProgress takes seconds_per_status
    concurrent_jobs: int = 100  # unfinished jobs per model
    concurrent_custom_jobs: int = 3  # unfinished jobs of all custom models of a base model
    creates_per_second: float | None = None
    minimum_records: int = 100
    maximum_records_per_file: int = 100_000
    maximum_records_per_job: int = 100_000
    maximum_file_bytes: int = GIBIBYTE
    maximum_job_bytes: int = 5 * GIBIBYTE
    answers: Sequence[Mapping[str, Any]] = ()
    faults: Sequence[Mapping[str, Any]] = ()

    def changed(self, settings: Mapping[str, Any]) -> "Config":
        """Return a copy with changed settings. Raises ConfigError for an unknown key or a wrong type."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for key, value in settings.items():
            if key not in defaults:
                raise ConfigError(f"Unknown setting {key!r}. Known: {', '.join(defaults)}.")
            _check_type(key, value, defaults[key])
        for rule in settings.get("answers", ()):
            _check_keys("answers", rule, ANSWER_KEYS)
        for rule in settings.get("faults", ()):
            _check_keys("faults", rule, MATCH_KEYS | FAULTS)
        return dataclasses.replace(self, **settings)

    def run_time(self, records: int) -> float:
        """Return how many seconds a job of that many records stays InProgress."""
        if self.run_seconds is not None:
            return self.run_seconds
        return records / self.records_per_second if self.records_per_second else self.seconds_per_status


ANSWER_KEYS = {"prompt_contains", "model_id_contains", "text", "stop_reason", "reasoning"}
MATCH_KEYS = {"job_name_contains", "model_id_contains", "prompt_contains", "times"}
FAULTS = {
    # at CreateModelInvocationJob
    "fail_create", "refuse_create", "lose_create_response",
    # at GetModelInvocationJob
    "refuse_get",
    # how the job ends
    "fail_job", "expire", "partial", "stuck",
    # single records and the output file
    "record_errors", "drop_records", "duplicate_records", "foreign_records", "no_manifest",
    # events
    "drop_events", "duplicate_events", "early_event", "delay_event_seconds",
    # on demand
    "fail_invoke",
}  # fmt: skip


class Faults:
    """The fault rules in force. Every fault of the stand-in is looked up here."""

    def __init__(self, rules: Sequence[Mapping[str, Any]]) -> None:
        self._rules = rules
        self._jobs: list[set[str]] = [set() for _ in rules]  # job names each rule has fired for
        self._taken: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()

    def find(self, fault: str, *, model_id: str, job_name: str = "") -> Any:
        """Return the value of `fault` in the first matching rule, or None."""
        found = self._match(fault, job_name, model_id)
        return None if found is None else found[1]

    def take(self, fault: str, *, model_id: str, job_name: str = "", prompt: str = "") -> Any:
        """Do what `find` does, but at most `times` times for one job; once if the rule has no `times`."""
        found = self._match(fault, job_name, model_id, prompt)
        if found is None:
            return None
        index, value = found
        limit = value.get("times", 1) if isinstance(value, dict) else 1
        with self._lock:
            self._taken[index, job_name] += 1
            return value if self._taken[index, job_name] <= limit else None

    def _match(self, fault: str, job_name: str, model_id: str, prompt: str = "") -> tuple[int, Any] | None:
        with self._lock:
            for index, rule in enumerate(self._rules):
                if rule.get(fault) is None or rule[fault] is False:
                    continue
                if not all(text in job_name for text in texts(rule.get("job_name_contains", ""))):
                    continue
                if rule.get("model_id_contains", "") not in model_id or rule.get("prompt_contains", "") not in prompt:
                    continue
                jobs = self._jobs[index]
                if job_name not in jobs and "times" in rule and len(jobs) >= rule["times"]:
                    continue
                jobs.add(job_name)
                return index, rule[fault]
        return None


@dataclass(slots=True)
class Settings:
    """The settings and faults in force now; replaced while jobs run."""

    config: Config = field(default_factory=Config)
    faults: Faults = field(default_factory=lambda: Faults(()))

    def change(self, settings: Mapping[str, Any]) -> None:
        """Change some settings. New fault rules replace all old ones, and their counts start at 0."""
        self.config = self.config.changed(settings)
        if "faults" in settings:
            self.faults = Faults(self.config.faults)


def texts(value: Any) -> list[str]:
    """Return a member that is a text or a list of texts as a list."""
    return value if isinstance(value, list) else [value]


def _check_type(key: str, value: Any, default: Any) -> None:
    if isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise ConfigError(f"{key} must be a list of objects.")
    elif value is None:
        if default is not None:
            raise ConfigError(f"{key} must be a number, not null.")
    elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ConfigError(f"{key} must be a number of at least 0.")


def _check_keys(key: str, rule: Mapping[str, Any], known: set[str]) -> None:
    unknown = rule.keys() - known
    if unknown:
        raise ConfigError(f"{key}: unknown {', '.join(sorted(unknown))}. Known: {', '.join(sorted(known))}.")
