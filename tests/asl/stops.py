"""The scenario table of the stop-run machine: the answers of services, and the states that it then visits."""

import json
from dataclasses import dataclass
from typing import Any

from bedrock_batch.contracts.version import CONTRACT
from tests.unit.factories import STARTED

from .bench import (
    BUCKET,
    STARTED_MILLIS,
    Script,
    error,
    execution_arn,
    finished,
    got,
    job_arn,
    job_name,
    joined,
    ok,
    payload,
    troubles,
)
from .machines import Json
from .scenarios import listed

CLAIMED = ["Note run", "Read claim", "Claim of this run?"]
ASKED = ["Describe run", "Run over?"]
LOOKED = [*ASKED, "Look for lists of jobs", "Any jobs?"]
SCANNED = [*LOOKED, "Record stop", "Find unfinished jobs", "All found?"]
QUIET = [*SCANNED, "Wait for stragglers"]
NOTED = ["Record run end", "Gather leftovers", "Record message", "Anything to join?"]
SETTLED = [*CLAIMED, *QUIET, *QUIET, *ASKED, *NOTED]
SALVAGED = ["Join shards", "Finish run", "Run stopped"]
WITH_JOB = [*CLAIMED, *SCANNED, "Stop jobs", *SETTLED[3:], "Run stopped"]
STOPPED = ["Stop job", "Get job", "Job over?", "Record end", "Job stopped"]

CALLED = ("gather_leftovers", "join_shard", "finish_run")


@dataclass(frozen=True)
class Stop:
    """One stopped run: the answers, the visited states, and the states of its job's child."""

    name: str
    script: Script
    path: list[str]
    child: list[str] | None = None
    error: str | None = None
    start: int | str = STARTED_MILLIS

    def answers(self) -> Script:
        """Return the script, with the answers of a run that was aborted and has one job in flight."""
        scans = [unfinished(self.name)] if self.child else []
        return {
            "Read claim": [claim(self.name)],
            "Describe run": [aborted(times=3 + len(scans))],
            "Look for lists of jobs": [lists(1, times=2 + len(scans))],
            "Record stop": [ok(times=2 + len(scans))],
            "Find unfinished jobs": [*scans, unfinished(times=2)],
            "Stop job": [ok()],
            "Get job": [got("Stopped", ProcessedRecordCount=7)],
            "Record end": [ok()],
            "Record run end": [ok()],
            "Gather leftovers": [payload({"next": "end", "run_id": self.name, "message": "stopped"})],
            "Record message": [ok()],
        } | self.script


def claim(name: str, **changes: Any) -> Json:
    functions = {function: f"arn:aws:lambda:::function:{function}:3" for function in CALLED}
    said = {"contract": 1, "execution_arn": execution_arn(name), "started_at": STARTED, "functions": functions}
    return ok({"Body": json.dumps(said | changes)})


def aborted(*, times: int = 1, status: str = "ABORTED", **more: Any) -> Json:
    return ok({"Status": status, "StartDate": STARTED} | more, times=times)


def unfinished(*runs: str, times: int = 1, arn: bool = True, **more: Any) -> Json:
    items = [{"pk": {"S": f"job/{job_name(run)}"}} | ({"job_arn": {"S": job_arn(0)}} if arn else {}) for run in runs]
    return ok({"Items": items, "Count": len(items), "ScannedCount": len(items)} | more, times=times)


def lists(count: int, *, times: int = 1) -> Json:
    return ok({"KeyCount": count}, times=times)


def salvage(name: str) -> Json:
    keys = {"prefix": f"reviews/work/{name}", "joins_key": f"reviews/work/{name}/joins-salvage.jsonl"}
    return {"contract": CONTRACT, "bucket": BUCKET, "next": "join", "message": "stopped", **keys}


UNKNOWN_ARN = [unfinished("arn-unknown", arn=False), unfinished(times=2)]
LATE = [unfinished("created-late", arn=False), unfinished(times=2)]
STOPS = [
    *(
        Stop(f"of-another-{what}", {"Read claim": [claim(f"of-another-{what}", **changes)], "Describe run": [],
                                    "Look for lists of jobs": [], "Record stop": [], "Find unfinished jobs": [],
                                    "Record run end": [], "Gather leftovers": [], "Record message": []},
             [*CLAIMED, "Not the run of this name"])
        for what, changes in (("machine", {"execution_arn": execution_arn("other")}),
                              ("start", {"started_at": "2099-12-31T23:59:58.999Z"}))
    ),
    Stop("without-a-claim", {"Read claim": [error("S3.NoSuchKeyException")], "Describe run": [],
                             "Look for lists of jobs": [], "Record stop": [], "Find unfinished jobs": [],
                             "Record run end": [], "Gather leftovers": [], "Record message": []},
         ["Note run", "Read claim", "Not the run of this name"]),
    Stop("start-is-rounded", {"Read claim": [claim("start-is-rounded", started_at="2100-01-01T00:00:00.4Z")]},
         [*SETTLED, "Run stopped"]),
    Stop("started-by-hand", {}, [*SETTLED, "Run stopped"], start=STARTED),
    Stop("nothing-in-flight", {}, [*SETTLED, "Run stopped"]),
    Stop("failed-before-any-job",
         {"Describe run": [aborted(status="FAILED", Error="MissingColumn", Cause="no {reviw}")],
          "Look for lists of jobs": [lists(0)], "Record stop": [], "Find unfinished jobs": []},
         [*CLAIMED, *LOOKED, *NOTED, "Run stopped"]),
    Stop("redriven-after-its-end-was-noted", {"Record message": [error("DynamoDB.ConditionalCheckFailedException")]},
         [*SETTLED, "Run stopped"]),
    Stop("redriven-meanwhile", {"Describe run": [aborted(status="RUNNING")], "Record stop": []},
         [*CLAIMED, *ASKED, "Run goes on"]),
    Stop("redriven-between-the-scans", {"Describe run": [aborted(), aborted(status="RUNNING")],
                                       "Record stop": [ok()]},
         [*CLAIMED, *QUIET, *ASKED, "Run goes on"]),
    Stop("redriven-and-done",
         {"Record run end": [error("DynamoDB.ConditionalCheckFailedException")]},
         [*SETTLED[:-3], "Run goes on"]),
    *(
        Stop(f"machine-was-deleted-{meanwhile}", {"Describe run": [described] * 4}, WITH_JOB,
             ["Created?", "Note job", *STOPPED])
        for meanwhile, described in (("and-its-runs-too", error("Sfn.ExecutionDoesNotExistException")),
                                     ("and-made-anew", aborted(status="RUNNING", StartDate="2100-01-02T00:00:00Z")))
    ),
    *(
        Stop(f"stop-is-not-recorded-{error_name.rpartition('.')[2]}",
             {"Record stop": [error(error_name, times=times), ok()]}, [*SETTLED, "Run stopped"])
        for error_name, times in (("DynamoDB.ConditionalCheckFailedException", 1),
                                  ("DynamoDB.ThrottlingException", 13))
    ),
    Stop("one-job", {}, WITH_JOB, ["Created?", "Note job", *STOPPED]),
    Stop("many-pages",
         {"Look for lists of jobs": [lists(1, times=3)], "Find unfinished jobs": [
             unfinished(LastEvaluatedKey={"run_id": {"S": "many-pages"}, "pk": {"S": "job/a"}}),
             unfinished("many-pages"), unfinished(times=2)]},
         [*CLAIMED, *SCANNED, "Find unfinished jobs", "All found?", "Stop jobs", *SETTLED[3:], "Run stopped"],
         ["Created?", "Note job", *STOPPED]),
    *(
        Stop(f"over-already-{name}",
             {"Stop job": [error(f"Bedrock.{name}")], "Get job": [got("Completed", Message="whole")]},
             WITH_JOB, ["Created?", "Note job", *STOPPED])
        for name in ("ConflictException", "ValidationException", "ResourceNotFoundException")
    ),
    Stop("takes-its-time", {"Stop job": [ok(times=3)], "Get job": [got("Stopping", times=2), got("Stopped")]},
         WITH_JOB,
         ["Created?", "Note job", *["Stop job", "Get job", "Job over?", "Wait for end"] * 2, *STOPPED]),
    Stop("ended-by-its-own-child", {"Record end": [error("DynamoDB.ConditionalCheckFailedException")]},
         WITH_JOB, ["Created?", "Note job", *STOPPED]),
    Stop("arn-unknown",
         {"Find unfinished jobs": UNKNOWN_ARN, "Find job": [ok({"InvocationJobSummaries": [listed("arn-unknown")]})]},
         WITH_JOB, ["Created?", "Find job", "Job found?", *STOPPED]),
    Stop("created-late",
         {"Find unfinished jobs": LATE,
          "Find job": [ok(), ok({"InvocationJobSummaries": [listed("created-late")]})]},
         WITH_JOB,
         ["Created?", "Find job", "Job found?", "Wait before looking again", "Find job", "Job found?", *STOPPED]),
    *(
        Stop(name,
             {"Find unfinished jobs": [unfinished(name, arn=False), unfinished(times=2)],
              "Find job": [ok(times=2)], "Stop job": [], "Get job": [], "Record end": [],
              "Record no job": [answer]},
             WITH_JOB,
             ["Created?", "Find job", "Job found?", "Wait before looking again", "Find job", "Job found?",
              "Record no job", "Job stopped"])
        for name, answer in (("never-created", ok()),
                             ("ended-without-arn", error("DynamoDB.ConditionalCheckFailedException")))
    ),
    Stop("may-not-stop", {"Stop job": [error("Bedrock.AccessDeniedException")], "Get job": [], "Record end": [],
                          "Describe run": [aborted()], "Record stop": [ok()],
                          "Find unfinished jobs": [unfinished("may-not-stop")],
                          "Record run end": [], "Gather leftovers": []},
         [*CLAIMED, *SCANNED, "Stop jobs"], ["Created?", "Note job", "Stop job"],
         "States.ExceedToleratedFailureThreshold"),
    Stop("salvaged",
         {"Gather leftovers": [payload(salvage("salvaged"))], "Join remaining shard": [payload(joined("salvaged", 0))],
          "Finish run": [payload(finished("salvaged", 1))]}, [*SETTLED, *SALVAGED]),
    Stop("all-of-a-stop-is-retried",
         {state: [*troubles("stop-run", state), answer] for state, answer in {
             "Record run end": ok(), "Record message": ok(),
             "Gather leftovers": payload(salvage("all-of-a-stop-is-retried")),
             "Join remaining shard": payload(joined("all-of-a-stop-is-retried", 0)),
             "Finish run": payload(finished("all-of-a-stop-is-retried", 1)),
             "Find job": ok({"InvocationJobSummaries": [listed("all-of-a-stop-is-retried")]}),
             "Stop job": ok(), "Get job": got("Stopped"), "Record end": ok()}.items()}
         | {"Read claim": [*troubles("stop-run", "Read claim"), claim("all-of-a-stop-is-retried")],
            "Describe run": [*troubles("stop-run", "Describe run"), aborted(times=4)],
            "Look for lists of jobs": [*troubles("stop-run", "Look for lists of jobs"), lists(1, times=3)],
            "Record stop": [*troubles("stop-run", "Record stop"), ok(times=3)],
            "Find unfinished jobs": [*troubles("stop-run", "Find unfinished jobs"),
                                     unfinished("all-of-a-stop-is-retried", arn=False), unfinished(times=2)]},
         [*WITH_JOB[:-1], *SALVAGED], ["Created?", "Find job", "Job found?", *STOPPED]),
    Stop("recording-no-job-is-retried",
         {"Find unfinished jobs": [unfinished("recording-no-job-is-retried", arn=False), unfinished(times=2)],
          "Find job": [ok(times=2)], "Stop job": [], "Get job": [], "Record end": [],
          "Record no job": [*troubles("stop-run", "Record no job"), ok()]},
         WITH_JOB, ["Created?", "Find job", "Job found?", "Wait before looking again", "Find job",
                                "Job found?", "Record no job", "Job stopped"]),
]  # fmt: skip
