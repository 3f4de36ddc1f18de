"""Schedules, each drawn from a seed."""

import random
from dataclasses import dataclass, field, replace

from tests.e2e.neighbour import NEIGHBOUR
from tests.soak.schedules import (
    EMBEDDING_MODEL,
    FORBIDDEN,
    GIVEN_UP,
    MIN_RECORDS,
    REFUSED_CREATE,
    SECOND_MODEL,
    TEXT_MODEL,
    Loss,
    Rule,
    Schedule,
    SourceLoss,
    Stop,
)


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
_WORK = "<root>/work/<run>"
_READ_BY_FUNCTIONS = tuple(
    f"{_WORK}/{key}" for key in ("run.json", "input/", "frame/", "raw/", "leftovers/", "results/", "skipped/")
)
_WRITTEN_BY_FUNCTIONS = (
    "<root>/claims/<run>.json",
    *(f"{_WORK}/{key}" for key in ("run.json", "plan.jsonl", "input/", "frame/", "leftovers/", "raw/on-demand")),
    "<root>/output/<run>/",
    "<root>/reports/<run>/",
)
_CALLED = "/functions/arn:aws:lambda:us-east-1:000000000000:function:<name>-"
"""The beginning of a call's path. It is needed because names of functions also occur in the inputs of others."""

_READ_BY_MAPS = tuple(f"{_WORK}/{key}" for key in ("plan.jsonl", "jobs-0.jsonl", "joins-"))
_FUNCTIONS = ("claim-run", "plan-run", "prepare-shard", "review-run", "gather-leftovers", "pool-leftovers",
              "join-shard", "answer-on-demand", "finish-run")  # fmt: skip


@dataclass(slots=True)
class _Draw:
    random: random.Random
    seed: int
    faults: list[tuple[int, int | None, Rule]] = field(default_factory=list)

    def schedule(self) -> Schedule:
        dice = self.random
        stopped = dice.random() < 0.25
        small = dice.random() < 0.08
        rows = dice.randint(1, 99) if small else dice.randint(100, 420)
        breaks = not stopped and not small and dice.random() < 0.05
        blind = not stopped and not small and not breaks and dice.random() < 0.06
        if blind:
            self.faults.append((0, dice.choice((0, 1)), self._hidden()))
        models = dice.choice(((TEXT_MODEL,), (TEXT_MODEL,), (TEXT_MODEL, SECOND_MODEL), (EMBEDDING_MODEL,)))
        cut_every = dice.choice((0, 1, 2, 5, 30)) if EMBEDDING_MODEL not in models else 0
        refused = not stopped and not blind and dice.random() < 0.1
        if not small and dice.random() < 0.9:
            # The result of a record's second request is drawn for the rounds after the first.
            self._faults_of_jobs(later_rounds=0 if stopped or blind else 0.7 if cut_every else 0.3)
        calls = [self._call() for _ in range(dice.choice((0, 0, 1, 2, 4)))]
        if breaks:
            calls.append(self._break_of_a_map())
        gives_up = any(rule["times"] == GIVEN_UP for rule in calls)
        dies = not stopped and not small and dice.random() < 0.04
        if dies:
            calls.append(self._death_of_the_plan())
        # One fault for each target: several together would use up the retries.
        calls = list({(rule["service"], rule["contains"][0]): rule for rule in calls}.values())
        twin = not dies and EMBEDDING_MODEL not in models and dice.random() < 0.12
        schedule = Schedule(
            seed=self.seed,
            models=models,
            rows=rows,
            null_every=dice.choice((0, 0, 0, 7, 40)),
            records_per_job=dice.choice((60, 100, 130, 200, 500)),
            concurrency=dice.choice((1, 2, 4, 20)),
            # A stop may cost a round, so a stopped run has some to spare: then every row can be answered.
            max_rounds=8 if stopped or blind else dice.choice((2, 2, 2, 1, 0)),
            on_demand_tail=stopped or blind or dice.random() < 0.85,
            canary=dice.choice((0, 0, 0, 0, 3, 15)),
            cut_every=cut_every,
            job_faults=tuple(self.faults),
            call_faults=tuple(calls),
            refusals=dice.choice((1, 7, 25)) if refused else 0,
            stops=tuple(self._stops(retries=bool(cut_every))) if stopped else (),
            may_break=breaks or blind or refused or gives_up,
            exact=not stopped and not blind,
            source_loss=None if twin else self._source_loss(),
            form=dice.choice(("jsonl", "folders", "csv", "parquet")),
            installation=dice.choice(("e2e", NEIGHBOUR)),
            twin=twin,
            # Where the plan dies, another execution takes the name then, and a machine takes a name only once.
            again=round(dice.uniform(0, 6), 2) if not dies and dice.random() < 0.15 else None,
            plan_dies=dies,
        )
        # A run of which nothing could be sent is refused.
        records = sum(schedule.text(row) is not None for row in range(rows))
        return schedule if records >= MIN_RECORDS else replace(schedule, on_demand_tail=True)

    def _stops(self, *, retries: bool) -> list[Stop]:
        """Stop a run once or twice. If it has retries, prefer the time while they are in progress."""
        dice = self.random
        rounds = [1 if retries and dice.random() < 0.6 else 0 for _ in range(dice.choice((1, 1, 2, 3)))]
        return [Stop(n, round(dice.uniform(0.1, 4), 2), round(dice.uniform(0, 6), 2)) for n in sorted(rounds)]

    def _source_loss(self) -> SourceLoss | None:
        """Three of four runs lose their source, most of them while the first jobs are on their way."""
        how: Loss | None = self.random.choice(("overwritten", "deleted", "archived", None))
        seconds = self.random.choice((0.0, round(self.random.uniform(0, 2), 2), round(self.random.uniform(0, 8), 2)))
        return SourceLoss(how, seconds) if how else None

    def _faults_of_jobs(self, *, later_rounds: float) -> None:
        """Draw faults of the first round's jobs, and with these odds one of all jobs of the second."""
        dice = self.random
        for number in range(6):
            if dice.random() < 0.5:
                faults: Rule = {}
                for kind in dice.sample((self._end, self._create, self._records, self._time, self._events), 2):
                    faults |= kind()
                self.faults.append((0, number, faults))
        if dice.random() < later_rounds:
            faults = dice.choice((*self._refusals(), {"expire": True}, {"partial": 0.5}, self._records()))
            self.faults.append((1, None, dict(faults)))

    def _hidden(self) -> Rule:
        """A job whose Get is refused: the run fails while the job is running, and is redriven."""
        stuck = round(self.random.uniform(0.5, 3), 2)
        return {"refuse_get": {"error": "AccessDeniedException"}, "early_event": True, "stuck": stuck}

    def _end(self) -> Rule:
        share = {"partial": self.random.choice((0.0, 0.1, 0.5, 0.99))}
        others = (share, {"expire": True}, share | {"fail_job": "the model went away"}, share | {"expire": True})
        return self.random.choice((*others, *self._refusals()))

    def _refusals(self) -> tuple[Rule, ...]:
        """Return jobs that do nothing: two because of their records or their request, two because of a permission."""
        return (
            {"fail_job": "the file is of no use"},
            {"refuse_create": {"error": REFUSED_CREATE, "message": "not for you"}},
            {"fail_job": FORBIDDEN},
            {"refuse_create": {"error": "AccessDeniedException", "message": FORBIDDEN}},
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
                {"no_manifest": True},
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
        return self._rule("s3", "GetObject", key, error=error, times=self.random.randint(1, 3))

    def _write(self) -> Rule:
        key = self.random.choice(_WRITTEN_BY_FUNCTIONS)
        error = self.random.choice(("SlowDown", "InternalError", "ServiceUnavailable"))
        return self._rule("s3", "PutObject", key, error=error, times=self.random.randint(1, 3))

    def _item(self) -> Rule:
        item = self.random.choice((("run/<run>",), ("<jobs>",), ("<jobs>", "-r0-00000")))
        error = self.random.choice(
            ("ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError")
        )
        return self._rule(
            "dynamodb", "UpdateItem", *item, "<name>-inventory", error=error, times=self.random.randint(1, 5)
        )

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
        return self._rule("lambda", "Invoke", f"{_CALLED}{name}", "<run>", error=error, times=self.random.randint(1, 3))

    def _join(self) -> Rule:
        return self._rule(
            "lambda", "Invoke", f"{_CALLED}join-shard", "<run>", error="Runtime.ExitError", times=GIVEN_UP
        )

    def _death_of_the_plan(self) -> Rule:
        return self._rule("lambda", "Invoke", f"{_CALLED}plan-run", "<run>", error="Runtime.ExitError", times=GIVEN_UP)

    def _park(self) -> Rule:
        # After thirteen errors, a child gives up parking and polls its job.
        item = ("<jobs>", "-r0-00000", ":task_token")
        return self._rule("dynamodb", "UpdateItem", *item, error="ThrottlingException", times=13)

    def _wake(self) -> Rule:
        error = self.random.choice(("ThrottlingException", "InternalServerError"))
        return self._rule("states", "SendTaskSuccess", "<jobs>", error=error, times=self.random.randint(1, 2))

    def _rule(self, service: str, operation: str, *contains: str, error: str, times: int) -> Rule:
        # A throttled call had no effect. After other errors, this is not known.
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
        operation, key = self.random.choice(
            (*(("GetObject", key) for key in _READ_BY_MAPS), ("PutObject", f"{_WORK}/results/"))
        )
        rule = self._rule("s3", operation, key, error="InternalError", times=1)
        return rule | {"after": False}
