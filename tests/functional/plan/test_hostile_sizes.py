"""Input that is far too large is refused early, with a sentence and little memory, before anything is written."""

import time
from typing import Any

import pytest

from bedrock_batch.aws.s3 import S3
from bedrock_batch.errors import (
    BedrockBatchError,
    InvalidRunInput,
    MalformedInput,
    UnknownPrompt,
    UnsupportedRequest,
)
from tests.conftest import BUCKET
from tests.functional.planned import plan
from tests.functional.tables import put

MODEL = "amazon.nova-lite-v1:0"
ACME = {
    "model_id": "acme.chat",
    "invocation_type": "InvokeModel",
    "request": {"ask": "{review}"},
    "prompt": None,
}
HUGE = 10**5000


def nested(levels: int, kind: type) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value} if kind is dict else [value]
    return value


@pytest.fixture(autouse=True)
def table(s3: S3) -> None:
    s3.put(BUCKET, "in/t.csv", b"review\n" + b"fine\n" * 120)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"limits": {"max_rounds": float("inf")}}, InvalidRunInput, "limits.max_rounds is a number that does not fit"),
        ({"limits": {"max_rounds": HUGE}}, InvalidRunInput, "limits.max_rounds is a number that does not fit"),
        ({"input": {"limit": -HUGE}}, InvalidRunInput, "input.limit is a number that does not fit"),
        ({"request": {"x": [1, HUGE]}}, InvalidRunInput, "request.x.1 is a number that does not fit"),
        ({"request": {"x": float("-inf")}}, InvalidRunInput, "request.x is a number that does not fit"),
        ({"response": {"text": HUGE}}, InvalidRunInput, "response.text is a number that does not fit"),
        ({"inference": {"max_tokens": 2**62}}, InvalidRunInput, "max_tokens must be at most 10000000"),
        ({"price": {"input": 1e308, "output": 1}}, InvalidRunInput, "price.input must be at most 1000000"),
        (
            {**ACME, "response": {"embedding": "e"}, "embedding": {"dimensions": 2**40}},
            InvalidRunInput,
            "embedding.dimensions must be at most 65536",
        ),
        ({**ACME, "response": {"text": "a" * 501}}, InvalidRunInput, "response.text must have at most 500 characters"),
        ({**ACME, "response": {"text": f"a[{'9' * 400}]"}}, InvalidRunInput, "is not valid. Write keys"),
        ({"response": {"reasoning_tag": "t" * 51}}, InvalidRunInput, "reasoning_tag must have at most 50 characters"),
        ({"model_id": "m" * 3000}, InvalidRunInput, "model_id must have at most 2048 characters"),
        (
            {"prompt": {"text": "{review} " * 51}},
            UnsupportedRequest,
            "the place {review} 51 times, but one place may occur at most 50",
        ),
        ({"prompt": {"text": "{review}" * 15_000}}, UnsupportedRequest, "has 15000 places, but may have at most 1000"),
        ({"prompt": {"text": "x" * 200_000}}, InvalidRunInput, "Put a long prompt on S3"),
        *(
            (
                {"request": {"additionalModelRequestFields": nested(levels, kind)}},
                InvalidRunInput,
                "in 'request': at most 100",
            )
            for levels in (120, 400, 700, 950, 100_000)
            for kind in (dict, list)
        ),
    ],
)
def test_a_run_input_of_hostile_size(s3: S3, given: dict[str, Any], error: type[BedrockBatchError], words: str) -> None:
    _refused(s3, given, error, words)


def test_numbers_and_nesting_of_a_sane_size_are_taken(s3: S3) -> None:
    fields = {"deep": nested(90, dict), "n": 2**63 - 1, "m": 1e308}
    run = plan(s3, MODEL, prompt={"text": "{review} " * 50}, request={"additionalModelRequestFields": fields})
    assert run["request"]["additionalModelRequestFields"] == fields


@pytest.mark.parametrize(
    ("key", "body", "error", "words"),
    [
        ("p.txt", b"{review}" * 100_000, UnsupportedRequest, "has 100000 places, but may have at most 1000"),
        ("p.txt", b"{}" * 400_000, UnknownPrompt, "A place is empty at line 1"),
        ("p.txt", b"x{review}" * 200_000, UnknownPrompt, "has 1800000 bytes, but a prompt may have at most 1048576"),
        ("p.json", b'{"text": ' + b"9" * 5000 + b"}", UnknownPrompt, "cannot be read"),
        ("p.json", b'{"text": 1e99999999999999999999}', UnknownPrompt, "must be a JSON object with text"),
        ("p.json", b"[" * 100_000, UnknownPrompt, "cannot be read"),
    ],
)
def test_a_prompt_of_hostile_size(s3: S3, key: str, body: bytes, error: type[BedrockBatchError], words: str) -> None:
    _refused(s3, {"prompt": {"s3_uri": put(f"in/{key}", body)}}, error, words)


def test_a_long_prompt_is_sent_in_smaller_jobs(s3: S3) -> None:
    """A megabyte times the rows is more than a file may have: the table is cut by that, too."""
    s3.put(BUCKET, "in/t.csv", b"review\n" + b"fine\n" * 2_000)
    run = plan(s3, MODEL, prompt={"s3_uri": put("in/p.txt", b"x" * 1_000_000 + b"{review}")})
    assert run["shards"] == 3


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("1e99999999999999999999", "row 2 cannot be read .the exponent of a number is too long"),
        ("-1.5E-99999999999999999999", "row 2 cannot be read .the exponent of a number is too long"),
        ('[0, {"m": 1e99999999999999999999}]', "row 2 cannot be read .the exponent of a number is too long"),
        ("9" * 5000, "row 2 cannot be read"),
        ("[" * 100_000 + "]" * 100_000, "row 2 is nested too deeply"),
    ],
)
def test_json_lines_with_values_of_hostile_size(s3: S3, number: str, words: str) -> None:
    uri = put("in/t.jsonl", f'{{"review": "a", "n": 1}}\n{{"review": "b", "n": {number}}}\n'.encode())
    _refused(s3, {"s3_uri": uri}, MalformedInput, f"^s3://{BUCKET}/in/t.jsonl: {words}")


@pytest.mark.parametrize("number", ["1e400", "1e-400", "0." + "1" * 6000, "1e999999999999", "9" * 300])
def test_numbers_that_no_column_holds_are_kept_as_text(s3: S3, number: str) -> None:
    uri = put("in/t.jsonl", f'{{"review": "a", "n": {number}}}\n'.encode() * 120)
    run = plan(s3, MODEL, s3_uri=uri, prompt={"text": "{review} {n}"})
    assert {column["name"]: column["type"] for column in run["table"]["columns"]} == {"review": "string", "n": "string"}


def _refused(s3: S3, given: dict[str, Any], error: type[BedrockBatchError], words: str) -> None:
    given = {"model_id": MODEL, "prompt": {"text": "{review}"}, **given}
    start = time.process_time()
    with pytest.raises(error, match=words) as caught:
        plan(s3, **{key: value for key, value in given.items() if value is not None})
    assert time.process_time() - start < 10
    assert len(str(caught.value)) < 2_000
    assert list(s3.list(BUCKET, "reviews/")) == []
