"""Prompt and request: the requests to Bedrock, checked against botocore's models."""

import json
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from bedrock_batch.errors import InvalidRunInput, UnknownPrompt, UnsupportedRequest
from bedrock_batch.models import catalogue, prompts, request_body
from bedrock_batch.run import create_job
from tests.unit.factories import make_run

TITAN = catalogue.resolve("amazon.titan-embed-text-v2:0")
TEXT = catalogue.resolve("amazon.nova-lite-v1:0")


def service_model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def from_pascal_case(value: Any, shape: Shape) -> Any:
    """Translate Step Functions' member names into the API's; a name that the API lacks stays, and fails."""
    if shape.type_name == "structure":
        names = {name[0].upper() + name[1:]: name for name in shape.members}
        return {
            names.get(key, key): from_pascal_case(part, shape.members[names[key]]) if key in names else part
            for key, part in value.items()
        }
    if shape.type_name == "list":
        return [from_pascal_case(part, shape.member) for part in value]
    return value


NETWORK = {"subnet_ids": ["subnet-0123456789abcdef0"], "security_group_ids": ["sg-0123456789abcdef0"]}


@pytest.mark.parametrize(
    "run", [make_run(), make_run(kms_key_arn="arn:aws:kms:us-east-1:123456789012:key/k"), make_run(network=NETWORK)]
)
def test_create_job_fits_the_service_model(run: Any) -> None:
    request = create_job.create_job(
        run, job_name="reviews-0-r0-00000", input_key="reviews/work/monday/input/00000.jsonl"
    )
    operation = service_model("bedrock").operation_model("CreateModelInvocationJob")
    parameters = from_pascal_case(request, operation.input_shape)
    report = ParamValidator().validate(parameters, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert set(parameters) <= set(operation.input_shape.members)
    assert request["OutputDataConfig"]["S3OutputDataConfig"].get("S3EncryptionKeyId") == run.kms_key_arn
    assert ("VpcConfig" in request) == (run.network is not None)


def test_invocation_type_is_left_out_where_it_is_the_default() -> None:
    arguments = {"job_name": "j", "input_key": "k"}
    assert create_job.create_job(make_run(), **arguments)["ModelInvocationType"] == "Converse"
    assert "ModelInvocationType" not in create_job.create_job(make_run(invocation_type="InvokeModel"), **arguments)


def test_converse_body_with_everything_fits_the_service_model() -> None:
    body = request_body.body_template(
        TEXT,
        prompt="Judge {review}",
        system="You are {role}.",
        inference={"max_tokens": 10, "temperature": 0.5, "top_p": 0.9, "stop_sequences": ["}"]},
        embedding={},
    )
    operation = service_model("bedrock-runtime").operation_model("Converse")
    report = ParamValidator().validate({"modelId": "m", **body}, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert body["messages"][0]["content"] == [{"text": "Judge {review}"}]
    assert body["system"] == [{"text": "You are {role}."}]
    assert body["inferenceConfig"]["stopSequences"] == ["}}"]


def test_body_templates_do_not_share_state() -> None:
    first = request_body.body_template(TEXT, prompt="one", system=None, inference={}, embedding={})
    second = request_body.body_template(TEXT, prompt="two", system=None, inference={}, embedding={})
    assert first["messages"][0]["content"][0]["text"] == "one"
    assert "system" not in second


def test_titan_body() -> None:
    body = request_body.body_template(
        TITAN, prompt="{input_text}", system=None, inference={}, embedding={"dimensions": 256, "normalize": False}
    )
    assert body == {"inputText": "{input_text}", "dimensions": 256, "normalize": False}
    assert request_body.dimensions(TITAN, {}) == 1024


def test_what_a_family_has_no_place_for_is_refused() -> None:
    with pytest.raises(UnsupportedRequest, match="titan.* does not support inference.temperature"):
        request_body.body_template(TITAN, prompt="x", system=None, inference={"temperature": 1}, embedding={})
    with pytest.raises(UnsupportedRequest, match="nova.* does not support embedding.dimensions"):
        request_body.body_template(TEXT, prompt="x", system=None, inference={}, embedding={"dimensions": 256})
    with pytest.raises(InvalidRunInput, match="embedding.dimensions is 300, but .* offers 256, 512, 1024"):
        request_body.dimensions(TITAN, {"dimensions": 300})


@pytest.mark.parametrize(
    ("model_id", "bare"),
    [
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("us.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("global.anthropic.claude-opus-5", "anthropic.claude-opus-5"),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v2:0"),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
    ],
)
def test_base_model_id(model_id: str, bare: str) -> None:
    assert catalogue.base_model_id(model_id) == bare


def test_families() -> None:
    assert TITAN.kind == "embedding"
    assert catalogue.resolve("arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0") == TITAN
    assert TEXT.invocation_type == "Converse"


PROMPTS = {"sentiment": "Judge {review}", "summary": "Sum up {review}"}


def resolve(run_input: dict[str, Any], **options: Any) -> dict[str, Any]:
    found = prompts.resolve(run_input, PROMPTS, TEXT, **options)
    assert found is not None
    return found


def test_prompts_are_found() -> None:
    assert resolve({"prompt_id": "sentiment"})["text"] == "Judge {review}"
    inline = resolve({"prompt": {"text": "Say {a}", "system": "Be brief"}})
    assert (inline["id"], inline["text"], inline["system"]) == (None, "Say {a}", "Be brief")
    embedding = prompts.resolve({"prompt_id": None}, PROMPTS, TITAN)
    assert embedding is not None and embedding["text"] == "{input_text}"
    assert prompts.resolve({"request": {"a": "{b}"}}, PROMPTS, TEXT) is None


def test_the_hash_tells_prompts_apart() -> None:
    turns = [{"role": "user", "text": "a"}, {"role": "assistant", "text": "b"}]
    asked = [{"text": "t"}, {"text": "t", "system": "s"}, {"text": "t", "messages": turns}]
    assert len({resolve({"prompt": prompt})["sha256"] for prompt in asked}) == 3


def test_what_was_fetched_gives_way_to_what_the_run_input_says() -> None:
    fetched = {"text": "Judge {a}", "system": "old"}
    found = resolve({"prompt": {"s3_uri": "s3://b/k", "system": "new"}}, fetched=fetched)
    assert (found["text"], found["system"], found["messages"]) == ("Judge {a}", "new", [])


@pytest.mark.parametrize("roles", [["user"], ["assistant", "user"], ["user", "user"], ["user", "assistant", "user"]])
def test_turns_must_alternate(roles: list[str]) -> None:
    with pytest.raises(UnknownPrompt, match="must alternate between user and assistant, begin with user"):
        resolve({"prompt": {"text": "t", "messages": [{"role": role, "text": "x"} for role in roles]}})


def test_prompts_in_objects() -> None:
    assert prompts.from_document("a.txt", b"\xef\xbb\xbfJudge {a}") == {"text": "Judge {a}"}
    turns = [{"role": "user", "text": "a"}, {"role": "assistant", "text": "b"}]
    document = {"text": "Judge {a}", "system": "s", "messages": turns}
    assert prompts.from_document("a.json", json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    "body",
    [b"\xff", b"{", b"[]", b"{}", b'{"text": 1}', b'{"text": "a", "sytem": "b"}', b'{"text": "a", "system": 1}',
     b'{"text": "a \\ud83d"}', b'{"text": ' + b"[" * 99_999,
     b'{"text": "a", "messages": [{"role": "user"}]}', b'{"text": "a", "messages": "b"}'],
)  # fmt: skip
def test_objects_that_hold_no_prompt_are_named(body: bytes) -> None:
    with pytest.raises(UnknownPrompt, match="s3://b/a.json"):
        prompts.from_document("s3://b/a.json", body)


def managed(**configuration: Any) -> dict[str, Any]:
    """Return an answer of GetPrompt with two variants, of which the second is the default."""
    other = {"name": "one", "templateType": "TEXT", "templateConfiguration": {"text": {"text": "no"}}}
    mine = {"name": "two", "templateType": "TEXT", "templateConfiguration": configuration}
    return {"name": "judge", "defaultVariant": "two", "variants": [other, mine]}


def test_prompts_of_prompt_management() -> None:
    text = managed(
        text={"text": 'Judge {{ review }} as {"label": "{{label}}"}', "inputVariables": [{"name": "review"}]}
    )
    assert prompts.from_management(text) == {"text": 'Judge {review} as {{"label": "{label}"}}'}
    turns = [("user", "Judge a"), ("assistant", "good"), ("user", "Judge {{review}}")]
    messages = [{"role": role, "content": [{"text": text}, {"cachePoint": {}}]} for role, text in turns]
    chat = managed(chat={"messages": messages, "system": [{"text": "Be {{tone}}"}]})
    assert prompts.from_management(chat) == {
        "text": "Judge {review}",
        "messages": [{"role": "user", "text": "Judge a"}, {"role": "assistant", "text": "good"}],
        "system": "Be {tone}",
    }
    with pytest.raises(UnknownPrompt, match="'judge' .*must end with a message of the user"):
        prompts.from_management(managed(chat={"messages": messages[:2]}))
    with pytest.raises(UnknownPrompt, match="no text"):
        prompts.from_management({"name": "judge", "variants": []})


def test_missing_prompts_are_named() -> None:
    with pytest.raises(UnknownPrompt, match=r"'sentimnt' .*did you mean 'sentiment'\?"):
        prompts.resolve({"prompt_id": "sentimnt"}, PROMPTS, TEXT)
    with pytest.raises(UnknownPrompt, match="A text model needs a prompt. .*sentiment, summary"):
        prompts.resolve({"prompt_id": None}, PROMPTS, TEXT)
    with pytest.raises(UnknownPrompt, match="no prompts yet"):
        prompts.resolve({"prompt_id": "other"}, {}, TEXT)


EMBEDDING = catalogue.resolve("amazon.titan-embed-text-v2:0", None)


def test_embeddings_ignore_a_prompt_that_the_module_lacks() -> None:
    for prompt_id in (None, "", "sentimnt"):
        found = prompts.resolve({"prompt_id": prompt_id}, PROMPTS, EMBEDDING)
        assert found is not None and found["text"] == "{input_text}"
    assert prompts.warnings({"prompt_id": "sentimnt"}, PROMPTS, EMBEDDING) == [
        "prompt_id 'sentimnt' is not one of the module's prompts: did you mean 'sentiment'? It is ignored: the column "
        "input_text is embedded."
    ]
    assert prompts.warnings({"prompt_id": None}, PROMPTS, EMBEDDING) == []
    own = prompts.resolve({"prompt_id": "sentiment"}, PROMPTS, EMBEDDING)
    assert own is not None and own["id"] == "sentiment", "one that the module has is used"
    assert prompts.warnings({"prompt_id": "sentiment"}, PROMPTS, EMBEDDING) == []


def test_a_job_has_the_modules_tags_and_its_own() -> None:
    run = make_run(tags={"team": "reviews", "bedrock-batch:run": "forged"})
    request = create_job.create_job(
        run, job_name="reviews-0-r0-00000", input_key="reviews/work/monday/input/00000.jsonl"
    )
    assert request["Tags"] == [
        {"Key": "bedrock-batch:name", "Value": "reviews"},
        {"Key": "bedrock-batch:run", "Value": "monday"},
        {"Key": "team", "Value": "reviews"},
    ]
