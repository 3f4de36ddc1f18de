"""Review run, Gather leftovers and Finish run on S3, turn by turn."""

import pytest
from botocore.exceptions import ClientError

from bedrock_batch import keys
from bedrock_batch.contracts.lines import Pool
from bedrock_batch.errors import CanaryFailed, TooManyFailures
from bedrock_batch.records.pool_leftovers import pool_leftovers
from tests.conftest import BUCKET
from tests.functional.played import RUN, Bench, Jobs, finished, job, reviewed
from tests.unit.factories import keys_of, make_run

NOVA = "amazon.nova-lite-v1:0"


@pytest.fixture
def bench(aws: None) -> Bench:
    return Bench([150, 150, 40])


def test_first_round_has_the_large_shards(bench: Bench) -> None:
    bench.bedrock = Jobs(job("other-1"), job("other-2", "Completed"), job("other-3", model="amazon.nova-pro-v1:0"))
    state = bench.review()
    assert (state["next"], state["rounds"], state["jobs"]) == ("run_jobs", 1, 2)
    first, second = bench.lines(state["jobs_key"])
    assert [first["number"], second["number"]] == [0, 1]
    assert first["request"]["InputDataConfig"]["S3InputDataConfig"]["S3Uri"].endswith("/input/00000.jsonl")
    assert (first["join"]["step"], first["join"]["jobs"]) == (0, [])
    assert "pool" not in first
    assert state["max_concurrent_jobs"] == 20
    again = reviewed(bench.s3, bench.bedrock, {key: state[key] for key in bench.planned()})
    assert again == state, "the same input gives the same answer"


@pytest.mark.parametrize(("others", "free"), [(0, 20), (85, 15), (100, 1), (130, 1)])
def test_jobs_of_others_leave_less_room(bench: Bench, others: int, free: int) -> None:
    theirs = [job(f"other-{number}", model=("us." if number % 2 else "") + NOVA) for number in range(others)]
    of_no_matter = [job("ended", "Stopped"), job("of-another-model", model="amazon.nova-pro-v1:0")] * 50
    bench.bedrock = Jobs(*theirs, *of_no_matter)
    assert bench.review()["max_concurrent_jobs"] == free


def test_jobs_of_custom_models_have_their_own_room(aws: None) -> None:
    base, custom = "amazon.titan-embed-image-v1", "custom-model/amazon.titan-embed-image-v1/abc123def456"
    custom = f"arn:aws:bedrock:us-east-1:123456789012:{custom}"
    quotas = make_run().quotas | {"concurrent_jobs": 10}
    bench = Bench([100] * 12, model_id=custom, quotas=quotas)
    bench.bedrock = Jobs(*[job(f"base-{number}", model=base) for number in range(9)])
    assert bench.review()["max_concurrent_jobs"] == 10
    bench.bedrock = Jobs(*[job(f"own-{number}") | {"modelId": custom} for number in range(7)])
    assert bench.review()["max_concurrent_jobs"] == 3


def test_jobs_of_the_run_itself_take_no_room(bench: Bench) -> None:
    own = keys.job_name(bench.run.job_names, 0, 0)
    bench.bedrock = Jobs(*[job(own)] * 99)
    assert bench.review()["max_concurrent_jobs"] == 20


def test_who_may_not_list_jobs_counts_none(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.bedrock = Jobs(error="AccessDeniedException")
    assert bench.review()["max_concurrent_jobs"] == 20
    (entry,) = [record.__dict__ for record in caplog.records if record.message == "active jobs are not counted"]
    assert entry["run_id"] == RUN and "AccessDeniedException" in entry["why"]
    bench.bedrock = Jobs(error="ThrottlingException")
    with pytest.raises(ClientError):
        bench.review()


def test_leftovers_of_all_shards_are_pooled_then_joined_then_done(bench: Bench) -> None:
    state = bench.review()
    first, second = bench.lines(state["jobs_key"])
    state = bench.gather(state, [bench.job_result(first, range(0, 150, 3)), bench.job_result(second, range(30))])
    assert (state["next"], state["rounds"], state["jobs"]) == ("run_jobs", 2, 3)
    (pooled,) = bench.lines(state["jobs_key"])
    assert pooled["records"] == 50 + 30 + 40
    assert pooled["pool"]["leftover_lines"] == [
        {"shard": 0, "start": 0, "stop": 50, "step": 0},
        {"shard": 1, "start": 0, "stop": 30, "step": 0},
        {"shard": 2, "start": 0, "stop": 40, "step": None},
    ]
    assert pool_leftovers(bench.s3, Pool.from_json(pooled["pool"]))["records"] == 120
    written = bench.lines(pooled["pool"]["input_key"])
    assert [one["recordId"] for one in written][:2] == ["00000000000", "00000000003"]
    assert len({one["recordId"] for one in written}) == 120

    state = bench.gather(state, [bench.job_result(pooled, status="PartiallyCompleted")])
    assert state["next"] == "join"
    events = bench.lines(state["joins_key"])
    assert [event["shard"] for event in events] == [0, 1, 2]
    assert [[end["job_name"] for end in event["jobs"]] for event in events] == [
        [first["job_name"], pooled["job_name"]],
        [second["job_name"], pooled["job_name"]],
        [pooled["job_name"]],
    ]
    # A few are left: on demand. Their leftovers lie in the file of this step.
    state = bench.gather(state, [bench.joined(event, range(10)) for event in events])
    assert (state["next"], state["passes"]) == ("answer", 1)
    chunks = bench.lines(state["answers_key"])
    assert [chunk["leftover_lines"][0]["step"] for chunk in chunks] == [2, 2, 2]
    state = bench.gather(state, [{"chunk": 0, "records": 30, "failed": 0}])
    assert state["next"] == "join"
    events = bench.lines(state["joins_key"])
    assert events[0]["jobs"][-1]["raw_prefix"] == keys_of(RUN).raw("on-demand-0")
    state = bench.gather(state, [bench.joined(event, ()) for event in events])
    assert state["next"] == "finish"

    ended = finished(bench.s3, state)
    assert ended["jobs"] == 3
    report = bench.s3.get_json(BUCKET, keys_of(RUN).report)
    assert report["rounds"] == [
        {"jobs": {"Completed": 2}, "records": 300},
        {"jobs": {"PartiallyCompleted": 1}, "records": 120},
    ]
    assert report["on_demand"] == [{"records": 30, "failed": 0, "lost_chunks": 0}]
    assert report["outcomes"]["succeeded"] == 340
    assert [one["job_name"] for one in report["failed_jobs"]] == [pooled["job_name"]]


RETRY = {"outcomes": ["truncated"], "max_tokens": 900, "place": "/inferenceConfig/maxTokens"}


def test_retries_have_a_round_of_their_own_when_rounds_are_used_up(aws: None) -> None:
    limits = make_run().limits | {"max_rounds": 0}
    bench = Bench([150, 150], retry=RETRY, limits=limits)
    state = bench.review()
    first, second = bench.lines(state["jobs_key"])
    results = [bench.job_result(first, range(140, 150), again=range(60)), bench.job_result(second, (), again=range(50))]
    state = bench.gather(state, results)
    assert (state["next"], state["rounds"]) == ("run_jobs", 2)
    (pooled,) = bench.lines(state["jobs_key"])
    assert pooled["records"] == 110
    assert pooled["pool"]["leftover_lines"] == [
        {"shard": 0, "start": 0, "stop": 60, "step": 0},
        {"shard": 1, "start": 0, "stop": 50, "step": 0},
    ]
    state = bench.gather(state, [bench.job_result(pooled)])
    events = bench.lines(state["joins_key"])
    assert [[end["leftovers_step"] for end in event["jobs"]] for event in events] == [[None, 0], [None, 0]]
    joined = [bench.joined(events[0], range(140, 150)), bench.joined(events[1], ())]
    joined[0]["joined"]["retried"] = {"succeeded": 55, "truncated": 5}
    joined[1]["joined"]["retried"] = {"succeeded": 50}
    # The ten records without an answer are left for the tail.
    state = bench.gather(state, joined)
    assert (state["next"], state["passes"]) == ("answer", 1)
    (chunk,) = bench.lines(state["answers_key"])
    assert chunk["leftover_lines"] == [{"shard": 0, "start": 0, "stop": 10, "step": 2}]
    state = bench.gather(state, [{"chunk": 0, "records": 10, "failed": 1}])
    (event,) = bench.lines(state["joins_key"])
    assert [end["leftovers_step"] for end in event["jobs"]] == [None, 0, 2]
    # Two of the tail's answers met their limit too, and get their own pass.
    state = bench.gather(state, [bench.joined(event, [149], again=[140, 141])])
    assert (state["next"], state["passes"]) == ("answer", 2)
    (chunk,) = bench.lines(state["answers_key"])
    assert chunk["leftover_lines"] == [{"shard": 0, "start": 0, "stop": 2, "step": 4}]
    state = bench.gather(state, [{"chunk": 0, "records": 2, "failed": 0}])
    (event,) = bench.lines(state["joins_key"])
    last = bench.joined(event, [149])
    last["joined"]["retried"] = {"succeeded": 57, "truncated": 5}
    state = bench.gather(state, [last])
    assert state["next"] == "finish"
    finished(bench.s3, state)
    report = bench.s3.get_json(BUCKET, keys_of(RUN).report)
    assert report["retried"] == {"records": 112, "succeeded": 107, "truncated": 5}
    assert [round_["records"] for round_ in report["rounds"]] == [300, 110]
    assert [pass_["records"] for pass_ in report["on_demand"]] == [10, 2]


def test_without_retry_the_report_does_not_speak_of_it(aws: None) -> None:
    bench = Bench([100])
    state = bench.review()
    (only,) = bench.lines(state["jobs_key"])
    state = bench.gather(state, [bench.job_result(only, ())])
    finished(bench.s3, state)
    assert "retried" not in bench.s3.get_json(BUCKET, keys_of(RUN).report)


def test_a_lost_chunk_is_told_to_its_rows(aws: None) -> None:
    bench = Bench([30])
    state = bench.review()
    assert state["next"] == "answer"
    state = bench.gather(state, [{"chunk": 0, "error": "Sandbox.Timedout", "cause": "late"}])
    (event,) = bench.lines(state["joins_key"])
    assert (event["jobs"][0]["status"], event["jobs"][0]["message"]) == ("Failed", "Sandbox.Timedout: late")
    state = bench.gather(state, [bench.joined(event, range(30))])
    assert state["next"] == "finish", "on demand once"
    with pytest.raises(TooManyFailures):
        finished(bench.s3, state)
    assert bench.s3.get_json(BUCKET, keys_of(RUN).report)["on_demand"][0]["lost_chunks"] == 1


def test_shards_whose_rows_were_all_skipped_are_joined_at_the_end(aws: None) -> None:
    bench = Bench([100, 0])
    state = bench.review()
    (only,) = bench.lines(state["jobs_key"])
    state = bench.gather(state, [bench.job_result(only, ())])
    assert state["next"] == "join"
    (event,) = bench.lines(state["joins_key"])
    assert (event["shard"], event["jobs"], event["skipped_key"]) == (1, [], f"reviews/work/{RUN}/skipped/00001.jsonl")


def test_a_join_that_failed_in_its_child_is_done_again(bench: Bench) -> None:
    state = bench.review()
    first, second = bench.lines(state["jobs_key"])
    state = bench.gather(state, [bench.job_result(first), bench.job_result(second, ())])
    assert state["next"] == "join"
    assert [event["shard"] for event in bench.lines(state["joins_key"])] == [0]


def test_a_canary_goes_first_and_stops_a_run_that_would_fail(aws: None) -> None:
    limits = make_run().limits | {"canary_records": 20, "canary_failure_percentage": 10}
    bench = Bench([20, 150], limits=limits)
    state = bench.review()
    assert (state["next"], state["passes"], state.get("rounds", 0)) == ("answer", 1, 0)
    chunks = bench.lines(state["answers_key"])
    assert {sent["shard"] for chunk in chunks for sent in chunk["leftover_lines"]} == {0}
    state = bench.gather(state, [{"chunk": 0, "records": 20, "failed": 0}])
    (event,) = bench.lines(state["joins_key"])
    good = bench.gather(state, [bench.joined(event, ())])
    assert (good["next"], good["rounds"]) == ("run_jobs", 1)
    assert [one["join"]["shard"] for one in bench.lines(good["jobs_key"])] == [1]
    bad = bench.joined(event, ())
    bad["joined"]["outcomes"] = {"succeeded": 17, "failed": 3}
    with pytest.raises(CanaryFailed):
        bench.gather(state, [bad])


def test_a_run_whose_jobs_bedrock_refused_says_why(aws: None) -> None:
    bench = Bench([100], limits=make_run().limits | {"max_rounds": 0})
    state = bench.review()
    (only,) = bench.lines(state["jobs_key"])
    why = "Bedrock.ValidationException: Batch inference is not supported for the requested model"
    refused = bench.job_result(only, range(100)) | {"status": "NotCreated", "message": why}
    state = bench.gather(state, [refused])
    assert state["next"] == "finish"
    with pytest.raises(TooManyFailures, match=rf"The message of the first failed job: {why}\. The table in"):
        finished(bench.s3, state)
