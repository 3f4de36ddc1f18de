"""What a run costs Step Functions: sizes of states, events of histories, billed transitions."""

import json
from typing import Any

import jsonata
import pytest

from .bench import Bench, turns
from .histories import Ended
from .machines import ROOT, State, all_states

MAX_EVENTS = 25_000
EXPRESS_SECONDS = 300
LONGEST_JOB_SECONDS = 168 * 3600
MANY = 60


MAX_STATE_BYTES = 256 * 1024


@pytest.fixture(scope="module")
def few_and_many(bench: Bench) -> tuple[Ended, Ended]:
    """The same run, with shards left to join, of 3 and of 60 shards."""
    for shards in (3, MANY):
        left = turns(f"shards-{shards}", "join", shards=shards)
        bench.start_run(f"shards-{shards}", {"Gather leftovers": left}, shards=shards)
    few, many = (bench.ended("run", f"shards-{shards}") for shards in (3, MANY))
    assert (few.status, many.status) == ("SUCCEEDED", "SUCCEEDED")
    assert len(many.children) == 3 * MANY
    return few, many


def test_parents_history_does_not_grow_with_the_shards(few_and_many: tuple[Ended, Ended]) -> None:
    few, many = few_and_many
    assert [event["type"] for event in few.events] == [event["type"] for event in many.events]
    print(f"events of the parent: {len(many.events)}, transitions: {many.transitions()}")
    assert len(many.events) <= 80
    assert many.transitions() == 17


def test_states_do_not_grow_with_the_shards(few_and_many: tuple[Ended, Ended]) -> None:
    few, many = (dict(run.outputs()) for run in few_and_many)
    assert few.keys() == many.keys()
    for state, output in many.items():
        # A digit more for each count, and for each mention of the run's name.
        assert len(output) - len(few[state]) <= 20, state
        assert len(output) < 2000, state


def test_a_good_job_is_cheap(ended: dict[str, Ended]) -> None:
    (prepare,), (job,) = (ended["good"].of(label) for label in ("PrepareShards", "RunJobs"))
    print(
        f"events of a job: {len(job.events)}, transitions: {job.transitions()}; "
        f"of preparing its shard: {len(prepare.events)} and {prepare.transitions()}"
    )
    assert len(job.events) <= 41
    assert job.transitions() == 10
    assert len(prepare.events) <= 9
    assert prepare.transitions() == 2


def test_event_machine_ends_by_itself_before_its_time_is_up() -> None:
    """An EXPRESS execution has five minutes. If it retries longer, it ends, and nobody wakes the run's child."""
    tasks = [state for state in all_states() if state.chain == "job-event" and state.type == "Task"]
    of_start, *of_end = map(longest_seconds, tasks)
    longest = max(of_start, sum(of_end))
    print(f"the longest execution of job-event: {longest:.0f} s")
    assert [task.name for task in tasks] == ["Record start", "Record event", "Wake child"]
    assert longest < 0.95 * EXPRESS_SECONDS


def longest_seconds(task: State) -> float:
    """Return the longest time of a task: every attempt times out, and every pause is the longest possible one."""
    (rule,) = task.retriers()
    pauses = [
        min(rule["IntervalSeconds"] * rule["BackoffRate"] ** number, rule["MaxDelaySeconds"])
        for number in range(rule["MaxAttempts"])
    ]
    return float((rule["MaxAttempts"] + 1) * task.body["TimeoutSeconds"] + sum(pauses))


def test_event_machine_is_cheap(ended: dict[str, Ended]) -> None:
    assert (ended["job-runs"].transitions(), ended["child-waits"].transitions()) == (3, 5)


# --- The most jobs that are stopped at once ---


def test_unfinished_jobs_fit_into_a_state_however_many_there_are() -> None:
    """The scan ends with the page that reaches the limit, and starts again when the jobs found so far are stopped."""
    scan = state("Find unfinished jobs").body
    again = jsonata.Jsonata.jsonata(state("All found?").body["Choices"][0]["Condition"][2:-2])
    page = scan["Arguments"]["Limit"]
    counts = range(5_000)
    stops = (count for count in counts if not again.evaluate(None, {"after": "job/x", "jobs": [{}] * count}))
    most = next(stops, len(counts))
    arn = f"arn:aws-us-gov:bedrock:ap-southeast-2:123456789012:model-invocation-job/{'x' * 12}"
    items = [{"pk": {"S": f"job/{'x' * 63}"}, "job_arn": {"S": arn}}] * page
    found = jsonata.Jsonata.jsonata(scan["Assign"]["jobs"][2:-2]).evaluate(
        None, {"jobs": [], "states": {"result": {"Items": items}}}
    )
    assert len(found) == page
    size = len(json.dumps(found[0])) + 2
    print(f"at most {most - 1 + page} jobs of {size} bytes in a state, {len(json.dumps(items))} bytes in a page")
    assert (most - 1 + page) * size < MAX_STATE_BYTES
    assert limit("max_concurrent_jobs")["maximum"] - page < most, "a run's jobs are stopped together"
    assert most - 1 + page <= state("Stop jobs").body["MaxConcurrency"], "none waits for another, and is paid"
    assert len(json.dumps(items)) < MAX_STATE_BYTES


# --- The longest waits that can be ---


def child(ended: dict[str, Ended], name: str) -> Ended:
    return ended[name].of("RunJobs")[0]


def state(name: str) -> State:
    return next(state for state in all_states() if state.name == name)


def doubled(expression: str, variable: str, value: float) -> float:
    """Evaluate an Assign of the machine."""
    found: Any = jsonata.Jsonata.jsonata(expression[2:-2]).evaluate(None, {variable: value})
    return float(found)


def waits(expression: str, variable: str, first: float) -> int:
    """Return the number of waits in the longest job. The Assign computes each wait from the one before."""
    count, waited, length = 0, 0.0, first
    while waited < LONGEST_JOB_SECONDS:
        count, waited, length = count + 1, waited + length, doubled(expression, variable, length)
    return count


def limit(name: str) -> dict[str, int]:
    """Return the schema of one of the run input's limits."""
    schema = json.loads((ROOT / "lambda_src/bedrock_batch/run_input/run_input.schema.json").read_text())
    said: dict[str, int] = schema["properties"]["limits"]["properties"][name]
    return said


def retry_events(ended: dict[str, Ended]) -> float:
    slow, good = child(ended, "quota-full-for-hours"), child(ended, "good")
    return (len(slow.events) - len(good.events)) / 50


def events_of_all_retries() -> int:
    """Return the events of a child in which each state uses all retries of all its retriers once."""
    states = [state for state in all_states() if state.chain == "run/RunJobs"]
    return sum(3 * rule["MaxAttempts"] for state in states for rule in state.retriers())


@pytest.mark.parametrize("which", ["minimum", "default", "maximum"])
def test_longest_job_without_any_event_fits_a_history(ended: dict[str, Ended], which: str) -> None:
    good, lost = child(ended, "good"), child(ended, "lost-event-then-one-that-comes")
    each = len(lost.events) - len(good.events)
    assert each <= 13
    timeout = next(rule for rule in state("Wait for job").body["Catch"] if "States.Timeout" in rule["ErrorEquals"])
    seconds = limit("check_seconds")[which]
    count = waits(timeout["Assign"]["check_seconds"], "check_seconds", seconds)
    total = len(good.events) + count * each + events_of_all_retries()
    print(f"check_seconds {limit('check_seconds')[which]}: {count} waits of {each} events, at most {total} events")
    assert total < MAX_EVENTS / 2


def test_longest_job_with_a_wrong_event_fits_a_history(ended: dict[str, Ended]) -> None:
    one, three = child(ended, "early-event"), child(ended, "event-of-an-end-that-get-does-not-see-yet")
    each = (len(three.events) - len(one.events)) / 2
    first = state("Record intent").body["Assign"]["pause_seconds"]
    count = waits(state("Pause").body["Assign"]["pause_seconds"], "pause_seconds", first)
    total = len(one.events) + count * each + events_of_all_retries()
    print(f"a wrong event: {count} pauses of {each:.0f} events, at most {total:.0f} events")
    assert total < MAX_EVENTS / 2


def test_longest_job_that_the_inventory_never_parks_fits_a_history(ended: dict[str, Ended]) -> None:
    good, lost = child(ended, "good"), child(ended, "lost-event-then-one-that-comes")
    refused = child(ended, "park-fails-for-ever")
    each = len(refused.events) - len(good.events) + len(lost.events) - len(good.events)
    count = waits(state("Pause").body["Assign"]["pause_seconds"], "pause_seconds", 5)
    total = len(good.events) + count * each
    print(f"an inventory that refuses for a week: {count} pauses of {each} events, at most {total} events")
    assert total < MAX_EVENTS


def test_full_quota_is_waited_for_through_days_within_a_history(ended: dict[str, Ended]) -> None:
    (quota,) = (
        rule
        for rule in state("Create job").retriers()
        if rule["ErrorEquals"] == ["Bedrock.ServiceQuotaExceededException"]
    )
    assert retry_events(ended) == 3
    hours = quota["MaxAttempts"] * quota["MaxDelaySeconds"] / 2 / 3600  # full jitter takes half of it on average
    print(f"a full quota: some {hours:.0f} h, {3 * quota['MaxAttempts']} events")
    assert 72 < hours < 168
    assert 3 * quota["MaxAttempts"] < MAX_EVENTS / 2


@pytest.mark.parametrize("name", ["Find job", "Get job"])
def test_bedrock_is_asked_for_a_day_before_a_run_fails(name: str) -> None:
    (job,) = (one for one in all_states() if (one.chain, one.name) == ("run/RunJobs", name))
    (rule,) = job.retriers()
    assert 24 < rule["MaxAttempts"] * rule["MaxDelaySeconds"] / 2 / 3600 < 36  # full jitter takes half of it on average
