"""The faults of the real service can be caused in the stand-in."""

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.bench import NOVA, TERMINAL, Bench, code_of, prompts


def test_create_faults_by_job_name_and_number_of_times(bench: Bench) -> None:
    bench.engine.configure(
        faults=[
            {"job_name_contains": "slow", "fail_create": {"error": "ThrottlingException", "times": 2}},
            {"job_name_contains": "never", "refuse_create": {"error": "ValidationException", "message": "not for you"}},
        ]
    )
    uri = bench.put(prompts())
    assert [code_of(lambda: bench.create(uri, name="slow")) for _ in range(2)] == ["ThrottlingException"] * 2
    bench.create(uri, name="slow")
    for _ in range(3):
        with pytest.raises(ClientError, match="not for you"):
            bench.create(uri, name="never")
    bench.create(uri, name="other")


def test_a_rule_may_want_several_texts_in_the_name_of_a_job(bench: Bench) -> None:
    refused = {"error": "ValidationException", "message": "not for you"}
    bench.engine.configure(faults=[{"job_name_contains": ["-monday-", "-r0-"], "refuse_create": refused}])
    uri = bench.put(prompts())
    with pytest.raises(ClientError, match="not for you"):
        bench.create(uri, name="e2e-monday-r0-0")
    bench.create(uri, name="e2e-monday-r1-0")
    bench.create(uri, name="e2e-sunday-r0-0")


def test_a_job_that_may_not_be_looked_at(bench: Bench) -> None:
    bench.engine.configure(faults=[{"refuse_get": {"error": "AccessDeniedException"}}])
    arn = bench.create(bench.put(prompts()))
    assert code_of(lambda: bench.get(arn)) == "AccessDeniedException"
    assert bench.get(arn)["jobArn"] == arn


def test_a_lost_response_leaves_a_job_that_its_token_finds_again(bench: Bench) -> None:
    bench.engine.configure(faults=[{"lose_create_response": True}])
    uri = bench.put(prompts())
    with pytest.raises(ClientError) as error:
        bench.create(uri, clientRequestToken="t")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert bench.end(bench.create(uri, clientRequestToken="t"))["status"] == "Completed"
    assert set(bench.engine.bedrock()["records"].values()) == {1}


@pytest.mark.parametrize(
    ("fault", "status", "written"),
    [
        ({"fail_job": "Out of luck"}, "Failed", 0),
        ({"fail_job": "Out of luck", "partial": 0.25}, "Failed", 50),
        ({"expire": True}, "Expired", 0),
        ({"expire": True, "partial": 0.5}, "Expired", 100),
        ({"partial": 0.5}, "PartiallyCompleted", 100),
    ],
)
def test_faulty_ends(bench: Bench, fault: dict[str, Any], status: str, written: int) -> None:
    bench.engine.configure(faults=[fault])
    job, lines = bench.run(prompts(200))
    assert job["status"] == status
    assert job.get("message", "") == fault.get("fail_job", "")
    assert job["processedRecordCount"] == len(lines) == written
    assert len(bench.engine.bedrock()["records"]) == written


def test_a_rule_fires_for_its_first_jobs_alone(bench: Bench) -> None:
    bench.engine.configure(faults=[{"times": 1, "fail_job": "first only"}])
    uri = bench.put(prompts())
    assert bench.end(bench.create(uri, name="one"))["status"] == "Failed"
    assert bench.end(bench.create(uri, name="two"))["status"] == "Completed"


def test_record_errors_and_output_anomalies(bench: Bench) -> None:
    bench.engine.configure(
        faults=[
            {
                "record_errors": {"every": 10, "code": 429, "message": "Too busy"},
                "drop_records": 3,
                "duplicate_records": 2,
                "foreign_records": 1,
            }
        ]
    )
    job, lines = bench.run(prompts())
    assert (job["successRecordCount"], job["errorRecordCount"]) == (90, 10)
    ids = [line["recordId"] for line in lines]
    assert len(ids) == 100 - 3 + 2 + 1
    assert len(set(ids)) == 100 - 3 + 1
    assert sum(record_id.startswith("FOREIGN") for record_id in ids) == 1
    (manifest,) = bench.lines(job, "manifest.json.out")
    counts = (manifest["processedRecordCount"], manifest["successRecordCount"], manifest["errorRecordCount"])
    assert counts == (100, 90, 10), "the manifest knows nothing of what was lost"
    errors = [line["error"] for line in lines if "error" in line]
    assert errors == [{"errorCode": 429, "errorMessage": "Too busy"}] * 10


def test_a_manifest_may_be_missing(bench: Bench) -> None:
    bench.engine.configure(faults=[{"no_manifest": True}])
    job, lines = bench.run(prompts())
    assert (job["successRecordCount"], len(lines)) == (100, 100)
    assert list(bench.lines(job, "manifest.json.out")) == []


@pytest.mark.parametrize(
    ("fault", "completed"), [({"drop_events": True}, 0), ({"duplicate_events": 2}, 2), ({"early_event": True}, 2)]
)
def test_event_faults(bench: Bench, fault: dict[str, Any], completed: int) -> None:
    bench.engine.configure(faults=[fault])
    bench.run(prompts())
    assert bench.statuses(wait_seconds=1).count("Completed") == completed


def test_an_early_event_comes_before_the_job_is_done(bench: Bench) -> None:
    bench.engine.configure(faults=[{"early_event": True, "stuck": 5}])
    arn = bench.create(bench.put(prompts()))
    assert "Completed" in bench.statuses()
    assert bench.get(arn)["status"] not in TERMINAL
    bench.reach(arn, {"Scheduled"})
    time.sleep(0.3)
    assert bench.get(arn)["status"] == "Scheduled", "stuck"


def test_delayed_events_come_after_the_end(bench: Bench) -> None:
    bench.engine.configure(faults=[{"delay_event_seconds": 0.8}])
    bench.run(prompts())
    assert bench.statuses(wait_seconds=0) == []
    time.sleep(1.0)
    assert "Completed" in bench.statuses()


def test_on_demand_faults(bench: Bench) -> None:
    bench.engine.configure(faults=[{"fail_invoke": {"error": "ThrottlingException", "times": 1}}])
    call = {"modelId": NOVA, "messages": prompts(1)[0]["messages"]}
    assert code_of(lambda: bench.aws.bedrock_runtime.converse(**call)) == "ThrottlingException"
    bench.aws.bedrock_runtime.converse(**call)
    assert bench.engine.bedrock()["on_demand"] == {"answered": 1, "refused": 1}
    denied = {"fail_invoke": {"error": "AccessDeniedException", "message": "no Marketplace rights", "times": 1}}
    bench.engine.configure(
        faults=[{**denied, "prompt_contains": "no such words"}, {**denied, "prompt_contains": "plus"}]
    )
    with pytest.raises(ClientError, match="no Marketplace rights") as error:
        bench.aws.bedrock_runtime.converse(**call)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    bench.aws.bedrock_runtime.converse(**call)


def test_what_is_paid_twice_shows(bench: Bench) -> None:
    uri = bench.put(prompts())
    bench.end(bench.create(uri, name="one"))
    assert bench.engine.bedrock()["paid_twice"] == {}
    bench.aws.bedrock_runtime.converse(modelId=NOVA, messages=prompts(1)[0]["messages"])
    assert list(bench.engine.bedrock()["paid_twice"].values()) == [2]
    bench.end(bench.create(uri, name="two"))
    assert len(bench.engine.bedrock()["paid_twice"]) == 100
    assert set(bench.engine.bedrock()["records"].values()) == {2}
    assert set(bench.engine.bedrock(job_name_contains="two")["records"].values()) == {1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed": 1}, "Unknown setting 'speed'"),
        ({"seconds_per_status": "fast"}, "must be a number"),
        ({"faults": [{"explode": True}]}, "unknown explode"),
        ({"faults": {"fail_job": "x"}}, "must be a list"),
    ],
)
def test_settings_are_checked(bench: Bench, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bench.engine.configure(**settings)


def test_reset_forgets_jobs_and_settings(bench: Bench) -> None:
    bench.engine.configure(seconds_per_status=0.5, faults=[{"fail_job": "x"}])
    arn = bench.create(bench.put(prompts()))
    bench.engine.reset()
    summary = bench.engine.bedrock()
    assert (summary["jobs"], summary["creates"], summary["config"]["faults"]) == ({}, {}, [])
    assert code_of(lambda: bench.get(arn)) == "ResourceNotFoundException"
