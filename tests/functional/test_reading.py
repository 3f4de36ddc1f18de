"""Tools, guardrails and reasoning in a whole run: the answers of models are in the right columns."""

import json
from typing import Any

import pytest

from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import InvalidRunInput, UnsupportedRequest
from local.bedrock.replies import Reply
from tests.conftest import BUCKET
from tests.functional.played import RUN
from tests.functional.whole import LITE, MICRO, TITAN, WholeRun, asked, reviews
from tests.unit.factories import HAIKU, keys_of

ROWS = 6
INPUT = {
    "type": "object",
    "properties": {"label": {"enum": ["good", "bad"]}, "score": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["label", "score"],
}
CLAUDE_TOOLS = {
    "tools": [{"name": "judge", "description": "Notes {{a}} judgement.", "input_schema": INPUT}],
    "tool_choice": {"type": "tool", "name": "judge"},
}
NOVA_TOOLS = {
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "judge", "inputSchema": {"json": INPUT}}}],
        "toolChoice": {"tool": {"name": "judge"}},
    }
}
OPENAI_TOOLS = {
    "tools": [{"type": "function", "function": {"name": "judge", "parameters": INPUT}}],
    "tool_choice": {"type": "function", "function": {"name": "judge"}},
}
GPT_OSS, QWEN, LLAMA = "openai.gpt-oss-20b-1:0", "qwen.qwen3-32b-v1:0", "meta.llama3-1-8b-instruct-v1:0"


def rows_of(s3: S3, author: Any = None, **given: Any) -> tuple[list[dict[str, Any]], WholeRun]:
    reviews(s3, ROWS)
    run = WholeRun(s3, author=author) if author else WholeRun(s3)
    model_id = given.pop("model_id", HAIKU)
    run.run(asked(model_id, **given))
    return run.table().to_pylist(), run


@pytest.mark.parametrize(
    ("model_id", "tools", "stop_reason"),
    [
        (HAIKU, CLAUDE_TOOLS, "tool_use"),
        (LITE, NOVA_TOOLS, "tool_use"),
        (GPT_OSS, OPENAI_TOOLS, "tool_calls"),
        (QWEN, OPENAI_TOOLS, "tool_calls"),
    ],
)
def test_the_input_of_a_forced_tool_is_the_answer(
    s3: S3, model_id: str, tools: dict[str, Any], stop_reason: str
) -> None:
    given = {"model_id": model_id, "invocation_type": "InvokeModel", "request": tools, "output": {"schema": INPUT}}
    rows, run = rows_of(s3, **given)
    assert [row["bedrock_outcome"] for row in rows] == ["succeeded"] * ROWS
    assert {row["bedrock_stop_reason"] for row in rows} == {stop_reason}
    for row in rows:
        said = json.loads(row["bedrock_response"])
        assert said == {"label": row["bedrock_label"], "score": row["bedrock_score"]}
    assert run.report()["outcomes"]["succeeded"] == ROWS


def test_tools_that_could_not_be_read_are_refused_before_the_spend(s3: S3) -> None:
    tools = {"tools": [{"name": "judge"}]}
    with pytest.raises(UnsupportedRequest, match="has tools, but the catalogue does not know .* response.tool_input"):
        rows_of(s3, model_id=LLAMA, invocation_type="InvokeModel", request=tools)
    reviews(s3, ROWS)
    body = {"ask": "{review}", "tools": [{"name": "judge"}]}
    own = asked("acme.chat", invocation_type="InvokeModel", request=body, response={"text": "said"})
    del own["prompt"]
    with pytest.raises(UnsupportedRequest, match=r"response\.tool_input"):
        WholeRun(s3).run(own)


def test_a_text_path_of_ones_own_keeps_the_catalogues_stop_reason_and_tokens(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = {"content": [{"type": "tool_use", "name": "judge", "input": {"label": "go"}}], "stop_reason": "max_tokens"}
    monkeypatch.setattr(
        WholeRun, "_answered", lambda *_, **__: cut | {"usage": {"input_tokens": 9, "output_tokens": 4}}
    )
    reviews(s3, ROWS)
    run = WholeRun(s3)
    request = {"request": CLAUDE_TOOLS, "response": {"text": "content[].input"}}
    run.run(asked(HAIKU, invocation_type="InvokeModel", **request))
    for row in run.table().to_pylist():
        assert (row["bedrock_outcome"], row["bedrock_stop_reason"]) == ("truncated", "max_tokens")
        assert (row["bedrock_input_tokens"], row["bedrock_output_tokens"]) == (9, 4)
        assert json.loads(row["bedrock_response"]) == {"label": "go"}


@pytest.mark.parametrize("invocation_type", ["Converse", "InvokeModel"])
@pytest.mark.parametrize("model_id", [HAIKU, LITE, MICRO, GPT_OSS, QWEN, LLAMA])
def test_what_a_guardrail_says_is_no_success(s3: S3, model_id: str, invocation_type: str) -> None:
    def blocked(prompt: str, model: str) -> Reply:
        return Reply("Blocked.", "guardrail_intervened") if "review 3" in prompt else Reply("good")

    rows, run = rows_of(s3, blocked, model_id=model_id, invocation_type=invocation_type)
    outcomes = [row["bedrock_outcome"] for row in rows]
    assert outcomes == ["truncated" if number == 3 else "succeeded" for number in range(ROWS)]
    assert rows[3]["bedrock_stop_reason"] == "guardrail_intervened"
    assert rows[3]["bedrock_response"] == "Blocked."
    assert any("withheld" in warning for warning in run.report()["warnings"])


def thoughtful(prompt: str, model: str) -> Reply:
    return Reply("good", reasoning="" if "review 2" in prompt else f"Hm. {prompt.split()[2]}")


@pytest.mark.parametrize(
    ("model_id", "invocation_type"),
    [(HAIKU, "Converse"), (HAIKU, "InvokeModel"), (LITE, "InvokeModel"), (QWEN, "InvokeModel")],
)
@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_reasoning_has_a_column_of_its_own(s3: S3, model_id: str, invocation_type: str, form: str) -> None:
    reviews(s3, ROWS)
    run = WholeRun(s3, author=thoughtful)
    output = {"reasoning": True, "format": form, "prefix": "ai_"}
    run.run(asked(model_id, invocation_type=invocation_type, output=output))
    if form == "jsonl":
        (part,) = s3.list(BUCKET, keys_of(RUN).output_folder())
        rows = [json.loads(line) for line in s3.read(BUCKET, part.key).splitlines()]
    else:
        rows = run.table().to_pylist()
    assert [row["ai_response"] for row in rows] == ["good"] * ROWS
    assert [row["ai_reasoning"] for row in rows] == [None if n == 2 else f"Hm. {n}" for n in range(ROWS)]
    assert list(rows[0])[2:5] == ["ai_outcome", "ai_response", "ai_reasoning"]


def test_reasoning_that_is_not_asked_for_is_nowhere(s3: S3) -> None:
    rows, _ = rows_of(s3, thoughtful, model_id=GPT_OSS, invocation_type="InvokeModel")
    assert "bedrock_reasoning" not in rows[0]
    assert "Hm." not in json.dumps(rows)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"model_id": TITAN, "prompt": {"text": "{review}"}},
            r"output\.reasoning is only for models that answer with text",
        ),
        (
            {"model_id": LLAMA, "invocation_type": "InvokeModel"},
            r"response\.reasoning \(a path\) or response\.reasoning_tag",
        ),
        (
            {"output": {"reasoning": True, "schema": {"properties": {"reasoning": {}}, "type": "object"}}},
            "second column",
        ),
    ],
)
def test_a_column_that_could_not_be_filled_is_refused(s3: S3, given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRunInput, match=words):
        rows_of(s3, **{"output": {"reasoning": True}, **given})


def test_of_a_record_that_was_asked_again_the_reasoning_belongs_to_the_answer(s3: S3) -> None:
    """The second answer is kept, with its reasoning. If it has no text, the first answer is kept."""
    reviews(s3, ROWS)
    times: dict[str, int] = {}

    def verdict(model_id: str, record_id: str) -> Any:
        time = times[record_id] = times.get(record_id, 0) + 1
        first, again = "go", "" if record_id.endswith("1") else "good"
        content = [{"reasoningContent": {"reasoningText": {"text": f"thought {time}"}}}]
        said = first if time == 1 else again
        content += [{"text": said}] if said else []  # type: ignore[dict-item]
        return {"modelOutput": {"output": {"message": {"content": content}},
                                "stopReason": "max_tokens" if time == 1 or not said else "end_turn"}}  # fmt: skip

    run = WholeRun(s3, verdict)
    retry = {"outcomes": ["truncated"], "max_tokens": 50}
    run.run(asked(LITE, inference={"max_tokens": 9}, retry=retry, output={"reasoning": True}))
    rows = run.table().to_pylist()
    expected = [("go", "thought 1") if number == 1 else ("good", "thought 2") for number in range(ROWS)]
    assert [(row["bedrock_response"], row["bedrock_reasoning"]) for row in rows] == expected
