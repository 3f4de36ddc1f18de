"""The run input: the published sample's documents run unchanged, mistakes are named."""

import copy
import json
from typing import Any

import pytest

from bedrock_batch import run_input
from bedrock_batch.errors import InvalidRunInput

MINIMAL = {"s3_uri": "s3://bucket/reviews.csv", "model_id": "amazon.nova-lite-v1:0", "prompt_id": "sentiment"}

SAMPLE_DOCUMENTS = [
    {
        "s3_uri": "s3://batch-inference-bucket/inputs/jokes.csv",
        "job_name_prefix": "test-joke1",
        "model_id": "us.anthropic.claude-3-5-haiku-20241022-v1:0",
        "prompt_id": "joke_about_topic",
    },
    {
        "s3_uri": "s3://batch-inference-bucket/inputs/embeddings.parquet",
        "job_name_prefix": "test-embeddings1",
        "model_id": "amazon.titan-embed-text-v2:0",
        "prompt_id": None,
    },
    {
        "s3_uri": "s3://batch-inference-bucket/inputs/questions.csv",
        "job_name_prefix": "test-questions",
        "model_id": "us.anthropic.claude-3-5-haiku-20241022-v1:0",
        "prompt_id": "question_answering",
        "max_num_jobs": 2,
        "max_records_per_job": 1000,
    },
]


@pytest.mark.parametrize("document", SAMPLE_DOCUMENTS, ids=lambda document: document["job_name_prefix"])
def test_documents_of_the_published_sample_are_valid(document: dict[str, Any]) -> None:
    completed = run_input.validate(document)
    assert {key: completed[key] for key in document} == document


def test_defaults_come_from_the_schema() -> None:
    completed = run_input.validate(MINIMAL)
    assert completed["limits"]["job_timeout_hours"] == 72
    assert completed["output"]["prefix"] == "bedrock_"
    assert completed["input"]["nulls"] == "skip"
    assert completed["dry_run"] is False
    assert "price" not in completed


def test_the_given_document_is_left_alone() -> None:
    given = {**MINIMAL, "limits": {"check_seconds": 60}}
    before = copy.deepcopy(given)
    run_input.validate(given)
    assert given == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"max_records_per_batch": 2}, r"Unknown key 'max_records_per_batch' .*did you mean 'max_records_per_job'\?"),
        ({"colour": "red"}, "Unknown key 'colour' in the run input: known keys: s3_uri, "),
        ({"limits": {"job_timeout": 24}}, "Unknown key 'job_timeout' in limits: did you mean 'job_timeout_hours'"),
        ({"limits": {"job_timeout_hours": 2}}, "limits.job_timeout_hours must be at least 24, not 2."),
        ({"s3_uri": "reviews.csv"}, "s3_uri is 'reviews.csv': expected s3://bucket/key"),
        ({"s3_uri": []}, "s3_uri must have 1 or more items, not 0"),
        ({"model_id": None}, "model_id must be a text or a list, not null. Model id, inference profile id or ARN"),
        ({"model_id": ["m"]}, "model_id lists 1 models: expected one as a text, or a list of 2 to 10"),
        ({"model_id": list("abcdefghijk")}, "model_id lists 11 models"),
        ({"model_id": ["m", "m"]}, "model_id must not have the same item twice"),
        ({"model_id": ["m", ""]}, "model_id.1 must not be empty"),
        ({"model_id": ["m:1", "m-1"]}, "'m:1' and 'm-1', whose outputs would lie in the same folder 'm-1'"),
        (
            {"model_id": ["m", "n"], "prompt_id": None, "input": {"format": "bedrock_jsonl"}},
            "model_id is a list: .* the shape of one model",
        ),
        ({"price": {"input": 1}}, "price has 'input': give {input, output}, or one such object under each model id"),
        ({"model_id": ["m", "n"], "price": {"m": {"input": 1, "output": 1}}}, "price has 'm': .*(m, n)"),
        ({"inference": {"max_tokens": "9"}}, "inference.max_tokens must be a whole number, not a text. Most tokens"),
        ({"inference": {"max_tokens": 9.5}}, "inference.max_tokens must be a whole number, not 9.5"),
        ({"dry_run": 1}, "dry_run must be true or false, not 1"),
        ({"limits": {"budget_usd": 0}}, "limits.budget_usd must be more than 0, not 0"),
        ({"input": {"csv": {"delimiter": "||"}}}, "input.csv.delimiter must have 1 character at most, not 2"),
        ({"prompt": {}}, "prompt must not be empty"),
        ({"price": {"amazon.nova-lite-v1:0": {"input": 1}}}, "Missing key 'output' in price.amazon.nova-lite-v1:0"),
        ({"inference": {"temperature": 2}}, "inference.temperature must be at most 1, not 2"),
        ({"prompt": {"text": "{review}"}}, "either prompt_id or prompt"),
        ({"dataset_id": "org/data"}, "Give either s3_uri or dataset_id"),
        ({"revision": "main"}, "revision is for a dataset of the Hugging Face hub"),
        ({"hf_token_secret_arn": "hf_secret"}, r"hf_token_secret_arn must match \^arn:.* a secret in Secrets Manager"),
        ({"input": {"csv": {"encoding": "ebcdic"}}}, "input.csv.encoding must be one of utf-8, utf-16"),
        (
            {"input": {"format": "bedrock_jsonl"}},
            "prompt_id: records of input.format bedrock_jsonl are sent as they are",
        ),
        ({"limits": {"budget_usd": 5}}, "needs price"),
        ({"output": {"prefix": "my prefix"}}, "output.prefix must match"),
        ({"retry": {}}, "Missing key 'outcomes' in retry"),
        ({"retry": {"outcomes": ["failed"]}}, "retry.outcomes.0 must be one of truncated, invalid"),
        ({"retry": {"outcomes": ["invalid"]}}, "invalid, which needs output.schema"),
        ({"retry": {"outcomes": ["truncated"]}}, "truncated, which needs retry.max_tokens"),
        (
            {
                "prompt_id": None,
                "input": {"format": "bedrock_jsonl"},
                "retry": {"outcomes": ["truncated"], "max_tokens": 9},
            },
            "retry.max_tokens: records of input.format bedrock_jsonl are sent as they are",
        ),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRunInput, match=sentence):
        run_input.validate({**MINIMAL, **change})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prompt": "SECRET {review}"}, "prompt must be an object, not a text. A prompt given here instead"),
        ({"inference": "SECRET"}, "inference must be an object, not a text"),
        ({"prompt": {"text": ["SECRET"]}}, "prompt.text must be a text, not a list"),
        ({"prompt": {"text": "a", "messages": [{"role": "user", "text": "SECRET"}]}}, "have 2 or more items, not 1"),
        ({"hf_token_secret_arn": "hf_SECRET"}, "hf_token_secret_arn must match"),
        ({"s3_uri": "https://b.s3.amazonaws.com/t.csv?X-Amz-Signature=SECRET"}, "expected s3://bucket/key"),
        ({"output": {"schema": "SECRET"}}, "output.schema must be an object, not a text"),
    ],
)
def test_prompts_and_secrets_are_not_repeated(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRunInput, match=sentence) as raised:
        run_input.validate({**MINIMAL, **change})
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize("document", [[], "s3://bucket/key", None, 3])
def test_a_document_that_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(InvalidRunInput, match="the run input must be an object, not "):
        run_input.validate(document)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InvalidRunInput, match="Missing key 'model_id'"):
        run_input.validate({"s3_uri": "s3://bucket/key.csv"})


def test_a_dataset_stands_in_place_of_s3() -> None:
    document = {"dataset_id": "org/data", "split": "test", "model_id": "m", "prompt_id": "p"}
    assert {key: run_input.validate(document)[key] for key in document} == document
    with pytest.raises(InvalidRunInput, match="Give either s3_uri or dataset_id"):
        run_input.validate({"model_id": "m", "prompt_id": "p"})
    with pytest.raises(InvalidRunInput, match="Leave the format out"):
        run_input.validate({**document, "input": {"format": "csv"}})


def test_each_model_of_a_list_has_a_document_of_its_own() -> None:
    price = {"m": {"input": 1, "output": 2}, "n": {"input": 3, "output": 4}}
    completed = run_input.validate({**MINIMAL, "model_id": ["m", "n"], "price": price})
    assert run_input.model_ids(completed) == ["m", "n"]
    assert run_input.of_model(completed, "n") == completed | {"model_id": "n", "price": price["n"]}
    both = run_input.of_model(completed | {"price": price["m"]}, "n")
    assert both["price"] == price["m"]
    both["inference"]["max_tokens"] = 5
    assert completed["inference"] == {}, "what is found out of one model is not the others'"
    assert run_input.model_ids(run_input.validate(MINIMAL)) == [MINIMAL["model_id"]]


def test_digest_tells_inputs_apart_and_ignores_the_order_of_keys() -> None:
    digest = run_input.digest(run_input.validate(MINIMAL))
    assert digest == run_input.digest(run_input.validate(dict(reversed(MINIMAL.items()))))
    assert digest != run_input.digest(run_input.validate({**MINIMAL, "job_name_prefix": "x"}))


def test_every_key_of_the_schema_is_described() -> None:
    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        return [f"{path}{key}" for key, part in schema.get("properties", {}).items() if "description" not in part] + [
            missing
            for key, part in schema.get("properties", {}).items()
            for missing in undescribed(part, f"{path}{key}.")
        ]

    assert undescribed(run_input.schema(), "") == []


def test_an_input_that_whoever_stops_the_run_could_not_read_is_refused() -> None:
    """DescribeExecution answers with the input as a text in JSON, and the cause of the end, of 32,768 characters."""

    def answered(document: dict[str, Any]) -> int:
        answer = {"Input": json.dumps(document), "Cause": '"' * 32_768, "Status": "FAILED"}
        return len(json.dumps(answer)) + 2_000  # names, dates and ARNs

    lines = {key: MINIMAL[key] for key in ("s3_uri", "model_id")}
    largest = lines | {"prompt": {"text": 'Say "{review}".\n' * 7_950}}
    run_input.validate(largest)
    assert answered(largest) < 256 * 1024
    with pytest.raises(InvalidRunInput, match=r"(?s)bytes, .* 192000 are the most. Put a long prompt on S3"):
        run_input.validate(lines | {"prompt": {"text": 'Say "{review}".\n' * 8_100}})
