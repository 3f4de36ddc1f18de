"""The run input: documents of the published sample run unchanged, and mistakes are named."""

import copy
import functools
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bedrock_batch.errors import InvalidRunInput
from bedrock_batch.run_input import validate

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
    completed = validate.validate(document)
    assert {key: completed[key] for key in document} == document


TABLE = {"s3_uri": "s3://bucket/t.csv", "model_id": "m", "prompt_id": "p"}
DATASET = {"dataset_id": "w601sxs/simpleCoT", "model_id": "m", "prompt_id": "p"}


@pytest.mark.parametrize(
    "document",
    [
        {**TABLE, "dataset_id": None, "split": None},
        {**TABLE, "dataset_id": "", "split": ""},
        {**TABLE, "split": "train"},
        {**TABLE, "job_name_prefix": None, "max_records_per_job": None, "max_num_jobs": None},
        {**TABLE, "job_name_prefix": "", "max_num_jobs": 0},
        {**TABLE, "job_name_prefix": "words " * 50},
        {**DATASET, "s3_uri": None, "split": None},
        {**DATASET, "s3_uri": "", "split": "test"},
        {**DATASET, "model_id": "amazon.titan-embed-text-v2:0", "prompt_id": ""},
    ],
)
def test_what_the_sample_takes_for_absent_is_absent_here(document: dict[str, Any]) -> None:
    completed = validate.validate(document)
    assert {key: completed[key] for key in document} == document
    assert Draft202012Validator(validate.schema()).is_valid(document), "editors take it, too"


def test_a_split_without_a_dataset_is_a_warning() -> None:
    (warning,) = validate.warnings(validate.validate({**TABLE, "split": "train"}))
    assert warning.startswith("split is ignored")
    for document in (TABLE, {**TABLE, "split": None}, {**DATASET, "split": "test"}):
        assert validate.warnings(validate.validate(document)) == []


@pytest.mark.parametrize(
    ("given", "most"),
    [
        ({"max_num_jobs": 1}, 1000),
        ({"max_num_jobs": 3.0, "max_records_per_job": None}, 1000),
        ({"max_num_jobs": 1, "max_records_per_job": 50_000}, 50_000),
        ({"max_num_jobs": 0}, None),
        ({"max_num_jobs": None}, None),
        ({"input": {"limit": 20_000}}, None),
        ({}, None),
    ],
)
def test_jobs_of_a_trial_have_a_thousand_rows_unless_told_otherwise(given: dict[str, Any], most: int | None) -> None:
    assert validate.validate({**DATASET, **given}).get("max_records_per_job") == most


def test_null_counts_as_absent_for_every_key_that_may_be_left_out() -> None:
    sections = {"limits": {"budget_usd": None, "max_rounds": None}, "inference": None, "input": {"csv": None}}
    nulls = {"prompt": None, "request": {"seed": None}, "dry_run": None, "config": None, "output": {"schema": None}}
    assert validate.validate({**TABLE, **sections, **nulls}) == validate.validate({**TABLE, "request": {"seed": None}})


def test_whole_floats_are_integers_wherever_they_stand() -> None:
    floats = {
        "max_records_per_job": 200.0,
        "max_num_jobs": 2.0,
        "input": {"limit": 30.0},
        "inference": {"max_tokens": 50.0, "temperature": 1.0, "top_p": 0.5},
        "limits": {"max_rounds": 0.0, "job_timeout_hours": 24.0},
        "request": {"inferenceConfig": {"maxTokens": 50.0}, "seeds": [1.0, 2.5], "large": 1e300},
    }
    completed = validate.validate({**TABLE, **floats})
    assert json.dumps(validate.validate(json.loads(json.dumps({**TABLE, **floats})))) == json.dumps(completed)
    assert '"limit": 30,' in json.dumps(completed) and '"max_tokens": 50,' in json.dumps(completed)
    assert json.dumps(completed["request"]) == (
        '{"inferenceConfig": {"maxTokens": 50}, "seeds": [1, 2.5], "large": 1e+300}'
    )
    assert [completed[key] for key in ("max_records_per_job", "max_num_jobs")] == [200, 2]
    assert ".0" not in json.dumps({key: completed[key] for key in floats})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"input": {"limit": 30.5}}, "input.limit must be a whole number, not 30.5"),
        ({"max_records_per_job": 10.5}, "max_records_per_job must be a whole number, not 10.5"),
        ({"input": {"limit": 1e300}}, r"input.limit must be a whole number, not 1e\+300"),
        ({"max_num_jobs": -1}, "max_num_jobs must be at least 0, not -1"),
        ({"max_num_jobs": True}, "max_num_jobs must be a whole number, not true"),
        ({"request": {"a": [10**30]}}, "request.a.0 is a number that does not fit into 64 bits"),
        ({"request": {"a": float("inf")}}, "request.a is a number that does not fit into 64 bits"),
        ({"prompt": {"text": "a \ud83d"}}, "prompt.text has half of a surrogate pair"),
        ({"request": {"a": {"\udc00": 1}}}, "request.a has half of a surrogate pair"),
        ({"request": {"a": functools.reduce(lambda inner, _: [inner], range(5000), [])}}, "nested too deeply"),
    ],
)
def test_what_no_record_could_hold_is_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRunInput, match=sentence):
        validate.validate({**MINIMAL, **change})


def test_all_mistakes_are_in_one_message() -> None:
    document = {
        "s3_uri": "reviews.csv",
        "model": "m",
        "colour": "red",
        "inference": {"max_tokens": "9"},
        "media": {},
        "limits": {"job_timeout_hours": 2},
    }
    with pytest.raises(InvalidRunInput) as raised:
        validate.validate(document)
    message = str(raised.value)
    assert message.startswith("There are 8 mistakes. (1) ")
    for sentence in (
        "Unknown key 'model' in the run input: did you mean 'model_id'?",
        "Unknown key 'colour' in the run input: known keys: ",
        "Missing key 'model_id' in the run input.",
        "s3_uri is 'reviews.csv', but must be s3://bucket/key",
        "inference.max_tokens must be a whole number, not a text.",
        "Missing key 'column' in media.",
        "Missing key 'kind' in media.",
        "limits.job_timeout_hours must be at least 24, not 2.",
    ):
        assert message.count(sentence) == 1, sentence


def test_contradictions_are_in_one_message_too() -> None:
    document = {**MINIMAL, "prompt": {"system": "s"}, "revision": "main", "limits": {"budget_usd": 1}}
    with pytest.raises(InvalidRunInput, match=r"There are 4 mistakes\. \(1\) revision .*\(2\) .*\(3\) .*\(4\) limits"):
        validate.validate(document)


def test_a_message_has_ten_mistakes_at_most() -> None:
    with pytest.raises(InvalidRunInput, match=r"There are 40 mistakes\. .*\(10\) Unknown key .* And 30 more\.$"):
        validate.validate({**MINIMAL, **{f"key{number}": 1 for number in range(40)}})


def test_defaults_come_from_the_schema() -> None:
    completed = validate.validate(MINIMAL)
    assert completed["limits"]["job_timeout_hours"] == 72
    assert completed["output"]["prefix"] == "bedrock_"
    assert completed["input"]["nulls"] == "skip"
    assert completed["dry_run"] is False
    assert "price" not in completed


def test_the_given_document_is_left_alone() -> None:
    given = {**MINIMAL, "limits": {"check_seconds": 60}}
    before = copy.deepcopy(given)
    validate.validate(given)
    assert given == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"max_records_per_batch": 2}, r"Unknown key 'max_records_per_batch' .*did you mean 'max_records_per_job'\?"),
        ({"colour": "red"}, "Unknown key 'colour' in the run input: known keys: s3_uri, "),
        ({"limits": {"job_timeout": 24}}, "Unknown key 'job_timeout' in limits: did you mean 'job_timeout_hours'"),
        ({"limits": {"job_timeout_hours": 2}}, "limits.job_timeout_hours must be at least 24, not 2."),
        ({"s3_uri": "reviews.csv"}, "s3_uri is 'reviews.csv', but must be s3://bucket/key"),
        ({"s3_uri": []}, "s3_uri must have at least 1 item, not 0"),
        ({"model_id": None}, "model_id must be a text or a list, not null. Model id, inference profile id or ARN"),
        ({"model_id": ["m"]}, "model_id is a list of 1 models, but must be one model as text, or a list of 2 to 10"),
        ({"model_id": list("abcdefghijk")}, "model_id is a list of 11 models"),
        ({"model_id": ["m", "m"]}, "model_id must not have the same item twice"),
        ({"model_id": ["m", ""]}, "model_id.1 must not be empty"),
        ({"model_id": ["m:1", "m-1"]}, "'m:1' and 'm-1', but their outputs would be in the same folder 'm-1'"),
        ({"model_id": ["m", "n"], "output": {"prefix": "_x_"}}, "output.prefix is '_x_'. .*a folder _x_model=…"),
        (
            {"model_id": ["m", "n"], "prompt_id": None, "input": {"format": "bedrock_jsonl"}},
            "model_id is a list, .* the shape of one model",
        ),
        ({"limits": {"on_demand_tier": "priority"}}, "limits.on_demand_tier must be one of auto, flex, default"),
        ({"price": {"input": 1, "output": 1, "flex": {"input": 1}}}, "Missing key 'output' in price.flex"),
        ({"price": {"input": 1, "output": 1, "flexx": {"input": 1, "output": 1}}}, "price has .*'flexx'"),
        ({"price": {"flex": {"input": 1, "output": 1}}}, "price has 'flex'. Set it to {input, output}"),
        (
            {"price": {"input": 1}},
            "price has 'input'. Set it to {input, output}, or to one such object for each model id",
        ),
        ({"model_id": ["m", "n"], "price": {"m": {"input": 1, "output": 1}}}, "price has 'm'. .*(m, n)"),
        ({"inference": {"max_tokens": "9"}}, "inference.max_tokens must be a whole number, not a text. Most tokens"),
        ({"inference": {"max_tokens": 9.5}}, "inference.max_tokens must be a whole number, not 9.5"),
        ({"dry_run": 1}, "dry_run must be true or false, not 1"),
        ({"limits": {"budget_usd": 0}}, "limits.budget_usd must be more than 0, not 0"),
        ({"input": {"csv": {"delimiter": "||"}}}, "input.csv.delimiter must have at most 1 character, not 2"),
        ({"prompt": {}}, "prompt must not be empty"),
        ({"price": {"amazon.nova-lite-v1:0": {"input": 1}}}, "Missing key 'output' in price.amazon.nova-lite-v1:0"),
        ({"inference": {"temperature": 2}}, "inference.temperature must be at most 1, not 2"),
        ({"prompt": {"text": "{review}"}}, "either prompt_id or prompt"),
        ({"dataset_id": "org/data"}, "Set exactly one of s3_uri and dataset_id"),
        ({"revision": "main"}, "revision is only for datasets of the Hugging Face hub"),
        ({"hf_token_secret_arn": "hf_secret"}, r"hf_token_secret_arn must match \^arn:.* a secret in Secrets Manager"),
        ({"input": {"csv": {"encoding": "ebcdic"}}}, "input.csv.encoding must be one of utf-8, utf-16"),
        (
            {"input": {"format": "bedrock_jsonl"}},
            "prompt_id: with input.format bedrock_jsonl, records are sent unchanged",
        ),
        ({"limits": {"budget_usd": 5}}, "needs price"),
        ({"output": {"prefix": "my prefix"}}, "output.prefix must match"),
        ({"retry": {}}, "Missing key 'outcomes' in retry"),
        ({"retry": {"outcomes": ["failed"]}}, "retry.outcomes.0 must be one of truncated, invalid"),
        ({"retry": {"outcomes": ["invalid"]}}, "invalid, but without output.schema"),
        ({"retry": {"outcomes": ["truncated"]}}, "truncated, so a retry needs a larger limit. Set retry.max_tokens"),
        (
            {
                "prompt_id": None,
                "input": {"format": "bedrock_jsonl"},
                "retry": {"outcomes": ["truncated"], "max_tokens": 9},
            },
            "retry.max_tokens: with input.format bedrock_jsonl, records are sent unchanged",
        ),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRunInput, match=sentence):
        validate.validate({**MINIMAL, **change})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prompt": "SECRET {review}"}, "prompt must be an object, not a text. A prompt in place of"),
        ({"inference": "SECRET"}, "inference must be an object, not a text"),
        ({"prompt": {"text": ["SECRET"]}}, "prompt.text must be a text, not a list"),
        ({"prompt": {"text": "a", "messages": [{"role": "user", "text": "SECRET"}]}}, "have at least 2 items, not 1"),
        ({"hf_token_secret_arn": "hf_SECRET"}, "hf_token_secret_arn must match"),
        ({"s3_uri": "https://b.s3.amazonaws.com/t.csv?X-Amz-Signature=SECRET"}, "must be s3://bucket/key"),
        ({"output": {"schema": "SECRET"}}, "output.schema must be an object, not a text"),
    ],
)
def test_prompts_and_secrets_are_not_repeated(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRunInput, match=sentence) as raised:
        validate.validate({**MINIMAL, **change})
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize("document", [[], "s3://bucket/key", None, 3])
def test_a_document_that_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(InvalidRunInput, match="the run input must be an object, not "):
        validate.validate(document)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InvalidRunInput, match="Missing key 'model_id'"):
        validate.validate({"s3_uri": "s3://bucket/key.csv"})


def test_a_dataset_stands_in_place_of_s3() -> None:
    document = {"dataset_id": "org/data", "split": "test", "model_id": "m", "prompt_id": "p"}
    assert {key: validate.validate(document)[key] for key in document} == document
    with pytest.raises(InvalidRunInput, match="Set exactly one of s3_uri and dataset_id"):
        validate.validate({"model_id": "m", "prompt_id": "p"})
    with pytest.raises(InvalidRunInput, match="Remove input.format"):
        validate.validate({**document, "input": {"format": "csv"}})


def test_each_model_of_a_list_has_a_document_of_its_own() -> None:
    price = {"m": {"input": 1, "output": 2}, "n": {"input": 3, "output": 4}}
    completed = validate.validate({**MINIMAL, "model_id": ["m", "n"], "price": price})
    assert validate.model_ids(completed) == ["m", "n"]
    assert validate.of_model(completed, "n") == completed | {"model_id": "n", "price": price["n"]}
    both = validate.of_model(completed | {"price": price["m"]}, "n")
    assert both["price"] == price["m"]
    both["inference"]["max_tokens"] = 5
    assert completed["inference"] == {}, "what is found out of one model is not the others'"
    assert validate.model_ids(validate.validate(MINIMAL)) == [MINIMAL["model_id"]]


def test_every_key_of_the_schema_is_described() -> None:
    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        return [f"{path}{key}" for key, part in schema.get("properties", {}).items() if "description" not in part] + [
            missing
            for key, part in schema.get("properties", {}).items()
            for missing in undescribed(part, f"{path}{key}.")
        ]

    assert undescribed(validate.schema(), "") == []


def test_an_input_that_whoever_stops_the_run_could_not_read_is_refused() -> None:
    """DescribeExecution answers with the input as a text in JSON, and the cause of the end, of 32,768 characters."""

    def answered(document: dict[str, Any]) -> int:
        answer = {"Input": json.dumps(document), "Cause": '"' * 32_768, "Status": "FAILED"}
        return len(json.dumps(answer)) + 2_000  # names, dates and ARNs

    lines = {key: MINIMAL[key] for key in ("s3_uri", "model_id")}
    largest = lines | {"prompt": {"text": 'Say "{review}".\n' * 7_950}}
    validate.validate(largest)
    assert answered(largest) < 256 * 1024
    with pytest.raises(InvalidRunInput, match=r"(?s)bytes .* may have at most 192000. Put a long prompt on S3"):
        validate.validate(lines | {"prompt": {"text": 'Say "{review}".\n' * 8_100}})


def test_a_price_may_name_routes() -> None:
    rate = {"input": 1, "output": 2}
    price = rate | {"flex": rate, "on_demand": rate}
    assert validate.validate({**MINIMAL, "price": price})["price"] == price
    assert validate.validate({**MINIMAL, "price": rate})["price"] == rate, "no route comes into being"
    both = {"m": price, "n": rate | {"on_demand": rate}}
    completed = validate.validate({**MINIMAL, "model_id": ["m", "n"], "price": both})
    assert validate.of_model(completed, "n")["price"] == both["n"]
