"""The stand-in's models answer in the shapes of the real models, and refuse the same requests."""

import hashlib
import json
import math
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.bedrock import models, vectors
from local.bedrock.replies import reply
from tests.local.bench import CLAUDE, NOVA, TITAN, Bench, error_code, prompts


def test_a_wrong_body_is_an_error_of_its_record_alone(bench: Bench) -> None:
    bodies = prompts(100)
    bodies[7] = {"inputText": "not for Converse"}
    bodies[8] = {"messages": [{"role": "user", "content": [{"text": " "}]}]}
    job, lines = bench.run(bodies)
    assert (job["status"], job["errorRecordCount"]) == ("Completed", 2)
    failed = {line["recordId"]: line for line in lines if "error" in line}
    assert set(failed) == {"r000007", "r000008"}
    assert failed["r000007"]["modelInput"] == bodies[7]
    assert "modelOutput" not in failed["r000007"]
    assert failed["r000007"]["error"]["errorCode"] == 400


def test_converse_bodies_in_a_claude_job_all_fail_and_the_job_completes(bench: Bench) -> None:
    job, lines = bench.run(prompts(), model=CLAUDE, modelInvocationType="InvokeModel")
    assert (job["status"], job["successRecordCount"], job["errorRecordCount"]) == ("Completed", 0, 100)
    assert lines[0]["error"]["errorMessage"] == "anthropic_version: Field required"


def test_titan_embeddings(bench: Bench) -> None:
    bodies = [{"inputText": f"text {n}", "dimensions": 256} for n in range(100)]
    bodies[3] = {"inputText": ""}
    job, lines = bench.run(bodies, model=TITAN, modelInvocationType="InvokeModel")
    assert job["errorRecordCount"] == 1
    answers = {line["modelInput"]["inputText"]: line["modelOutput"] for line in lines if "modelOutput" in line}
    assert len({tuple(answer["embedding"]) for answer in answers.values()}) == 99
    one = answers["text 42"]
    assert one["embedding"] == one["embeddingsByType"]["float"] == vectors.floats("text 42", 256)
    assert math.isclose(math.hypot(*one["embedding"]), 1, rel_tol=1e-4)
    assert one["inputTextTokenCount"] > 0


def test_titan_sizes_and_types() -> None:
    def embed(**body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(models.invoke(TITAN, {"inputText": "x"} | body).body)
        return answer

    assert len(embed()["embedding"]) == 1024
    assert len(embed(dimensions=512)["embedding"]) == 512
    binary = embed(embeddingTypes=["binary"])
    assert "embedding" not in binary
    assert set(binary["embeddingsByType"]["binary"]) == {0, 1}
    with pytest.raises(models.bodies.Refused, match="dimensions"):
        embed(dimensions=7)


@pytest.mark.parametrize(
    ("model", "body", "text", "reason", "cut_reason"),
    [
        (
            CLAUDE,
            {
                "anthropic_version": "bedrock-2023-05-31",
                "messages": [{"role": "user", "content": "P"}],
                "max_tokens": 9,
            },
            lambda answer: answer["content"][0]["text"],
            lambda answer: answer["stop_reason"],
            "max_tokens",
        ),
        (
            NOVA,
            {"messages": [{"role": "user", "content": [{"text": "P"}]}], "inferenceConfig": {"maxTokens": 9}},
            lambda answer: answer["output"]["message"]["content"][0]["text"],
            lambda answer: answer["stopReason"],
            "max_tokens",
        ),
        (
            "meta.llama3-3-70b-instruct-v1:0",
            {"prompt": "P", "max_gen_len": 9},
            lambda answer: answer["generation"],
            lambda answer: answer["stop_reason"],
            "length",
        ),
        (
            "qwen.qwen3-32b-v1:0",
            {"messages": [{"role": "user", "content": "P"}], "max_tokens": 9},
            lambda answer: answer["choices"][0]["message"]["content"],
            lambda answer: answer["choices"][0]["finish_reason"],
            "length",
        ),
    ],
    ids=["claude", "nova", "llama", "chat"],
)
def test_each_family_answers_in_its_own_shape_and_honours_its_limit(
    model: str, body: dict[str, Any], text: Any, reason: Any, cut_reason: str
) -> None:
    prompt = "tell me all about the sea"
    asked = json.loads(json.dumps(body).replace('"P"', json.dumps(prompt)))
    answer = json.loads(models.invoke(model, asked).body)
    assert text(answer) == reply(prompt).text
    assert reason(answer) in ("end_turn", "stop")
    cut = json.loads(json.dumps(asked).replace("9", "2"))
    cut_answer = json.loads(models.invoke(model, cut).body)
    assert text(cut_answer) == " ".join(reply(prompt).text.split()[:2])
    assert reason(cut_answer) == cut_reason


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        ("mistral.unknown", {"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "type: Field required"),
        (NOVA, {"messages": [{"role": "user", "content": [{"text": "x"}]}], "max_new_tokens": 5}, "max_new_tokens"),
        (
            "anthropic.claude-haiku-4-5-20251001-v1:0",
            {
                "anthropic_version": "bedrock-2023-05-31",
                "max_tokens": 5,
                "temperature": 0,
                "top_p": 1,
                "messages": [{"role": "user", "content": "x"}],
            },
            "cannot both be specified",
        ),
        (
            "amazon.nova-micro-v1:0",
            {"messages": [{"role": "user", "content": [{"text": "x"}]}], "inferenceConfig": {"maxTokens": 10_001}},
            "exceeds the model limit of 10000",
        ),
        (NOVA, {"messages": [], "inferenceConfig": "none"}, "expected type: JSONObject"),
    ],
)
def test_bodies_that_the_models_refuse(model: str, body: dict[str, Any], message: str) -> None:
    with pytest.raises(models.bodies.Refused, match=message):
        models.invoke(model, body)


def test_on_demand_answers_as_the_batch_does(bench: Bench) -> None:
    said = bench.aws.bedrock_runtime.converse(
        modelId=f"us.{NOVA}", messages=prompts(1)[0]["messages"], inferenceConfig={"maxTokens": 2}
    )
    digest = hashlib.sha256(b"what is 0 plus 0").hexdigest()[:8]
    assert said["output"]["message"]["content"] == [{"text": f"answer {digest}"}]
    assert said["stopReason"] == "max_tokens"
    body = bench.aws.bedrock_runtime.invoke_model(modelId=TITAN, body=json.dumps({"inputText": "a", "dimensions": 256}))
    assert json.loads(body["body"].read())["embedding"] == vectors.floats("a", 256)
    with pytest.raises(ClientError, match="inputText") as error:
        bench.aws.bedrock_runtime.invoke_model(modelId=TITAN, body="{}")
    assert error_code(error) == "ValidationException"


def test_answers_can_be_configured(bench: Bench) -> None:
    bench.engine.configure(
        answers=[
            {"prompt_contains": " 5 plus", "text": "", "stop_reason": "content_filtered"},
            {"text": ['{"sum": "{hash}"}', '{"sum": "{tail}"}']},
        ]
    )
    _, lines = bench.run(prompts())
    outputs = {line["recordId"]: line["modelOutput"] for line in lines}
    assert outputs["r000005"]["output"]["message"]["content"] == []
    assert outputs["r000005"]["stopReason"] == "content_filtered"
    others = {json.dumps(output) for record_id, output in outputs.items() if record_id != "r000005"}
    assert any("what is 7 plus 7" in output for output in others) != any(
        hashlib.sha256(b"what is 7 plus 7").hexdigest()[:8] in output for output in others
    )
