"""Every path through the machines, run by the real interpreter on scripted answers."""

from collections.abc import Iterator

import pytest

from bedrock_batch import keys
from bedrock_batch.contracts.lines import Chunk, JobEnd, PlannedShard, Pool, Shard
from bedrock_batch.contracts.version import CONTRACT
from tests.unit.factories import keys_of

from . import scenarios, services
from .bench import (
    LOST,
    ROWS,
    Bench,
    answered,
    error,
    finished,
    gathered,
    job_name,
    joined,
    payload,
    prepared,
    turns,
    wake,
)
from .histories import Ended, ways_taken
from .machines import Json, all_chains, all_states, chains
from .scenarios import EVENTS, JOBS, RUNS, Event, Job, Run
from .stops import STOPS, Stop


def test_names_are_unique() -> None:
    names = [scenario.name for scenario in [*JOBS, *RUNS, *EVENTS, *STOPS]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_job(ended: dict[str, Ended], job: Job) -> None:
    run = ended[job.name]
    child = run.of("RunJobs")[0]
    assert child.visited() == job.path
    assert child.status == "SUCCEEDED", "a child ends well whatever becomes of its job"
    assert child.output == job.output()
    assert run.visited() == [*scenarios.RAN, *([] if job.joined else scenarios.REJOINED), *scenarios.FINISHED]
    assert run.status == "SUCCEEDED"
    assert_script_is_used_up(job.answers(), [run, *run.children])


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_run(ended: dict[str, Ended], run: Run) -> None:
    parent = ended[run.name]
    assert parent.visited() == run.path
    if run.error:
        assert (parent.status, parent.description["error"]) == ("FAILED", run.error)
    else:
        assert parent.status == "SUCCEEDED"
        assert parent.output == (run.output or finished(run.name, run.shards))
    assert_script_is_used_up(run.script, [parent, *parent.children])


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_event(ended: dict[str, Ended], event: Event) -> None:
    execution = ended[event.name]
    assert execution.visited() == event.path
    assert execution.status == ("FAILED" if event.error else "SUCCEEDED")
    assert execution.description.get("error") == event.error
    assert_script_is_used_up(event.script, [execution])


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
def test_stop(ended: dict[str, Ended], stop: Stop) -> None:
    execution = ended[stop.name]
    assert execution.visited() == stop.path
    assert execution.status == ("FAILED" if stop.error else "SUCCEEDED")
    assert execution.description.get("error") == stop.error
    assert [child.visited() for child in execution.of("StopJobs")] == ([stop.child] if stop.child else [])
    if stop.child or stop.error is None:
        assert_script_is_used_up(stop.script, [execution, *execution.children])


def assert_script_is_used_up(script: dict[str, list[Json]], executions: list[Ended]) -> None:
    """Every answer is used: an unused one means that a state gave up early or was not reached."""
    for key, answers in script.items():
        state = key.split("/")[0]
        if "/" in key:
            continue  # This answer is for one child only.
        asked = sum(visit.attempts for execution in executions for visit in execution.visits() if visit.state == state)
        assert asked == sum(answer.get("times", 1) for answer in answers), state


# --- What children return, and what becomes of it ---


def test_children_run_one_for_each_line(ended: dict[str, Ended]) -> None:
    run = ended["three-shards"]
    assert [child.visited() for child in run.of("PrepareShards")] == [["Prepare shard", "Shard prepared"]] * 3
    assert [child.visited() for child in run.of("RunJobs")] == [JOBS[0].path] * 3
    assert [child.output["job_name"] for child in run.of("RunJobs")] == [job_name("three-shards", n) for n in range(3)]


def test_results_of_children_are_lines_in_s3(bench: Bench, ended: dict[str, Ended]) -> None:
    """The next function finds the results by the manifest's key in the run's state."""
    run = ended["three-shards"]
    shards = bench.results(run.state_output("Prepare shards")["prepared"]["Key"])
    assert sorted(shards, key=lambda result: result["shard"]) == [prepared(n) for n in range(3)]
    results = bench.results(run.state_output("Run jobs")["result"]["Key"])
    assert sorted(result["joined"]["shard"] for result in results) == [0, 1, 2]
    again = ended["shard-left-to-join"]
    (rejoined,) = bench.results(again.state_output("Join shards")["result"]["Key"])
    assert rejoined == {"joined": joined("shard-left-to-join", 0)}


def test_error_of_a_shard_is_kept_as_data(ended: dict[str, Ended]) -> None:
    bad, good = ended["bad-row"].of("PrepareShards")
    assert (bad.status, bad.visited()) == ("SUCCEEDED", ["Prepare shard", "Shard not prepared"])
    assert bad.output == {"shard": 0, "error": "MalformedInput", "cause": '{"errorMessage": "row 7"}'}
    assert good.output == prepared(1)
    (dead,) = ended["prepare-dies-for-ever"].of("PrepareShards")
    assert dead.output == {"shard": 0, "error": "Runtime.ExitError", "cause": "on purpose"}
    (silent,) = ended["prepare-never-answers"].of("PrepareShards")
    assert silent.output == {"shard": 0, "error": "States.Timeout", "cause": ""}


def test_second_join_replaces_the_first(ended: dict[str, Ended]) -> None:
    (child,) = ended["join-fails"].of("JoinShards")
    assert child.output == {"joined": joined("join-fails", 0)}
    assert [c.status for c in ended["shard-cannot-be-joined"].of("JoinShards")] == ["FAILED"]


def test_job_that_was_created_before_is_not_created_again(ended: dict[str, Ended]) -> None:
    child = ended["created-before"].of("RunJobs")[0]
    assert "Create job" not in child.visited()
    assert [text for state, text in child.outputs() if "SECRET" in text] == []


def test_wait_doubles_when_no_event_comes(ended: dict[str, Ended]) -> None:
    events = ended["lost-event"].of("RunJobs")[0].events
    parked, timed_out = (
        [event["timestamp"] for event in events if event["type"] == kind] for kind in ("TaskSubmitted", "TaskTimedOut")
    )
    waits = [(end - start).total_seconds() for start, end in zip(parked, timed_out, strict=True)]
    assert waits == [pytest.approx(1, abs=0.9), pytest.approx(2, abs=0.9)]


# --- Redrive: nothing that was done is done again ---


def test_redrive_adopts_the_job_that_runs(bench: Bench) -> None:
    bench.start_run("stopped", {"Wait for job": [LOST, wake()]})
    bench.until_reached("stopped", "RunJobs", "Wait for job")
    bench.stop("stopped")
    assert bench.ended("run", "stopped").status == "ABORTED"
    bench.redrive("stopped")
    run = bench.ended("run", "stopped")
    assert run.status == "SUCCEEDED"
    (child,) = run.of("RunJobs")
    assert child.visited() == [*scenarios.CREATED, "Wait for job", *scenarios.WAITED, *scenarios.ENDED]


def test_redrive_joins_only_what_was_not_joined(bench: Bench) -> None:
    leftovers = turns("half-joined", "join", shards=2)
    again = [error("InputNotFound"), payload(joined("half-joined", 1))]
    bench.start_run("half-joined", {"Gather leftovers": leftovers, "Join remaining shard/1": again}, shards=2)
    assert bench.ended("run", "half-joined").status == "FAILED"
    bench.redrive("half-joined")
    run = bench.ended("run", "half-joined")
    assert run.status == "SUCCEEDED"
    assert [visit.attempts for child in run.of("JoinShards") for visit in child.visits()] == [1, 1, 1]
    assert len(run.of("RunJobs")) == 2, "the jobs are not run again"


def test_redrive_tells_gather_leftovers_how_often_there_was_one(bench: Bench) -> None:
    """A redrive goes back to the state that failed, with the same input."""
    again = turns("permitted", "run_jobs", "join")
    bench.start_run("permitted", {"Gather leftovers": [error("PermissionMissing"), error("PermissionMissing"), *again]})
    for redrives in range(3):
        run = bench.ended("run", "permitted")
        sent = [arguments["Payload"] for state, arguments in run.calls() if state == "Gather leftovers"]
        assert sent[redrives]["redrives"] == redrives
        assert sent[redrives] | {"redrives": 0} == sent[0]
        if redrives < 2:
            assert (run.status, run.description["error"]) == ("FAILED", "PermissionMissing")
            bench.redrive("permitted")
    assert run.status == "SUCCEEDED"
    assert len(run.of("RunJobs")) == 2, "the jobs of the first round are not run again"


def test_redrive_asks_what_was_refused_on_demand(bench: Bench) -> None:
    refused, run_id = error("OnDemandRefused"), "refused-then-allowed"
    script = {
        "Review run": [payload(gathered(run_id, 1, "answer"))],
        "Gather leftovers": turns(run_id, "join"),
        "Answer on demand": [refused],
        "Answer remaining on demand": [refused, refused, payload(answered(0))],
    }
    bench.start_run(run_id, script)
    assert bench.ended("run", run_id).status == "FAILED"
    bench.redrive(run_id)
    assert bench.ended("run", run_id).status == "FAILED", "a redrive alone gives no access"
    bench.redrive(run_id)
    run = bench.ended("run", run_id)
    assert run.status == "SUCCEEDED"
    (child,) = run.of("AnswerLeftovers")
    assert child.visited() == ["Answer on demand", *["Answer remaining on demand"] * 3, "Chunk answered"]
    assert child.output == answered(0)


# --- What is sent ---


def calls(ended: dict[str, Ended]) -> Iterator[tuple[str, Json]]:
    for execution in ended.values():
        for part in [execution, *execution.children]:
            for state, arguments in part.calls():
                yield f"{part.chain}: {state}", arguments


def test_every_call_is_one_that_the_service_takes(ended: dict[str, Ended]) -> None:
    called = {str(state): services.call(state.body["Resource"]) for state in all_states() if state.type == "Task"}
    for state, arguments in calls(ended):
        assert not services.input_problems(arguments, called[state]), state


def test_functions_get_what_their_contracts_say(ended: dict[str, Ended]) -> None:
    """Reading an event fails if a key is missing. Shape.from_json ignores other keys."""
    for state, arguments in calls(ended):
        name = state.split(": ")[1]
        if name in ("Pool leftovers", "Answer on demand", "Answer remaining on demand"):
            sent = (Pool if name == "Pool leftovers" else Chunk).from_json(arguments["Payload"])
            assert all(one.records > 0 for one in sent.leftover_lines)
            assert sent.leftover_lines
            assert sent.run_key.startswith("reviews/work/")
        if name in ("Prepare shard", "Join shard", "Join remaining shard"):
            shard = (PlannedShard if name == "Prepare shard" else Shard).from_json(arguments["Payload"])
            assert shard.run_key.startswith("reviews/work/")
        if name == "Join shard":
            (job,) = map(JobEnd.from_json, arguments["Payload"]["jobs"])
            assert job.raw_prefix == keys_of(shard.run_key.split("/")[2]).raw(job.job_name)
            assert "skipped_key" in arguments["Payload"]


def test_every_function_is_told_the_contract_of_its_event(ended: dict[str, Ended]) -> None:
    """The edge of a function refuses an event without a contract."""
    functions = {str(state) for state in all_states() if state.body.get("Resource", "").endswith("lambda:invoke")}
    sent = {state: arguments["Payload"] for state, arguments in calls(ended) if state in functions}
    assert sent.keys() == functions
    assert {state: payload.get("contract") for state, payload in sent.items()} == dict.fromkeys(functions, CONTRACT)


def test_a_repeated_create_is_the_same_job(ended: dict[str, Ended]) -> None:
    child = ended["quota-full-for-hours"].of("RunJobs")[0]
    requests = [arguments for state, arguments in child.calls() if state == "Create job"]
    assert len(requests) == 51
    assert all(request == requests[0] for request in requests)
    assert requests[0]["ClientRequestToken"] == keys.client_request_token(requests[0]["JobName"])


def test_the_inventory_says_how_far_a_run_can_get(ended: dict[str, Ended]) -> None:
    (recorded,) = [arguments for state, arguments in ended["three-shards"].calls() if state == "Record plan"]
    values = recorded["ExpressionAttributeValues"]
    assert values[":rows"] == {"N": str(3 * ROWS)}
    for n in range(3):
        assert job_name("three-shards", n).startswith(values[":job_names"]["S"] + "-")


# --- The whole table ---


def test_table_takes_every_way(ended: dict[str, Ended]) -> None:
    taken = {key for execution in ended.values() for part in [execution, *execution.children] for key in used(part)}
    there = {(str(state), way.kind) for state in all_states() for way in state.ways() if way.target}
    there |= {(str(state), "visit") for state in all_states()}
    there |= {(str(state), f"retry {n}") for state in all_states() for n, _ in enumerate(state.retriers())}
    assert taken <= there
    assert there - taken == set()
    assert {chain.name for chain in all_chains()} == {state.split(":")[0] for state, _ in taken}


def used(execution: Ended) -> Iterator[tuple[str, str]]:
    machine = execution.chain.split("/")[0]
    states = next(chain.states for chain in chains(machine) if chain.name == execution.chain)
    for visit in execution.visits():
        state = states[visit.state]
        yield str(state), "visit"
        for way in ways_taken(state, visit):
            yield str(state), way


# --- What a pooled job and a chunk return ---


def test_a_pooled_job_is_not_joined_by_its_child(ended: dict[str, Ended]) -> None:
    first, second = ended["second-round"].of("RunJobs")
    assert first.visited() == JOBS[0].path
    assert second.visited()[:5] == ["Record intent", "Created before?", "Pool leftovers", "Create job", "Wait for job"]
    assert second.visited()[-2:] == ["Shard of its own?", "Job ended"]
    assert second.output["status"] == "Completed"
    assert second.output["job_name"].endswith("-r1-00000")


def test_a_job_that_cannot_be_pooled_is_not_created(ended: dict[str, Ended]) -> None:
    _, second = ended["second-round-is-not-pooled"].of("RunJobs")
    assert "Create job" not in second.visited()
    assert (second.output["status"], second.output["message"]) == ("NotCreated", "PoolIncomplete: gone")


def test_a_chunk_that_is_not_answered_is_kept_as_data(ended: dict[str, Ended]) -> None:
    (chunk,) = ended["chunk-is-not-answered"].of("AnswerLeftovers")
    assert chunk.output == {"chunk": 0, "error": "Sandbox.Timedout", "cause": "on purpose"}


@pytest.mark.parametrize(
    ("name", "warnings", "status"),
    [("one-shard", 0, "SUCCEEDED"), ("ends-with-warnings", 3, "SUCCEEDED_WITH_WARNINGS"), ("dry-run", 0, "SUCCEEDED")],
)
def test_the_end_of_a_run_is_recorded_and_announced(
    ended: dict[str, Ended], name: str, warnings: int, status: str
) -> None:
    sent = dict(ended[name].calls())
    assert sent["Record run end"]["ExpressionAttributeValues"][":status"] == {"S": status}
    assert sent["Announce end"] == {
        "Entries": [
            {
                "Source": "bedrock-batch",
                "DetailType": "Bedrock Batch Run Ended",
                "Detail": {
                    "name": name,
                    "status": status,
                    "executionArn": ended[name].description["executionArn"],
                    "stateMachineArn": ended[name].description["stateMachineArn"],
                    "rows": finished(name, 1)["rows"],
                    "warnings": warnings,
                    "report": finished(name, 1)["report_uri"],
                },
            }
        ]
    }


def test_a_run_that_has_succeeded_stays_so_with_warnings_too(ended: dict[str, Ended]) -> None:
    conditions = {
        state: arguments["ConditionExpression"]
        for state, arguments in ended["one-job"].calls()
        if state in ("Record stop", "Record run end")
    }
    assert conditions == {
        "Record stop": "attribute_exists(pk) AND NOT begins_with(#status, :succeeded)",
        "Record run end": "attribute_not_exists(pk) OR NOT begins_with(#status, :succeeded)",
    }


def test_end_of_a_job_is_written_down_once(ended: dict[str, Ended]) -> None:
    """The run's child and stop-run may both record an end; the second one changes nothing."""
    for state, arguments in calls(ended):
        if state.split(": ")[1] in ("Record end", "Record no job"):
            assert arguments["ConditionExpression"] == "attribute_not_exists(ended_at)"
        if state.endswith(": Wait for job"):
            assert "attribute_not_exists(ended_at)" in arguments["ConditionExpression"]


def test_why_a_run_failed_is_handed_on_and_noted(ended: dict[str, Ended]) -> None:
    calls_of = dict(ended["failed-before-any-job"].calls())
    event = calls_of["Gather leftovers"]["Payload"]
    assert (event["status"], event["error"], event["cause"]) == ("FAILED", "MissingColumn", "no {reviw}")
    values = calls_of["Record message"]["ExpressionAttributeValues"]
    assert (values[":message"], values[":status"]) == ({"S": "stopped"}, {"S": "FAILED"})
    assert calls_of["Look for lists of jobs"]["Prefix"] == "reviews/work/failed-before-any-job/jobs-"
    without_error = dict(ended["nothing-in-flight"].calls())["Gather leftovers"]["Payload"]
    assert (without_error["error"], without_error["cause"]) == ("", "")
