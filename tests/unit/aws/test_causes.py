"""The sentence of an error contains no prompts, rows or tokens."""

import json

import pytest

from bedrock_batch.aws import causes


def test_of_a_function_its_own_sentence_is_said() -> None:
    cause = json.dumps({"errorMessage": "row 7: 2 cells", "errorType": "MalformedInput", "stackTrace": ["secret"]})
    assert causes.sentence("MalformedInput", cause) == "MalformedInput: row 7: 2 cells"


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("The provided role may not", "The provided role may not"),
        ('{"no": "message"}', "…"),
        ('Unable to apply x to input {"prompt": "my secret"}', "Unable to apply x to input …"),
        ("token " + "A" * 700 + " is over", "token … is over"),
        ("Invalid type for parameter text, value: my secret, type: <class 'int'>, valid types: str",
         "Invalid type for parameter text, value: …, type: <class 'int'>, valid types: str"),
        ("extraneous key [top_k] is not permitted", "extraneous key [top_k] is not permitted"),
        ("", ""),
    ],
)  # fmt: skip
def test_of_others_without_what_they_repeat(cause: str, said: str) -> None:
    assert causes.said_by(cause) == said


def test_nothing_is_said_at_length() -> None:
    assert len(causes.said_by("word " * 1_000)) == 1_000
    assert causes.sentence("", "") == ""
    assert causes.sentence("States.Timeout", "") == "States.Timeout"
