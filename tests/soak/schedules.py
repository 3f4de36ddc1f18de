"""Runs and their faults: what happens to a run, and the rules that cause it.

A schedule has a table, the limits of its run, the faults of its jobs, records, events and function calls, and the times
when somebody stops it. All faults hit only this run: rules name jobs by the run's label, calls by its id, and calls of
the model by the text of its rows. This allows many schedules to run at the same time and share the account's quotas.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from tests.e2e.neighbour import NEIGHBOUR

TEXT_MODEL, EMBEDDING_MODEL = "amazon.nova-lite-v1:0", "amazon.titan-embed-text-v2:0"
SECOND_MODEL = "us.anthropic.claude-3-5-haiku-20241022-v1:0"
VERBS = {"e2e": "Judge", NEIGHBOUR: "Weigh"}
"""The beginning of each installation's prompts."""

MIN_RECORDS = 100
"""Fewest records of a batch job. Fewer are pooled or answered on demand."""

MAX_TOKENS, MORE_TOKENS = 10, 20
"""The limits of the first and the second request in a run with `retry`. A word is a token."""

ANSWERS = [
    {"prompt_contains": " endlessly", "text": "answer {hash} " + "word " * 30},
    {"prompt_contains": " verbosely", "text": "answer {hash} " + "word " * 13},
]
"""How the stand-in answers rows that ask for more words than the first limit, or than both."""

GIVEN_UP = 7
"""The number of failures after which a child gives up its join (Gather leftovers starts it again), or a plan ends."""

FORBIDDEN = "the role may not read it"
"""The messages of a job that lacks a permission, and of a Create that is denied."""

REFUSED_CREATE = "ValidationException"
"""Bedrock's answer to an invalid Create."""

MOST_REFUSALS = 2
"""The number of jobs that refuse a record before it is not sent again."""

Rule = dict[str, Any]
Form = Literal["jsonl", "folders", "csv", "parquet"]
"""The table's form on S3: one file; one file in each of two folders; files with columns in different orders."""

Loss = Literal["overwritten", "deleted", "archived"]
Answered = Literal["whole", "cut once", "cut always"]


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody stops the run, and redrives it later.

    `seconds` count from the beginning of the round with that number, or for round 0 from the start of the run.
    """

    round: int
    seconds: float
    redriven: float


@dataclass(frozen=True, slots=True)
class SourceLoss:
    """The run's table is overwritten, deleted or archived, `seconds` after Review run has decided what is first."""

    how: Loss
    seconds: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """One run. `job_faults` are the stand-in's, by round and number of the job (None: every job of the round)."""

    seed: int
    models: tuple[str, ...]
    rows: int
    null_every: int
    """The distance of rows in which the prompt's cell is null, so that the row is skipped; 0: none."""
    records_per_job: int
    concurrency: int
    max_rounds: int
    on_demand_tail: bool
    canary: int = 0
    cut_every: int = 0
    """The distance of rows whose answer meets its limit; the run then has `retry`. 0: no such rows and no `retry`."""
    job_faults: tuple[tuple[int, int | None, Rule], ...] = ()
    call_faults: tuple[Rule, ...] = ()
    refusals: int = 0
    """The number of calls on demand that are denied before the account may call the model."""
    stops: tuple[Stop, ...] = ()
    form: Form = "jsonl"
    installation: str = "e2e"
    twin: bool = False
    """The other installation, which has the same bucket, gets the same run at the same time."""
    again: float | None = None
    """The seconds after which another execution tries to take the run's name."""
    plan_dies: bool = False
    """The plan fails in the middle or after its work. Another execution tries to take the name before the redrive."""
    source_loss: SourceLoss | None = None
    """The loss of the source. It does not change the prediction, because the frames have the rows."""
    may_break: bool = False
    """Whether a fault can fail a Map. Nothing retries a Map, so the run is then redriven."""
    exact: bool = True
    """Whether its end can be predicted: no job is stopped at an unknown moment."""

    @property
    def run_id(self) -> str:
        """The name of the run. No name contains another one."""
        return f"soak-{self.seed:05d}"

    @property
    def jobs(self) -> str:
        """The beginning of its jobs' names, up to the digest, which is not known before the run starts."""
        return f"{self.installation}-s{self.seed:05d}-"

    @property
    def prompt(self) -> str:
        """The beginning of a prompt, which differs between installations; empty for embeddings."""
        return "" if EMBEDDING_MODEL in self.models else f"{VERBS[self.installation]} "

    @property
    def column(self) -> str:
        """The column that is asked about."""
        return "input_text" if EMBEDDING_MODEL in self.models else "review"

    def table(self) -> list[dict[str, Any]]:
        """Return the rows; no two runs have one in common."""
        rows: list[dict[str, Any]] = [
            {"id": f"{self.seed}/{row}", self.column: self.text(row)} for row in range(self.rows)
        ]
        if self.form == "folders":
            return [{**row, "half": str(int(number >= self.rows // 2))} for number, row in enumerate(rows)]
        return rows

    def text(self, row: int) -> str | None:
        """Return the cell that the prompt of a row uses; None for a skipped row."""
        if self.null_every and row % self.null_every == self.null_every - 1:
            return None
        words = {"whole": "", "cut once": " verbosely", "cut always": " endlessly"}[self.answered(row)]
        return f'seed {self.seed}: "row"\n{row} of {self.rows}{words}'

    def answered(self, row: int) -> Answered:
        """Return whether the answer to a row meets its limit."""
        if not self.cut_every or row % self.cut_every:
            return "whole"
        return "cut once" if row % (3 * self.cut_every) else "cut always"

    def run_input(self, uri: str) -> dict[str, Any]:
        """Return the input of the run; its table lies at `uri`."""
        asked: dict[str, Any] = {"prompt_id": "judge"}
        if EMBEDDING_MODEL in self.models:
            asked = {"embedding": {"dimensions": 256}}
        elif self.cut_every:
            asked["inference"] = {"max_tokens": MAX_TOKENS}
            asked["retry"] = {"outcomes": ["truncated"], "max_tokens": MORE_TOKENS}
        return {
            "s3_uri": uri,
            **({"input": {"csv": {"null_values": [""]}}} if self.form == "csv" else {}),
            "model_id": list(self.models) if len(self.models) > 1 else self.models[0],
            "job_name_prefix": f"s{self.seed:05d}",
            "max_records_per_job": self.records_per_job,
            "limits": {
                "check_seconds": 5,
                "max_concurrent_jobs": self.concurrency,
                "max_rounds": self.max_rounds,
                "on_demand_tail": self.on_demand_tail,
                "canary_records": self.canary,
                "tolerated_failure_percentage": 100,  # The number of failed rows is drawn and predicted.
            },
            **asked,
        }

    def bedrock_rules(self) -> list[Rule]:
        """Return the fault rules for the Bedrock stand-in."""
        rules: list[Rule] = [
            {"job_name_contains": [self.jobs, f"-r{round_}-" + ("" if number is None else f"{number:05d}")], **faults}
            for round_, number, faults in self.job_faults
        ]
        if self.refusals:
            denied = {"error": "AccessDeniedException", "message": "no subscription yet", "times": self.refusals}
            rules.append({"prompt_contains": f"{self.prompt}seed {self.seed}: ", "fail_invoke": denied})
        return rules

    def service_rules(self, root: str) -> list[Rule]:
        """Return the fault rules for the other services; `root` is the installation's place in the bucket."""
        names = {"<run>": self.run_id, "<jobs>": self.jobs, "<root>": root, "<name>": self.installation}

        def named(text: str) -> str:
            for place, name in names.items():
                text = text.replace(place, name)
            return text

        return [{**rule, "contains": [named(text) for text in rule["contains"]]} for rule in self.call_faults]

    def __str__(self) -> str:
        shown = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(shown, indent=1, default=str)
