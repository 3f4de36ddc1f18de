"""Plan run, from the model and the prompt to run.json: where prompts come from, what is refused."""

import json
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from bedrock_batch.aws import clients
from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Run
from bedrock_batch.errors import (
    BedrockBatchError,
    InputNotFound,
    InvalidRunInput,
    MissingColumn,
    UnknownPrompt,
    UnsupportedRequest,
)
from bedrock_batch.models import prompt_store
from tests.conftest import BUCKET
from tests.functional.planned import PROFILE, plan
from tests.unit.factories import HAIKU

ARN = "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEF1234"


@pytest.fixture
def s3(aws: None) -> S3:
    s3 = S3(clients.s3())
    s3.put(BUCKET, "in/t.csv", b"review,label\n" + b"fine,good\n" * 120)
    return s3


def test_texts_that_are_sent_with_quotes_are_a_warning(s3: S3) -> None:
    s3.put(
        BUCKET, "in/m.jsonl", b'{"review": "fine", "other": 1, "list": [1]}\n{"review": 5, "other": "x", "list": 2}\n'
    )
    given = {"s3_uri": f"s3://{BUCKET}/in/m.jsonl", "prompt": {"text": "Judge {review} {list}"}}
    (told,) = plan(s3, HAIKU, **given)["warnings"]
    assert told.startswith('The column "review" has texts and other values')
    assert plan(s3, HAIKU, **given, input={"types": {"review": "string"}}, run_id="tuesday")["warnings"] == []


def test_a_prompt_in_an_object(s3: S3) -> None:
    s3.put(BUCKET, "prompts/judge.txt", b"Judge {review}")
    run = plan(s3, HAIKU, prompt={"s3_uri": f"s3://{BUCKET}/prompts/judge.txt", "system": "Be brief"})
    assert run["prompt"].items() >= {"text": "Judge {review}", "system": "Be brief"}.items()
    assert run["request"]["messages"][0]["content"] == [{"text": "Judge {review}"}]
    assert run["request"]["system"] == [{"text": "Be brief"}]


def test_a_prompt_with_examples_in_a_json_object(s3: S3) -> None:
    turns = [{"role": "user", "text": "Judge bad"}, {"role": "assistant", "text": "bad"}]
    body = json.dumps({"text": "Judge {review}", "messages": turns}).encode()
    s3.put(BUCKET, "prompts/judge.json", body)
    run = plan(s3, HAIKU, prompt={"s3_uri": f"s3://{BUCKET}/prompts/judge.json"}, invocation_type="InvokeModel")
    assert [turn["content"][0]["text"] for turn in run["request"]["messages"]] == ["Judge bad", "bad", "Judge {review}"]
    assert (run["invocation_type"], run["request"]["max_tokens"], run["input"]["inference"]) == (
        "InvokeModel",
        4096,
        {"max_tokens": 4096},
    )
    assert run["response"]["text"] == "content[].text"


TURNS = [{"role": "user", "text": "Judge bad"}, {"role": "assistant", "text": "\n"}]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ({"text": " \n"}, "prompt.text is blank"),
        ({"text": "Judge {review}", "system": "\t"}, "prompt.system is blank, so every record would be refused"),
        ({"text": "Judge {review}", "messages": TURNS}, "prompt.messages.1.text is blank"),
        (b'{"text": "Judge {review}", "system": ""}', "prompt.system is blank"),
        ("{review}é".encode("latin-1"), r"The prompt in s3://.*p.JSON is not UTF-8 \(byte 8\). Save it as UTF-8"),
    ],
)
def test_a_prompt_that_a_model_refuses_is_refused(s3: S3, prompt: Any, words: str) -> None:
    if isinstance(prompt, bytes):
        s3.put(BUCKET, "p.JSON", prompt)
        prompt = {"s3_uri": f"s3://{BUCKET}/p.JSON"}
    with pytest.raises(UnknownPrompt, match=words):
        plan(s3, HAIKU, prompt=prompt)


def test_a_prompt_that_is_not_there(s3: S3) -> None:
    with pytest.raises(InputNotFound, match="prompts/none.txt does not exist"):
        plan(s3, HAIKU, prompt={"s3_uri": f"s3://{BUCKET}/prompts/none.txt"})
    s3.put(BUCKET, "prompts/huge.txt", b"x" * ((1 << 20) + 1))
    with pytest.raises(UnknownPrompt, match="1048577 bytes"):
        plan(s3, HAIKU, prompt={"s3_uri": f"s3://{BUCKET}/prompts/huge.txt"})


class PromptManagement:
    """Answers GetPrompt and keeps what it was asked."""

    refusals: ClassVar = {"8": "ThrottlingException", "9": "ResourceNotFoundException"}

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    def get_prompt(self, **request: str) -> dict[str, Any]:
        self.asked.append(request)
        if request.get("promptVersion") in self.refusals:
            code = self.refusals[request["promptVersion"]]
            raise ClientError({"Error": {"Code": code, "Message": f"no {request['promptVersion']}"}}, "GetPrompt")
        text = {"text": {"text": "Judge {{review}}"}}
        variant = {"name": "v", "templateType": "TEXT", "templateConfiguration": text}
        return {"name": "judge", "defaultVariant": "v", "variants": [variant]}


def test_a_prompt_of_prompt_management(s3: S3) -> None:
    client = PromptManagement()
    fetched = [prompt_store.fetch(s3, lambda: client, {"arn": arn}) for arn in (ARN, f"{ARN}:2")]
    assert fetched == [{"text": "Judge {review}"}] * 2
    assert client.asked == [{"promptIdentifier": ARN}, {"promptIdentifier": ARN, "promptVersion": "2"}]
    with pytest.raises(UnknownPrompt, match="no 9"):
        prompt_store.fetch(s3, lambda: client, {"arn": f"{ARN}:9"})
    with pytest.raises(ClientError, match="ThrottlingException"):
        prompt_store.fetch(s3, lambda: client, {"arn": f"{ARN}:8"})
    assert prompt_store.fetch(s3, lambda: client, {"text": "Judge"}) is None
    assert len(client.asked) == 4


class Profiles:
    """Answers GetInferenceProfile with the ARN of a model, or with an error."""

    def __init__(self, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer = answer
        self.asked: list[str] = []
        others = clients.client
        monkeypatch.setattr(clients, "client", lambda name: self if name == "bedrock" else others(name))

    def get_inference_profile(self, inferenceProfileIdentifier: str) -> dict[str, Any]:
        self.asked.append(inferenceProfileIdentifier)
        if not self.answer.startswith("arn:"):
            raise ClientError({"Error": {"Code": self.answer, "Message": "no such luck"}}, "GetInferenceProfile")
        others = self.answer.replace("us-east-1", "us-west-2")
        return {"type": "APPLICATION", "models": [{"modelArn": self.answer}, {"modelArn": others}]}


def test_the_model_behind_a_profile_decides(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = Profiles("arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0", monkeypatch)
    run = plan(s3, PROFILE, prompt={"text": "{review}"}, embedding={"dimensions": 256})
    assert profiles.asked == [PROFILE]
    assert (run["input"]["model_id"], run["family"], run["kind"]) == (PROFILE, "titan-text-embeddings-v2", "embedding")
    assert (run["request"], run["warnings"]) == ({"inputText": "{review}", "dimensions": 256}, [])
    assert run["model_behind"] == profiles.answer


def test_what_the_model_behind_a_profile_refuses_is_refused(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    Profiles("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5", monkeypatch)
    with pytest.raises(UnsupportedRequest, match="more than 128000 tokens"):
        plan(s3, PROFILE, prompt={"text": "{review}"}, inference={"max_tokens": 128_001})
    # The model may be used through a profile, but not by its bare id.
    run = plan(s3, PROFILE, prompt={"text": "{review}"}, inference={"max_tokens": 128_000})
    assert (run["family"], run["warnings"]) == ("claude", [])


def test_only_profiles_of_ones_own_are_looked_up(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = Profiles("AccessDeniedException", monkeypatch)
    plan(s3, HAIKU, prompt={"text": "{review}"})
    assert profiles.asked == []


@pytest.mark.parametrize("error", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"])
def test_a_profile_that_cannot_be_looked_up_is_used_with_warnings(
    s3: S3, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Profiles(error, monkeypatch)
    run = plan(s3, PROFILE, prompt={"text": "Judge {review}"})
    unknown, unlisted = run["warnings"]
    assert unknown.startswith(f"The model of the inference profile {PROFILE} is not known") and error in unknown
    assert unlisted.startswith("abc123def456 is not in the catalogue")
    assert (run["family"], run["invocation_type"]) == ("converse", "Converse")


def test_other_errors_of_the_look_up_are_left_to_the_retries(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    Profiles("ThrottlingException", monkeypatch)
    with pytest.raises(ClientError, match="ThrottlingException"):
        plan(s3, PROFILE, prompt={"text": "Judge {review}"})


def test_a_body_of_ones_own(s3: S3) -> None:
    run = plan(
        s3,
        "acme.chat",
        invocation_type="InvokeModel",
        request={"inputs": "Judge {review}", "parameters": {"n": 1}},
        response={"text": "outputs[0].said | outputs[0].text", "stop_reason": "why"},
    )
    assert (run["request"], run["prompt"]) == ({"inputs": "Judge {review}", "parameters": {"n": 1}}, None)
    assert run["response"] == {"text": "outputs[0].said | outputs[0].text", "stop_reason": "why"}


RETRY = {"outcomes": ["truncated"], "max_tokens": 900}
SCHEMA = {"type": "object", "properties": {"verdict": {"type": "string"}}}


@pytest.mark.parametrize(
    ("model_id", "given", "place"),
    [
        (HAIKU, {"inference": {"max_tokens": 300}}, "/inferenceConfig/maxTokens"),
        (HAIKU, {"invocation_type": "InvokeModel", "inference": {"max_tokens": 300}}, "/max_tokens"),
        (PROFILE, {"inference": {"max_tokens": 300}}, "/inferenceConfig/maxTokens"),
        (
            "amazon.nova-lite-v1:0",
            {"prompt": None, "request": {"messages": ["{review}"], "inferenceConfig": {"maxTokens": 300}}},
            "/inferenceConfig/maxTokens",
        ),
    ],
)
def test_the_place_of_a_larger_limit_is_noted(
    s3: S3, model_id: str, given: dict[str, Any], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Profiles("AccessDeniedException", monkeypatch)
    given = {"prompt": {"text": "Judge {review}"}, **given}
    run = plan(s3, model_id, retry=RETRY, **{key: value for key, value in given.items() if value is not None})
    assert Run.from_json(run).retry == RETRY | {"place": place}


def test_invalid_answers_are_asked_for_once_more_whatever_the_body(s3: S3) -> None:
    given: dict[str, Any] = {"retry": {"outcomes": ["invalid"]}, "output": {"schema": SCHEMA}}
    own = {"invocation_type": "InvokeModel", "request": {"inputs": "Judge {review}"}, "response": {"text": "said"}}
    assert Run.from_json(plan(s3, "acme.chat", **own, **given)).retry == {
        "outcomes": ["invalid"],
        "max_tokens": None,
        "place": None,
    }


def test_without_retry_nothing_is_noted(s3: S3) -> None:
    assert Run.from_json(plan(s3, HAIKU, prompt={"text": "Judge {review}"})).retry is None


@pytest.mark.parametrize(
    ("model_id", "given", "error", "words"),
    [
        ("anthropic.claude-opus-5", {}, UnsupportedRequest, "only through a cross-Region inference profile"),
        (
            "amazon.titan-embed-text-v2:0",
            {"prompt": None},
            MissingColumn,
            "but the table has no such column. Its columns are: review, label. Name one of them: "
            '"prompt": {"text": "{review}"}',
        ),
        (HAIKU, {"prompt": {"text": "{{review}}"}}, UnsupportedRequest, "Write {review}, not {{review}}"),
        (HAIKU, {"prompt": {"text": "a", "system": "{review"}}, UnknownPrompt, "prompt.system: An opening brace"),
        ("cohere.embed-english-v3", {}, UnsupportedRequest, "does not offer this model"),
        (HAIKU, {"inference": {"temperature": 0, "top_p": 1}}, UnsupportedRequest, "has both temperature and top_p"),
        (HAIKU, {"response": {"text": "a..b"}}, InvalidRunInput, "The path 'a..b' in response"),
        (HAIKU, {"output": {"schema": {"type": "object", "properties": {}}}}, InvalidRunInput, "no properties"),
        (
            HAIKU,
            {"output": {"schema": {"type": "object", "properties": {"mail": {"type": "string", "pattern": "^(?!x)"}}}}},
            InvalidRunInput,
            r"output.schema: properties.mail.pattern has a look-ahead",
        ),
        (
            HAIKU,
            {"output": {"prefix": "", "schema": {"type": "object", "properties": {"label": {"type": "string"}}}}},
            InvalidRunInput,
            "already has a column label",
        ),
        (HAIKU, {"prompt": {"system": "s"}}, InvalidRunInput, "prompt must have exactly one of text, s3_uri and arn"),
        (
            HAIKU,
            {"prompt": {"text": "t", "arn": ARN}},
            InvalidRunInput,
            "prompt must have exactly one of text, s3_uri and arn",
        ),
        (HAIKU, {"prompt": {"arn": f"{ARN}:x"}}, InvalidRunInput, "prompt.arn must match"),
        (HAIKU, {"output": {"enforce": True}}, InvalidRunInput, "output.enforce needs output.schema"),
        (HAIKU, {"retry": RETRY}, InvalidRunInput, "the first request has no limit. Set inference.max_tokens"),
        (HAIKU, {"retry": RETRY, "inference": {"max_tokens": 900}}, InvalidRunInput, "must be more than max_tokens"),
        (
            HAIKU,
            {"retry": RETRY | {"max_tokens": 64_001}, "inference": {"max_tokens": 300}},
            UnsupportedRequest,
            "64001 tokens",
        ),
        (
            "acme.chat",
            {
                "retry": RETRY,
                "prompt": None,
                "invocation_type": "InvokeModel",
                "request": {"ask": "{review}"},
                "response": {"text": "said"},
            },
            InvalidRunInput,
            "Set response.stop_reason",
        ),
        (
            "acme.chat",
            {
                "retry": RETRY,
                "prompt": None,
                "invocation_type": "InvokeModel",
                "request": {"inputs": "{review}", "max_tokens": 300},
                "response": {"text": "said", "stop_reason": "why"},
            },
            InvalidRunInput,
            "does not know which field of a request limits the answers of acme.chat through InvokeModel",
        ),
        (
            "amazon.titan-embed-text-v2:0",
            {"retry": RETRY, "prompt": {"text": "{review}"}},
            InvalidRunInput,
            "retry is only for models that answer with text",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    s3: S3, model_id: str, given: dict[str, Any], error: type[BedrockBatchError], words: str
) -> None:
    with pytest.raises(error) as caught:
        given = {"prompt": {"text": "Judge {review}"}, **given}
        plan(s3, model_id, **{key: value for key, value in given.items() if value is not None})
    assert words in str(caught.value)
    assert list(s3.list(BUCKET, "reviews/")) == []


EMBEDDINGS = "amazon.titan-embed-text-v2:0"


def test_what_is_ignored_is_a_warning(s3: S3) -> None:
    assert plan(s3, HAIKU, prompt={"text": "Judge {review}"})["warnings"] == []
    s3.put(BUCKET, "in/t.csv", b"input_text\n" + b"fine\n" * 120)
    run = plan(s3, EMBEDDINGS, s3_uri=f"s3://{BUCKET}/in/t.csv", prompt_id="none", split="train", run_id="tuesday")
    split, prompt = run["warnings"]
    assert split.startswith("split is ignored")
    assert prompt.startswith("prompt_id 'none' is not one of the module's prompts")
    assert run["request"]["inputText"] == "{input_text}"


def test_the_likeliest_column_is_named_to_who_embeds_without_a_prompt(s3: S3) -> None:
    s3.put(BUCKET, "in/t.csv", b"id,label,body,n\n" + b"12345,good,a longer text,1\n" * 120)
    hint = r'Its columns are: id, label, body, n\. Name one of them: "prompt": {"text": "{body}"}\.'
    with pytest.raises(MissingColumn, match=f"Without a prompt .*{hint}"):
        plan(s3, EMBEDDINGS)
    with pytest.raises(MissingColumn, match=f"The module has no prompt 'none', and without one .*{hint}"):
        plan(s3, EMBEDDINGS, prompt_id="none")


@pytest.mark.parametrize(
    ("given", "shards"),
    [
        ({"max_num_jobs": 1}, [1000]),
        ({"max_num_jobs": 2.0, "job_name_prefix": None, "dataset_id": None}, [1000, 1000]),
        ({"max_num_jobs": 1, "max_records_per_job": 300.0}, [300]),
        ({"max_num_jobs": 1, "max_records_per_job": 50_000}, [2500]),
        ({"max_num_jobs": 0}, [2500]),
        ({"max_num_jobs": None, "max_records_per_job": None}, [2500]),
        ({"input": {"limit": 1200.0}}, [1200]),
        ({}, [2500]),
    ],
)
def test_a_trial_of_one_job_is_a_thousand_rows(s3: S3, given: dict[str, Any], shards: list[int]) -> None:
    s3.put(BUCKET, "in/t.csv", b"review,label\n" + b"fine,good\n" * 2500)
    plan(s3, HAIKU, prompt={"text": "Judge {review}"}, **given)
    assert [line["rows"] for line in s3.lines(BUCKET, "reviews/work/monday/plan.jsonl")] == shards


def test_a_schema_is_told_to_the_model_and_makes_columns(s3: S3) -> None:
    schema = {"type": "object", "properties": {"verdict": {"enum": ["good", "bad"]}}, "required": ["verdict"]}
    run = plan(s3, HAIKU, prompt={"text": "Judge {review}"}, output={"schema": schema})
    assert json.dumps(schema).replace("{", "{{")[:20] in run["request"]["messages"][0]["content"][0]["text"]
    assert run["input"]["output"] == {"format": "parquet", "prefix": "bedrock_", "schema": schema}


@pytest.mark.parametrize(
    ("model", "asked", "tier", "warned"),
    [
        ("openai.gpt-oss-20b-1:0", None, "flex", False),
        ("openai.gpt-oss-20b-1:0", "flex", "flex", False),
        ("openai.gpt-oss-20b-1:0", "default", "default", False),
        (HAIKU, None, "default", False),
        (HAIKU, "flex", "flex", True),
    ],
)
def test_the_tier_on_demand_is_settled(s3: S3, model: str, asked: str | None, tier: str, warned: bool) -> None:
    limits = {} if asked is None else {"on_demand_tier": asked}
    run = plan(s3, model, prompt={"text": "Judge {review}"}, limits=limits)
    assert run["input"]["limits"]["on_demand_tier"] == tier
    told = [warning for warning in run["warnings"] if "does not say that" in warning]
    assert bool(told) == warned
    if warned:
        assert f"{model} has the service tier flex. The run tries it." in told[0]


def test_without_calls_on_demand_no_tier_is_warned_of(s3: S3) -> None:
    limits = {"on_demand_tier": "flex", "on_demand_tail": False}
    run = plan(s3, HAIKU, prompt={"text": "Judge {review}"}, limits=limits)
    assert not [warning for warning in run["warnings"] if "flex" in warning]
