"""Runs and their mishaps, drawn from a seed.

A schedule is a table, the limits of its run, what goes wrong with its jobs, its records, its events and the calls of
its functions, and when somebody stops it. All of it hits this run alone: jobs are named by the run's digest, calls by
its id. So many schedules go on at once, and share the account's quotas.
"""

import hashlib
import json
import random
from dataclasses import dataclass, field, replace
from typing import Any, Literal

TEXT_MODEL, EMBEDDING_MODEL = "amazon.nova-lite-v1:0", "amazon.titan-embed-text-v2:0"
MIN_RECORDS = 100
"""Of a batch job: what is fewer is pooled or answered on demand."""

GIVEN_UP = 7
"""So often must a function fail that a child gives up its join, and leaves it to Gather leftovers."""

FORBIDDEN = "the role may not read it"
"""What a job says that lacks a permission."""

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Schedule:
    """One run. `job_faults` are the stand-in's, by round and number of the job (None: every job of the round)."""

    seed: int
    kind: Literal["text", "embedding"]
    rows: int
    null_every: int
    """Every so many rows the cell that the prompt uses is null, so that the row is skipped; 0: never."""
    records_per_job: int
    concurrency: int
    max_rounds: int
    on_demand_tail: bool
    job_faults: tuple[tuple[int, int | None, Rule], ...] = ()
    call_faults: tuple[Rule, ...] = ()
    stops: tuple[tuple[float, float], ...] = ()
    """When the run is stopped, and how much later it is redriven, in seconds."""
    may_break: bool = False
    """One of the faults can fail a Map, which nothing retries: then the run is redriven."""
    exact: bool = True
    """Its end can be foretold: no job is stopped at a moment that nobody knows."""

    def table(self) -> list[dict[str, Any]]:
        """Return the rows; no two runs have one in common."""
        column = "review" if self.kind == "text" else "input_text"
        return [{"id": f"{self.seed}/{row}", column: self._text(row)} for row in range(self.rows)]

    def _text(self, row: int) -> str | None:
        if self.null_every and row % self.null_every == self.null_every - 1:
            return None
        return f'seed {self.seed}: "row"\n{row} of {self.rows}'

    def run_input(self, uri: str) -> dict[str, Any]:
        """Return the input of the run; its table lies at `uri`."""
        model = {
            "text": {"model_id": TEXT_MODEL, "prompt": {"text": "Judge {review} of {id}"}},
            "embedding": {"model_id": EMBEDDING_MODEL, "embedding": {"dimensions": 256}},
        }[self.kind]
        return {
            "s3_uri": uri,
            "job_name_prefix": f"seed{self.seed}",
            "max_records_per_job": self.records_per_job,
            "limits": {
                "check_seconds": 5,
                "max_concurrent_jobs": self.concurrency,
                "max_rounds": self.max_rounds,
                "on_demand_tail": self.on_demand_tail,
                "tolerated_failure_percentage": 100,  # how many rows fail is drawn, and foretold
            },
            **model,
        }

    def bedrock_rules(self, execution_arn: str) -> list[Rule]:
        """Return the fault rules for the Bedrock stand-in."""
        digest = run_digest(execution_arn)
        return [
            {"job_name_contains": f"{digest}-r{round_}-" + ("" if number is None else f"{number:05d}"), **faults}
            for round_, number, faults in self.job_faults
        ]

    def service_rules(self, execution_arn: str) -> list[Rule]:
        """Return the fault rules for the other services."""
        names = {"<run>": execution_arn.rsplit(":", 1)[-1], "<digest>": run_digest(execution_arn)}

        def named(text: str) -> str:
            for place, name in names.items():
                text = text.replace(place, name)
            return text

        return [{**rule, "contains": [named(text) for text in rule["contains"]]} for rule in self.call_faults]

    def __str__(self) -> str:
        shown = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(shown, indent=1, default=str)


def run_digest(execution_arn: str) -> str:
    """Return what names of the run's jobs hold; said here once more, so that a change of it shows."""
    return hashlib.sha256(execution_arn.encode()).hexdigest()[:10]


def draw(seed: int) -> Schedule:
    """Return the schedule of a seed, always the same."""
    return _Draw(random.Random(seed), seed).schedule()


# --- What can go wrong: each returns a fault with its own odds and sizes ---

_CREATE_ERRORS = (
    "ThrottlingException",
    "ServiceQuotaExceededException",
    "InternalServerException",
    "ServiceUnavailableException",
)
_WITHOUT_EFFECT = (
    "SlowDown",
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "TooManyRequestsException",
)
_READ_BY_FUNCTIONS = ("run.json", "input/", "raw/", "leftovers/", "results/", "skipped/")
_WRITTEN_BY_FUNCTIONS = ("run.json", "plan.jsonl", "input/", "output/", "leftovers/", "raw/on-demand", "report.json")
_READ_BY_MAPS = ("plan.jsonl", "jobs-0.jsonl", "joins-")
_FUNCTIONS = ("plan-run", "prepare-shard", "review-run", "gather-leftovers", "pool-leftovers", "join-shard",
              "answer-on-demand", "finish-run")  # fmt: skip


@dataclass(slots=True)
class _Draw:
    random: random.Random
    seed: int
    faults: list[tuple[int, int | None, Rule]] = field(default_factory=list)

    def schedule(self) -> Schedule:
        dice = self.random
        stopped = dice.random() < 0.2
        small = dice.random() < 0.08
        rows = dice.randint(1, 99) if small else dice.randint(100, 420)
        breaks = not stopped and not small and dice.random() < 0.05
        blind = not stopped and not small and not breaks and dice.random() < 0.06
        if blind:
            self.faults.append((0, dice.choice((0, 1)), self._hidden()))
        if not small and dice.random() < 0.9:
            self._faults_of_jobs(later_rounds=not stopped and not blind)
        calls = [self._call() for _ in range(dice.choice((0, 0, 1, 2, 4)))]
        if breaks:
            calls.append(self._break_of_a_map())
        # One fault for each target: together they would outlast the retries.
        calls = list({(rule["service"], rule["contains"][0]): rule for rule in calls}.values())
        schedule = Schedule(
            seed=self.seed,
            kind=dice.choice(("text", "text", "embedding")),
            rows=rows,
            null_every=dice.choice((0, 0, 0, 7, 40)),
            records_per_job=dice.choice((60, 100, 130, 200, 500)),
            concurrency=dice.choice((1, 2, 4, 20)),
            # A stop may cost a round, so a stopped run has some to spare: then every row can be answered.
            max_rounds=6 if stopped or blind else dice.choice((2, 2, 2, 1, 0)),
            on_demand_tail=stopped or blind or dice.random() < 0.85,
            job_faults=tuple(self.faults),
            call_faults=tuple(calls),
            stops=tuple(
                (round(dice.uniform(0.1, 4), 2), round(dice.uniform(0, 6), 2)) for _ in range(dice.choice((1, 1, 2)))
            )
            if stopped
            else (),
            may_break=breaks or blind or any(rule["times"] == GIVEN_UP for rule in calls),
            exact=not stopped and not blind,
        )
        # A run of which nothing could be sent is refused.
        records = sum(schedule._text(row) is not None for row in range(rows))
        return schedule if records >= MIN_RECORDS else replace(schedule, on_demand_tail=True)

    def _faults_of_jobs(self, *, later_rounds: bool) -> None:
        dice = self.random
        for number in range(4):
            if dice.random() < 0.6:
                faults: Rule = {}
                for kind in dice.sample((self._end, self._create, self._records, self._time, self._events), 2):
                    faults |= kind()
                self.faults.append((0, number, faults))
        if later_rounds and dice.random() < 0.3:
            faults = dice.choice(({"expire": True}, {"fail_job": "no luck"}, {"partial": 0.5}, self._records()))
            self.faults.append((1, None, dict(faults)))

    def _hidden(self) -> Rule:
        """A job that may not be looked at: the run fails while it still runs, and is redriven."""
        stuck = round(self.random.uniform(0.5, 3), 2)
        return {"refuse_get": {"error": "AccessDeniedException"}, "early_event": True, "stuck": stuck}

    def _end(self) -> Rule:
        share = {"partial": self.random.choice((0.0, 0.1, 0.5, 0.99))}
        return self.random.choice(
            (
                share,
                {"fail_job": FORBIDDEN},
                {"expire": True},
                share | {"fail_job": "the model went away"},
                share | {"expire": True},
                {"refuse_create": {"error": "ValidationException", "message": "not for you"}},
            )
        )

    def _create(self) -> Rule:
        error = {"error": self.random.choice(_CREATE_ERRORS), "times": self.random.randint(1, 3)}
        return self.random.choice(({"fail_create": error}, {"lose_create_response": True}))

    def _records(self) -> Rule:
        code = self.random.choice((400, 400, 403, 408, 429, 429, 500, 503))
        return self.random.choice(
            (
                {"record_errors": {"every": self.random.choice((2, 3, 10, 90)), "code": code, "message": "no"}},
                {"drop_records": self.random.choice((1, 10, 100))},
                {"duplicate_records": self.random.choice((1, 20))},
                {"foreign_records": self.random.choice((1, 20))},
            )
        )

    def _time(self) -> Rule:
        return {"stuck": round(self.random.uniform(0.1, 1.5), 2)}

    def _events(self) -> Rule:
        return self.random.choice(
            (
                {"drop_events": True},
                {"drop_events": ["Completed", "Failed"]},
                {"duplicate_events": self.random.randint(2, 3)},
                {"early_event": True},
                {"delay_event_seconds": round(self.random.uniform(0.2, 2), 2)},
            )
        )

    def _call(self) -> Rule:
        twice = (self._item, self._function)
        return self.random.choice((self._read, self._write, self._join, self._wake, self._park, *twice, *twice))()

    def _read(self) -> Rule:
        key = self.random.choice(_READ_BY_FUNCTIONS)
        error = self.random.choice(("SlowDown", "InternalError", "ServiceUnavailable"))
        return self._rule("s3", "GetObject", f"runs/<run>/{key}", error=error, times=self.random.randint(1, 3))

    def _write(self) -> Rule:
        key = self.random.choice(_WRITTEN_BY_FUNCTIONS)
        error = self.random.choice(("SlowDown", "InternalError", "ServiceUnavailable"))
        return self._rule("s3", "PutObject", f"runs/<run>/{key}", error=error, times=self.random.randint(1, 3))

    def _item(self) -> Rule:
        item = self.random.choice(("run/<run>", "<digest>", "<digest>-r0-00000"))
        error = self.random.choice(
            ("ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError")
        )
        return self._rule("dynamodb", "UpdateItem", item, error=error, times=self.random.randint(1, 5))

    def _function(self) -> Rule:
        name = self.random.choice(_FUNCTIONS)
        error = self.random.choice(
            (
                "ServiceException",
                "TooManyRequestsException",
                "Runtime.ExitError",
                "Runtime.OutOfMemory",
                "Sandbox.Timedout",
            )
        )
        return self._rule("lambda", "Invoke", name, "<run>", error=error, times=self.random.randint(1, 3))

    def _join(self) -> Rule:
        return self._rule("lambda", "Invoke", "join-shard", "<run>", error="Runtime.ExitError", times=GIVEN_UP)

    def _park(self) -> Rule:
        # Thirteen is what makes a child give up parking: it must ask for its job without.
        item = ("<digest>-r0-00000", ":task_token")
        return self._rule("dynamodb", "UpdateItem", *item, error="ThrottlingException", times=13)

    def _wake(self) -> Rule:
        error = self.random.choice(("ThrottlingException", "InternalServerError"))
        return self._rule("states", "SendTaskSuccess", "<digest>", error=error, times=self.random.randint(1, 2))

    def _rule(self, service: str, operation: str, *contains: str, error: str, times: int) -> Rule:
        # What is refused for its pace had no effect; of other errors nobody knows.
        after = error not in _WITHOUT_EFFECT and self.random.random() < 0.5
        return {
            "service": service,
            "operation": operation,
            "contains": list(contains),
            "error": error,
            "times": times,
            "after": after,
        }

    def _break_of_a_map(self) -> Rule:
        operation, key = self.random.choice((*(("GetObject", key) for key in _READ_BY_MAPS), ("PutObject", "results/")))
        rule = self._rule("s3", operation, f"runs/<run>/{key}", error="InternalError", times=1)
        return rule | {"after": False}
