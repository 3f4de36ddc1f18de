"""Step Functions on the local AWS: the Distributed Map."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from local.process import Engine
from tests.local.sfn_probe import (
    BUCKET,
    THROW,
    Account,
    distributed,
    failed,
    give,
    park,
    until,
)


def test_children_are_executions_with_their_own_input_and_history(account: Account) -> None:
    account.items("three.jsonl", [{"n": i} for i in range(3)])
    child = {"Work": give("{% {'in': $states.context.Execution.Input, 'arn': $states.context.Execution.Id} %}")}
    selector = {
        "n": "{% $states.context.Map.Item.Value.n %}",
        "i": "{% $states.context.Map.Item.Index %}",
        "run": "{% $states.input.run %}",
    }
    arn = account.start(
        {
            "M": distributed(
                child, "{% $states.input.key %}", ItemSelector=selector, MaxConcurrency="{% $states.input.limit %}"
            )
        },
        {"key": "three.jsonl", "limit": 2, "run": "r"},
    )
    outputs = json.loads(account.ended(arn)["output"])
    assert [output["in"] for output in outputs] == [{"n": i, "i": i, "run": "r"} for i in range(3)]
    children = account.children(arn)
    assert {output["arn"] for output in outputs} == {one["executionArn"] for one in children}
    assert all("/Jobs:" in one["executionArn"] for one in children)
    kinds = [event["type"] for event in account.events(children[0]["executionArn"])]
    assert kinds == ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"]
    assert account.map_run(arn)["maxConcurrency"] == 2
    assert account.map_run(arn)["executionCounts"]["succeeded"] == 3


@pytest.mark.parametrize(("inside", "more"), [("{% $outer %}", {}), (1, {"ItemSelector": {"n": "{% $outer %}"}})])
def test_variables_stop_at_the_border_of_a_distributed_map(account: Account, inside: Any, more: dict[str, Any]) -> None:
    states = {"Set": give([1], Assign={"outer": 1}, Next="M"), "M": distributed({"A": give(inside)}, **more)}
    assert account.run(states)["status"] == "FAILED"


def test_results_are_written_with_a_manifest(account: Account) -> None:
    account.items("mixed.jsonl", [1, 2, 3])
    child = {
        "Odd?": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input = 2 %}", "Next": "F"}], "Default": "G"},
        "G": give(["{% $states.input %}"]),
        "F": THROW,
    }

    def written(transformation: str, output_type: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        writer = {
            "Resource": "arn:aws:states:::s3:putObject",
            "WriterConfig": {"Transformation": transformation, "OutputType": output_type},
            "Arguments": {"Bucket": "{% $states.input.bucket %}", "Prefix": "results/here"},
        }
        result = account.result(
            {"M": distributed(child, "mixed.jsonl", ResultWriter=writer, ToleratedFailurePercentage=50)},
            {"bucket": BUCKET},
        )
        folder = f"results/here/{result['MapRunArn'].rpartition(':')[2]}"
        assert result["ResultWriterDetails"] == {"Bucket": BUCKET, "Key": f"{folder}/manifest.json"}
        manifest = json.loads(account.object(f"{folder}/manifest.json"))
        assert manifest["DestinationBucket"] == BUCKET and manifest["MapRunArn"] == result["MapRunArn"]
        files = manifest["ResultFiles"]
        [succeeded], [failures] = files["SUCCEEDED"], files["FAILED"]
        assert succeeded["Key"].startswith(f"{folder}/SUCCEEDED_0") and files["PENDING"] == []
        text = account.object(succeeded["Key"])
        assert succeeded["Size"] == len(text)
        first = account.object(failures["Key"])
        failure = json.loads(first)[0] if output_type == "JSON" else json.loads(first)
        return text, failure, json.loads(account.object(f"{folder}/manifest.json"))

    text, failure, _ = written("COMPACT", "JSONL")
    assert text.split("\n") == ["[1]", "[3]"]
    assert (failure["Input"], failure["Error"], failure["Status"]) == ("2", "Boom", "FAILED")
    assert written("FLATTEN", "JSON")[0] == "[1,3]"
    entries = json.loads(written("NONE", "JSON")[0])
    assert [(entry["Input"], entry["Output"]) for entry in entries] == [("1", "[1]"), ("3", "[3]")]


def test_no_items_is_a_success_without_children(account: Account) -> None:
    account.items("none.jsonl", [])
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": BUCKET, "Prefix": "empty"}}
    arn = account.start({"M": distributed({"A": give(1)}, "none.jsonl", ResultWriter=writer)})
    result = json.loads(account.ended(arn)["output"])
    files = json.loads(account.object(result["ResultWriterDetails"]["Key"]))["ResultFiles"]
    assert files == {"SUCCEEDED": [], "FAILED": [], "PENDING": []}
    assert account.children(arn) == []


def test_too_many_failures_end_the_map_and_stop_the_others(account: Account) -> None:
    child = {
        "First?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input = 1 %}", "Next": "F"}],
            "Default": "W",
        },
        "W": {"Type": "Wait", "Seconds": 30, "End": True},
        "F": THROW,
    }
    arn = account.start({"M": distributed(child, Items=[2, 1, 3, 4], MaxConcurrency=2)})
    assert failed(account.ended(arn)) == "States.ExceedToleratedFailureThreshold"
    assert sorted(one["status"] for one in account.children(arn)) == ["ABORTED", "FAILED"]
    run = account.map_run(arn)
    assert run["status"] == "FAILED" and run["itemCounts"]["pending"] == 2


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"ToleratedFailureCount": "{% 2 %}"}, "SUCCEEDED"),
        ({"ToleratedFailureCount": 1}, "FAILED"),
        ({"ToleratedFailurePercentage": 50}, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 49.9}, "FAILED"),
        ({"ToleratedFailurePercentage": 100, "ToleratedFailureCount": 1}, "FAILED"),
    ],
)
def test_failures_are_tolerated_up_to_the_limits(account: Account, limits: dict[str, Any], status: str) -> None:
    child = {
        "Odd?": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input % 2 = 0 %}", "Next": "F"}],
            "Default": "G",
        },
        "G": give(1),
        "F": THROW,
    }
    assert account.run({"M": distributed(child, Items=[1, 2, 3, 4], **limits)})["status"] == status


def test_a_missing_item_object_has_its_own_error(account: Account) -> None:
    assert failed(account.run({"M": distributed({"A": give(1)}, "nowhere.jsonl")})) == "States.ItemReaderFailed"


def test_csv_listings_and_batches_are_read(account: Account) -> None:
    account.client("s3").put_object(Bucket=BUCKET, Key="rows/one.csv", Body='a,b\n1,"x\ny"\n2\n')
    child = {"A": {"Type": "Pass", "End": True}}
    table = distributed(child, "rows/one.csv", ItemBatcher={"MaxItemsPerBatch": 2, "BatchInput": {"k": "v"}})
    table["ItemReader"]["ReaderConfig"] = {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}
    rows = [{"a": "1", "b": "x\ny"}, {"a": "2", "b": ""}]
    assert account.result({"M": table}) == [{"Items": rows, "BatchInput": {"k": "v"}}]
    listing = distributed(child)
    listing["ItemReader"] = {
        "Resource": "arn:aws:states:::s3:listObjectsV2",
        "Arguments": {"Bucket": BUCKET, "Prefix": "rows/"},
    }
    assert [item["Key"] for item in account.result({"M": listing})] == ["rows/one.csv"]


def test_the_concurrency_of_a_running_map_can_be_changed(account: Account) -> None:
    arn = account.start(
        {
            "M": distributed(
                {"P": park("{% 'live' & $string($states.input) %}", TimeoutSeconds=30)},
                Items=[1, 2, 3],
                MaxConcurrency=1,
            )
        }
    )
    account.token("live1")
    run = account.map_run(arn)
    assert (run["executionCounts"]["running"], run["executionCounts"]["pending"]) == (1, 2)
    account.sfn.update_map_run(mapRunArn=run["mapRunArn"], maxConcurrency=3)
    until(lambda: account.map_run(arn)["executionCounts"]["running"], lambda running: running == 3)
    for key in ("live1", "live2", "live3"):
        account.sfn.send_task_success(taskToken=account.token(key), output="{}")
    assert account.ended(arn)["status"] == "SUCCEEDED"


def test_express_children_run_but_cannot_wait_for_tokens(account: Account) -> None:
    assert account.result({"M": distributed({"A": give("ok")}, Items=[1], execution_type="EXPRESS")}) == ["ok"]
    arn = account.start({"M": distributed({"P": park("never")}, Items=[1], execution_type="EXPRESS")})
    account.ended(arn)
    [child] = account.children(arn)
    assert ":express:" in child["executionArn"] and child["status"] == "FAILED"


def test_two_hundred_children_park_without_threads_and_wake(account: Account, engine: Engine) -> None:
    account.items("many.jsonl", list(range(200)))
    before = _threads(engine.pid)
    started = time.monotonic()
    arn = account.start(
        {
            "M": distributed(
                {"P": park("{% 'many' & $string($states.input) %}", TimeoutSeconds=60)},
                "many.jsonl",
                Output="{% $count($states.result) %}",
            )
        }
    )
    until(lambda: account.map_run(arn)["executionCounts"]["running"], lambda running: running == 200)
    tokens = [account.token(f"many{i}") for i in range(200)]
    assert _threads(engine.pid) - before < 20
    for token in tokens:
        account.sfn.send_task_success(taskToken=token, output="{}")
    assert account.ended(arn)["output"] == "200"
    assert time.monotonic() - started < 30


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
