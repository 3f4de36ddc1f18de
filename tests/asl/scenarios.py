"""The scenario table: the answers of services, and the states that the machines then visit."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bedrock_batch.contracts.lines import NOT_CREATED, TERMINAL_STATUSES
from tests.unit.factories import STARTED, claimed

from . import services
from .bench import (
    BUCKET,
    LOST,
    ROWS,
    Script,
    answered,
    error,
    finished,
    gathered,
    got,
    job_arn,
    job_name,
    joined,
    ok,
    payload,
    planned,
    prepared,
    reviewed,
    troubles,
    turns,
    wake,
)
from .machines import Json

# --- A job: the child of Run jobs, in a run of one shard ---

CREATED = ["Record intent", "Created before?", "Create job"]
WAITED = ["Wait for job", "Get job", "Job over?"]
GIVEN_UP = ["Shard of its own?", "Join shard", "Shard joined"]
ENDED = ["Record end", *GIVEN_UP]
REFUSED = [*CREATED, "Name in use?"]
FOUND = ["Find job", "Job found?"]
LOOKED_AGAIN = ["Wait before looking again", *FOUND]
LOOKED = [*FOUND, *LOOKED_AGAIN, "Job not found"]
EARLY_EVENT = "DynamoDb.ConditionalCheckFailedException"


@dataclass(frozen=True)
class Job:
    """One job: the answers that differ from the good ones, the states it visits, and what it returns."""

    name: str
    script: Script
    path: list[str]
    status: str = "Completed"
    message: str = ""
    joined: bool = True
    check_seconds: int = 60
    expires_at: str = STARTED

    def answers(self) -> Script:
        """Return the script, with the later join of the shard if the join of its child fails."""
        left_over = {} if self.joined else {"Gather leftovers": turns(self.name, "join")}
        return self.script | left_over

    def output(self) -> Json:
        returned: Json = {"job_name": job_name(self.name), "records": ROWS}
        returned |= {"status": self.status, "message": self.message, "processed": self.processed()}
        return returned | ({"joined": joined(self.name, 0)} if self.joined else {})

    def processed(self) -> int:
        """Return the answer of the last Get job; empty if there was none."""
        if "Get job" not in self.path:
            return 0
        last = self.script.get("Get job", [got("Completed", ProcessedRecordCount=ROWS)])[-1]
        count: int = last["result"].get("ProcessedRecordCount", 0)
        return count


def taken_name(*found: Json, times: int = 1) -> Script:
    answer = ok({"InvocationJobSummaries": list(found)} if found else {}, times=times)
    return {"Create job": [error("Bedrock.ConflictException", "taken")], "Find job": [answer]}


def listed(run: str, **changes: Any) -> Json:
    return {"JobName": job_name(run), "JobArn": job_arn(0), "Status": "InProgress"} | changes


PERHAPS_CREATED = {
    "Bedrock.ThrottlingException": 31,
    "Bedrock.ServiceQuotaExceededException": 1001,
    "Bedrock.InternalServerException": 31,
    "Bedrock.ServiceUnavailableException": 31,
    "Bedrock.SdkClientException": 31,
    "Bedrock.BedrockException": 31,
    "Bedrock.ConflictException": 1,
    "Bedrock.SomethingNewException": 1,
    "States.TaskFailed": 1,
}
"""Errors of a Create after which a job may exist, each as often as is needed to end the retries."""

NO_ARN = (
    "States.QueryEvaluationError: The JSONata expression '$states.result.JobArn' specified for the field "
    "'Assign/job_arn' returned nothing (undefined)."
)
"""The error of a Create whose answer has no ARN."""

# The tables are formatted by hand: ruff would make each scenario as long as a screen.
JOBS = [
    Job("good", {}, CREATED + WAITED + ENDED),
    Job("of-a-run-that-is-too-old", {"Create job": []}, ["Record intent", "Created before?", *ENDED], "NotCreated",
        "the run is so old that its work may be deleted: no further job is made", expires_at="2026-11-28T00:00:00Z"),
    *(
        Job(f"ends-{status}", {"Get job": [got(status, Message="as it is", ProcessedRecordCount=number)]},
            CREATED + WAITED + ENDED, status, "as it is")
        for number, status in enumerate(TERMINAL_STATUSES)
    ),
    *(
        Job(f"still-{status}", {"Wait for job": [wake(), wake()], "Get job": [got(status), got("Completed")]},
            CREATED + WAITED + WAITED + ENDED)
        for status in sorted(services.job_statuses() - set(TERMINAL_STATUSES))
    ),
    # How long a job has waited is measured from the first hour on, until it begins. A lost value changes nothing.
    *(
        Job(f"waits-for-a-year-{status}-{measured.get('error', 'measured')}".replace(".", "-"),
            {"Wait for job": [wake(), wake()], "Measure wait": [measured],
             "Get job": [got(status, SubmitTime="2025-01-01T00:00:00.000Z"), got("Completed")]},
            [*CREATED, *WAITED, "Measure wait", *WAITED, *ENDED])
        for status, measured in (("Submitted", ok()), ("Validating", ok()), ("Scheduled", ok()),
                                 ("Scheduled", error("CloudWatch.CloudWatchException", times=3)),
                                 ("Scheduled", error("CloudWatch.InvalidParameterValueException")))
    ),
    Job("runs-for-a-year",
        {"Wait for job": [wake(), wake()],
         "Get job": [got("InProgress", SubmitTime="2025-01-01T00:00:00.000Z"), got("Completed")]},
        CREATED + WAITED + WAITED + ENDED),
    Job("waits-for-less-than-an-hour",
        {"Wait for job": [wake(), wake()],
         "Get job": [got("Scheduled", SubmitTime=datetime.now(UTC).isoformat()), got("Completed")]},
        CREATED + WAITED + WAITED + ENDED),
    Job("status-nobody-listed", {"Get job": [got("Paused")]}, CREATED + WAITED + ENDED, "Paused"),
    Job("early-event", {"Wait for job": [error(EARLY_EVENT)]},
        [*CREATED, "Wait for job", "Pause", "Get job", "Job over?", *ENDED]),
    Job("event-of-an-end-that-get-does-not-see-yet",
        {"Wait for job": [error(EARLY_EVENT, times=3)], "Get job": [got("InProgress", times=2), got("Stopped")]},
        CREATED + ["Wait for job", "Pause", "Get job", "Job over?"] * 3 + ENDED, "Stopped"),
    Job("lost-event",
        {"Wait for job": [LOST, LOST], "Get job": [got("InProgress"), got("Completed")]},
        CREATED + WAITED + WAITED + ENDED, check_seconds=1),
    Job("lost-event-then-one-that-comes",
        {"Wait for job": [LOST, wake()], "Get job": [got("Scheduled"), got("Completed")]},
        CREATED + WAITED + WAITED + ENDED, check_seconds=1),
    Job("created-before",
        {"Record intent": [ok({"Attributes": {"job_arn": {"S": job_arn(0)}, "task_token": {"S": "SECRET"}}})]},
        ["Record intent", "Created before?", "Get job", "Job over?", *ENDED]),
    Job("created-before-and-not-over",
        {"Record intent": [ok({"Attributes": {"job_arn": {"S": job_arn(0)}}})],
         "Get job": [got("Validating"), got("Failed", Message="no")]},
        ["Record intent", "Created before?", "Get job", "Job over?", *WAITED, *ENDED], "Failed", "no"),
    Job("quota-full-for-hours", {"Create job": [error("Bedrock.ServiceQuotaExceededException", times=50),
                                                ok({"JobArn": job_arn(0)})]}, CREATED + WAITED + ENDED),
    # Three errors prove that there is no job.
    *(
        Job(f"refused-with-{code}", {"Create job": [error(f"Bedrock.{code}", "no such model")]},
            REFUSED + ENDED, NOT_CREATED, f"Bedrock.{code}: no such model")
        for code in ("ValidationException", "AccessDeniedException", "ResourceNotFoundException")
    ),
    Job("refused-without-a-word", {"Create job": [error("Bedrock.AccessDeniedException", None)]},
        REFUSED + ENDED, NOT_CREATED, "Bedrock.AccessDeniedException: null"),
    Job("refused-as-our-own-job-has-the-name",
        {"Create job": [error("Bedrock.ValidationException", "The provided job name is currently in use.")],
         "Find job": [ok({"InvocationJobSummaries": [listed("refused-as-our-own-job-has-the-name")]})]},
        [*REFUSED, *FOUND, *WAITED, *ENDED]),
    Job("refused-as-a-name-is-in-use-that-nobody-lists",
        {"Create job": [error("Bedrock.ValidationException", "the name is in use")], "Find job": [ok(times=2)]},
        [*REFUSED, *LOOKED, *ENDED], NOT_CREATED,
        "Bedrock.ValidationException: the name is in use (and Bedrock lists no job of this name)"),
    # After every other error a job may exist, both after errors that pass and after unknown errors.
    *(
        Job(f"{name.replace('.', '-')}-for-ever-and-no-job",
            {"Create job": [error(name, "why", times=times)], "Find job": [ok(times=2)]},
            [*CREATED, *LOOKED, *ENDED], NOT_CREATED, f"{name}: why (and Bedrock lists no job of this name)")
        for name, times in PERHAPS_CREATED.items()
    ),
    *(
        Job(f"{name.replace('.', '-')}-for-ever-and-a-job",
            {"Create job": [error(name, "why", times=times)],
             "Find job": [ok({"InvocationJobSummaries": [
                 listed(f"{name.replace('.', '-')}-for-ever-and-a-job")]})]},
            [*CREATED, *FOUND, *WAITED, *ENDED])
        for name, times in PERHAPS_CREATED.items()
    ),
    Job("create-answers-without-an-arn-and-a-job-is-listed",
        {"Create job": [ok()], "Find job": [ok({"InvocationJobSummaries": [
            listed("create-answers-without-an-arn-and-a-job-is-listed")]})]},
        [*CREATED, *FOUND, *WAITED, *ENDED]),
    Job("create-answers-without-an-arn-and-no-job-is-listed", {"Create job": [ok()], "Find job": [ok(times=2)]},
        [*CREATED, *LOOKED, *ENDED], NOT_CREATED, f"{NO_ARN} (and Bedrock lists no job of this name)"),
    Job("name-taken-by-our-own-lost-create",
        taken_name(listed("name-taken-by-our-own-lost-create")),
        [*CREATED, *FOUND, *WAITED, *ENDED]),
    Job("found-among-others",
        taken_name(listed("other", JobArn=job_arn(8)), listed("found-among-others")),
        [*CREATED, *FOUND, *WAITED, *ENDED]),
    Job("listed-late",
        taken_name() | {"Find job": [ok(), ok({"InvocationJobSummaries": [listed("listed-late")]})]},
        [*CREATED, *FOUND, *LOOKED_AGAIN, *WAITED, *ENDED]),
    Job("name-taken-but-nobody-listed", taken_name(times=2), [*CREATED, *LOOKED, *ENDED], NOT_CREATED,
        "Bedrock.ConflictException: taken (and Bedrock lists no job of this name)"),
    Job("name-taken-but-only-others-listed", taken_name(listed("other"), times=2), [*CREATED, *LOOKED, *ENDED],
        NOT_CREATED, "Bedrock.ConflictException: taken (and Bedrock lists no job of this name)"),
    Job("park-fails-for-ever", {"Wait for job": [error("DynamoDb.ThrottlingException", "slow", times=13)]},
        [*CREATED, "Wait for job", "Pause", "Get job", "Job over?", *ENDED]),
    Job("intent-not-recorded", {"Record intent": [error("DynamoDB.ThrottlingException", "slow", times=13)]},
        ["Record intent", *GIVEN_UP], NOT_CREATED, "DynamoDB.ThrottlingException: slow"),
    Job("end-recorded-before", {"Record end": [error("DynamoDB.ConditionalCheckFailedException")]},
        CREATED + WAITED + ENDED),
    Job("join-fails", {"Join shard": [error("InputNotFound", "the frame is gone")]},
        [*CREATED, *WAITED, "Record end", "Shard of its own?", "Join shard", "Shard not joined"], joined=False),
    Job("join-dies-for-ever",
        {"Join shard": [error("Sandbox.Timedout", times=7)], "Get job": [got("Expired", Message="late")]},
        [*CREATED, *WAITED, "Record end", "Shard of its own?", "Join shard", "Shard not joined"], "Expired", "late",
        joined=False),
    # Every error that a state retries, one after the other. The job succeeds after all of them.
    Job("all-that-can-be-retried",
        {state: [*troubles("run", state), *answers] for state, answers in {
            "Record intent": [ok({"Attributes": {}})], "Create job": [ok({"JobArn": job_arn(0)})],
            "Wait for job": [wake()], "Get job": [got("Completed")], "Record end": [ok()],
            "Join shard": [payload(joined("all-that-can-be-retried", 0))]}.items()},
        CREATED + WAITED + ENDED),
    Job("all-that-can-be-retried-of-find-job",
        taken_name() | {"Find job": [*troubles("run", "Find job"), ok({"InvocationJobSummaries": [
            listed("all-that-can-be-retried-of-find-job")]})]},
        [*CREATED, *FOUND, *WAITED, *ENDED]),
]  # fmt: skip


# --- A run, seen from its parent ---

PLANNED = ["Claim run", "Record run", "Plan run", "Record plan", "Prepare shards"]
REVIEWED = [*PLANNED, "Review run", "Next step?"]
GATHERED = ["Gather leftovers", "Next step?"]
RAN = [*REVIEWED, "Run jobs", *GATHERED]
REJOINED = ["Join shards", *GATHERED]
FINISHED = ["Finish run", "Record run end", "Announce end", "Run succeeded"]


@dataclass(frozen=True)
class Run:
    """One run: the answers that differ from the good ones, the states it visits, and how it ends."""

    name: str
    script: Script
    path: list[str]
    error: str | None = None
    output: Json | None = None
    """The run's output, if it is not the result of Finish run."""
    shards: int = 1


def trouble_then(answer: Json, state: str) -> list[Json]:
    return [*troubles("run", state), answer]


def failing(state: str, name: str, path: list[str], *, times: int = 1) -> Run:
    run = f"{state.lower().replace(' ', '-')}-fails-with-{name.replace('.', '-')}"
    return Run(run, {state: [error(name, times=times)]}, path, name)


DRY = reviewed("dry-run", 1, jobs=0, dry_run=True, next="finish")
RUNS = [
    Run("one-shard", {}, RAN + FINISHED),
    Run("three-shards", {}, RAN + FINISHED, shards=3),
    Run("dry-run", {"Review run": [payload(DRY)]}, [*REVIEWED, *FINISHED]),
    Run("ends-with-warnings", {"Finish run": [payload(finished("ends-with-warnings", 1, warnings=3))]},
        RAN + FINISHED, output=finished("ends-with-warnings", 1, warnings=3)),
    # If Announce end fails, the run has still succeeded.
    *(
        Run(f"end-is-not-announced-{name.rpartition('.')[2]}", {"Announce end": [error(name, times=times)]},
            RAN + FINISHED)
        for name, times in (("EventBridge.FailedEntry", 6), ("EventBridge.AccessDeniedException", 1),
                            ("States.Timeout", 6), ("States.QueryEvaluationError", 1))
    ),
    Run("decision-nobody-knows", {"Review run": [payload(gathered("decision-nobody-knows", 1, "wait"))]}, REVIEWED,
        "States.NoChoiceMatched"),
    Run("nothing-to-run", {"Review run": [payload(gathered("nothing-to-run", 1, "join"))]},
        [*REVIEWED, *REJOINED, *FINISHED]),
    Run("shard-left-to-join", {"Gather leftovers": turns("shard-left-to-join", "join")},
        [*RAN, *REJOINED, *FINISHED]),
    Run("shard-cannot-be-joined", {"Gather leftovers": turns("shard-cannot-be-joined", "join")[:1],
                                   "Join remaining shard": [error("InputNotFound")]},
        [*RAN, "Join shards"], "States.ExceedToleratedFailureThreshold"),
    Run("second-round", {"Gather leftovers": turns("second-round", "run_jobs", "join")},
        [*RAN, "Run jobs", *GATHERED, *REJOINED, *FINISHED]),
    Run("second-round-is-not-pooled",
        {"Gather leftovers": turns("second-round-is-not-pooled", "run_jobs", "join"),
         "Pool leftovers": [error("PoolIncomplete", "gone")]},
        [*RAN, "Run jobs", *GATHERED, *REJOINED, *FINISHED]),
    Run("answered-on-demand", {"Gather leftovers": turns("answered-on-demand", "answer", "join")},
        [*RAN, "Answer leftovers", *GATHERED, *REJOINED, *FINISHED]),
    Run("only-on-demand",
        {"Review run": [payload(gathered("only-on-demand", 1, "answer"))],
         "Gather leftovers": turns("only-on-demand", "join")},
        [*REVIEWED, "Answer leftovers", *GATHERED, *REJOINED, *FINISHED]),
    Run("chunk-is-not-answered",
        {"Review run": [payload(gathered("chunk-is-not-answered", 1, "answer"))],
         "Gather leftovers": turns("chunk-is-not-answered", "join"),
         "Answer on demand": [error("Sandbox.Timedout", times=7)]},
        [*REVIEWED, "Answer leftovers", *GATHERED, *REJOINED, *FINISHED]),
    # Errors of access, a role or an SDK are not a record's fault. They end the run, and a redrive calls again.
    Run("access-comes-in-time",
        {"Review run": [payload(gathered("access-comes-in-time", 1, "answer"))],
         "Gather leftovers": turns("access-comes-in-time", "join"),
         "Answer on demand": [error("OnDemandRefused")]},
        [*REVIEWED, "Answer leftovers", *GATHERED, *REJOINED, *FINISHED]),
    *(
        Run(f"chunk-is-refused-with-{name}",
            {"Review run": [payload(gathered(f"chunk-is-refused-with-{name}", 1, "answer"))],
             "Answer on demand": [error(name, times=times)], "Answer remaining on demand": [error(name, times=times)]},
            [*REVIEWED, "Answer leftovers"], "States.ExceedToleratedFailureThreshold")
        for name, times in (("OnDemandRefused", 1), ("TransientError", 7))
    ),
    Run("asking-the-remaining-is-retried",
        {"Review run": [payload(gathered("asking-the-remaining-is-retried", 1, "answer"))],
         "Gather leftovers": turns("asking-the-remaining-is-retried", "join"),
         "Answer on demand": [error("OnDemandRefused")],
         "Answer remaining on demand": trouble_then(payload(answered(0)), "Answer remaining on demand")},
        [*REVIEWED, "Answer leftovers", *GATHERED, *REJOINED, *FINISHED]),
    Run("canary-fails",
        {"Review run": [payload(gathered("canary-fails", 1, "answer"))],
         "Gather leftovers": [payload(gathered("canary-fails", 1, "join")), error("CanaryFailed")]},
        [*REVIEWED, "Answer leftovers", *GATHERED, "Join shards", "Gather leftovers"], "CanaryFailed"),
    Run("plan-was-not-written", {"Plan run": [payload(planned("none", 1))]},
        PLANNED, "States.ItemReaderFailed"),
    # If a job's status is not known, the run fails and its jobs are stopped: records sent again could be paid twice.
    *(
        Run(f"{name}-{how}", script | {state: [error(f"Bedrock.{code}", times=times)]}, [*REVIEWED, "Run jobs"],
            "States.ExceedToleratedFailureThreshold")
        for name, state, script in (("get", "Get job", {}), ("list", "Find job", taken_name()))
        for how, code, times in (("fails-for-ever", "InternalServerException", 301),
                                 ("is-forbidden", "AccessDeniedException", 1))
    ),
    # An error of a shard is data until Review run raises it.
    Run("bad-row", {"Prepare shard/0": [error("MalformedInput", '{"errorMessage": "row 7"}')],
                    "Review run": [error("MalformedInput", "row 7")]},
        [*PLANNED, "Review run"], "MalformedInput", shards=2),
    Run("prepare-dies-for-ever", {"Prepare shard": [error("Runtime.ExitError", times=7)],
                                  "Review run": [error("PrepareFailed")]}, [*PLANNED, "Review run"], "PrepareFailed"),
    Run("prepare-never-answers", {"Prepare shard": [error("States.Timeout")], "Review run": [error("PrepareFailed")]},
        [*PLANNED, "Review run"], "PrepareFailed"),
    failing("Record run", "DynamoDB.ThrottlingException", ["Claim run", "Record run"], times=13),
    failing("Plan run", "InvalidRunInput", ["Claim run", "Record run", "Plan run"]),
    failing("Claim run", "RunNameTaken", ["Claim run"]),
    failing("Claim run", "TransientError", ["Claim run"], times=7),
    failing("Claim run", "Lambda.TooManyRequestsException", ["Claim run"], times=201),
    failing("Plan run", "Lambda.TooManyRequestsException", ["Claim run", "Record run", "Plan run"], times=201),
    failing("Plan run", "Sandbox.Timedout", ["Claim run", "Record run", "Plan run"], times=7),
    failing("Plan run", "States.Timeout", ["Claim run", "Record run", "Plan run"]),
    failing("Record plan", "DynamoDB.ThrottlingException", PLANNED[:-1], times=13),
    failing("Review run", "BudgetExceeded", [*PLANNED, "Review run"]),
    failing("Review run", "NoValidRows", [*PLANNED, "Review run"]),
    failing("Gather leftovers", "TransientError", RAN[:-1], times=7),
    failing("Gather leftovers", "PermissionMissing", RAN[:-1]),
    failing("Finish run", "TooManyFailures", [*RAN, "Finish run"]),
    failing("Finish run", "JoinIncomplete", [*RAN, "Finish run"]),
    failing("Record run end", "DynamoDB.AmazonDynamoDBException", [*RAN, "Finish run", "Record run end"], times=13),
    Run("everything-is-retried",
        {state: trouble_then(answer, state) for state, answer in {
            "Claim run": payload(claimed("everything-is-retried", BUCKET).to_json()), "Record run": ok(),
            "Plan run": payload(gathered("everything-is-retried", 1)),
            "Record plan": ok(), "Prepare shard": payload(prepared(0)),
            "Review run": payload(gathered("everything-is-retried", 1, "answer")),
            "Answer on demand": payload(answered(0)),
            "Join remaining shard": payload(joined("everything-is-retried", 0)),
            "Finish run": payload(finished("everything-is-retried", 1)), "Record run end": ok(),
            "Announce end": ok({"FailedEntryCount": 0})}.items()}
        | {"Gather leftovers": [*troubles("run", "Gather leftovers"), *turns("everything-is-retried", "join")]},
        [*REVIEWED, "Answer leftovers", *GATHERED, *REJOINED, *FINISHED]),
    Run("pooling-is-retried",
        {"Gather leftovers": turns("pooling-is-retried", "run_jobs", "join"),
         "Pool leftovers": trouble_then(payload({"records": ROWS, "bytes": 1}), "Pool leftovers")},
        [*RAN, "Run jobs", *GATHERED, *REJOINED, *FINISHED]),
]  # fmt: skip


# --- A job's event ---


@dataclass(frozen=True)
class Event:
    """One event: the answers, the states it visits, and how its execution ends."""

    name: str
    script: Script
    path: list[str]
    error: str | None = None
    status: str = "Completed"

    @property
    def detail(self) -> dict[str, Any]:
        return {"detail": {"batchJobName": "j", "status": self.status, "batchJobArn": job_arn(0)}}


NOTED = ["Which event?", "Record event", "Child waiting?"]
BEGUN = ["Which event?", "Record start"]
WAITING = ok({"Attributes": {"pk": {"S": "job/j"}, "task_token": {"S": "TOKEN"}}})
EVENTS = [
    Event("child-waits", {"Record event": [WAITING], "Wake child": [ok()]}, [*NOTED, "Wake child", "Child woken"]),
    Event("child-has-not-parked", {"Record event": [ok({"Attributes": {"pk": {"S": "job/j"}}})]},
          [*NOTED, "Nobody waits"]),
    Event("foreign-job", {"Record event": [error("DynamoDB.ConditionalCheckFailedException")]},
          ["Which event?", "Record event", "Foreign job"]),
    *(
        Event(f"token-is-spent-{name}", {"Record event": [WAITING], "Wake child": [error(f"Sfn.{name}")]},
              [*NOTED, "Wake child", "Nobody waits"])
        for name in ("TaskTimedOutException", "TaskDoesNotExistException", "InvalidTokenException")
    ),
    Event("all-is-retried",
          {"Record event": [*troubles("job-event", "Record event"), WAITING],
           "Wake child": [*troubles("job-event", "Wake child"), ok()]}, [*NOTED, "Wake child", "Child woken"]),
    Event("inventory-does-not-answer", {"Record event": [error("DynamoDB.ThrottlingException", times=9)]},
          ["Which event?", "Record event"], "DynamoDB.ThrottlingException"),
    Event("child-cannot-be-woken", {"Record event": [WAITING], "Wake child": [error("Sfn.ThrottlingException",
                                                                                    times=6)]},
          [*NOTED, "Wake child"], "Sfn.ThrottlingException"),
    Event("job-runs", {"Record start": [WAITING]}, [*BEGUN, "Start recorded"], status="InProgress"),
    Event("start-is-retried", {"Record start": [*troubles("job-event", "Record start"), WAITING]},
          [*BEGUN, "Start recorded"], status="InProgress"),
    Event("foreign-job-runs", {"Record start": [error("DynamoDB.ConditionalCheckFailedException")]},
          [*BEGUN, "Foreign job"], status="InProgress"),
    Event("start-cannot-be-recorded", {"Record start": [error("DynamoDB.ThrottlingException", times=9)]},
          BEGUN, "DynamoDB.ThrottlingException", "InProgress"),
]  # fmt: skip
