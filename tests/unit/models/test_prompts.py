"""Prompts: of the run input, of the module, in objects, and in Prompt Management."""

import json
from typing import Any

import pytest

from bedrock_batch.errors import UnknownPrompt
from bedrock_batch.models import catalogue, prompts

TITAN = catalogue.resolve("amazon.titan-embed-text-v2:0")
TEXT = catalogue.resolve("amazon.nova-lite-v1:0")
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


def test_embeddings_ignore_a_prompt_that_the_module_lacks() -> None:
    for prompt_id in (None, "", "sentimnt"):
        found = prompts.resolve({"prompt_id": prompt_id}, PROMPTS, TITAN)
        assert found is not None and found["text"] == "{input_text}"
    assert prompts.warnings({"prompt_id": "sentimnt"}, PROMPTS, TITAN) == [
        "prompt_id 'sentimnt' is not one of the module's prompts: did you mean 'sentiment'? It is ignored: the column "
        "input_text is embedded."
    ]
    assert prompts.warnings({"prompt_id": None}, PROMPTS, TITAN) == []
    own = prompts.resolve({"prompt_id": "sentiment"}, PROMPTS, TITAN)
    assert own is not None and own["id"] == "sentiment", "one that the module has is used"
    assert prompts.warnings({"prompt_id": "sentiment"}, PROMPTS, TITAN) == []
