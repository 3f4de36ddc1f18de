"""A broken or cut answer never gives a row the value of another object: a part of an answer is not the answer."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from bedrock_batch.answers.answer_schema import Reader, Unfit
from bedrock_batch.answers.parse import parser
from bedrock_batch.models.catalogue import resolve
from bedrock_batch.record_ids import record_id
from tests.unit.output_lines import line

LABELLED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "score": {"type": "number"},
        "evidence": {"type": "array", "items": {"type": "object", "properties": {"label": {"type": "string"}}}},
    },
}
ANSWER: dict[str, Any] = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
STEPS = "".join(f"Step {i}: \\frac{{{i}}}{{2}} + x_{{{i}}}\n" for i in range(22))


def read(text: str, schema: dict[str, Any] = LABELLED) -> dict[str, Any] | str:
    try:
        return Reader(schema).read(text.encode())
    except Unfit as problem:
        return f"unfit: {problem}"


@pytest.mark.parametrize(
    "text",
    [
        '{"label": "negative", "score": 0.9, "evidence": [{"label": "positive"}],}',
        '{"label": "negative", "score": None, "evidence": [{"label": "positive"}]}',
        '{"label": "negative", "score": 0.9, "evidence": [{"label": "positive"}, {"label": "neg',
        '{"label": "negative", "score": 0.9, "evidence": [{"label": "positive"}]',
        '{"label": "negative", "score": 1e400, "evidence": [{"label": "positive"}]}',
        '{"label": "negative", "score": NaN, "evidence": [{"label": "positive"}]}',
        '{"label": "negative", "evidence": [{"label": "positive"},]}',
        '{"label": "negative", "evidence": [{"label": "positive"}, ...]}',
        '{"label": "negative", // sure\n "evidence": [{"label": "positive"}]}',
        '{// sure\n"label": "negative", "evidence": [{"label": "positive"}]}',
        '{"label": "negative" "evidence": [{"label": "positive"}]}',
        '{"label": "she said "no"", "evidence": [{"label": "positive"}]}',
        '{"label": "5" wide}", "evidence": [{"label": "positive"}]}',
        "{'label': 'negative', 'evidence': [{\"label\": \"positive\"}]}",
        "{'label': 'negative', 'best': {\"label\": \"positive\"}}",
        '{label: "negative", evidence: [{"label": "positive"}]}',
        '"label": "negative", "evidence": [{"label": "positive"}]}',
        '{"label": "negative", "score": 0.9, "evidence": [{"label": "positive"}]}\n{"label": "neg',
        '{"label": "positive"} No: {"label": "negative", "score": }',
        '{"label": "positive"} No: {"label": None}',
        'Thinking {"label": "negative", then {"label": "positive"}',
        'So {"other": {"label": "positive"}, "x": [}',
        'So {"other": {"label": "positive"}',
        '{\\"label\\": \\"positive\\"}',
        '{"label": "half a pair \\ud83d"}',
        "{'label': 'positive'}",
        "{label: positive}",
        '{"label": "positive"',
        '{"label": "positi',
        '{"label',
        "{}, or {}",
        "",
    ],
)
def test_no_part_of_a_broken_answer_counts(text: str) -> None:
    for around in ("{}", "```json\n{}\n```", "So {{i}}: {} Done.", "\\boxed{{x_{{i}}}} {}"):
        found = read(around.format(text) if around != "{}" else text)
        assert isinstance(found, str), found


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (STEPS + '```json\n{"label": "good"}\n```', "good"),
        ("{" * 1_000 + ' {"label": "good"}', "good"),
        ('{"label": "draft"}\nNo, wait.\n{"label": "good"}', "good"),
        ('{"label": "draft",}\nNo, wait.\n{"label": "good"}', "good"),
        ('{"label": "draft", "score": None} Rather: {"label": "good"}.', "good"),
        ('{"label": "good"} or {"label": 1}', "good"),
        ('{"label": "good"} (of {"other": None})', "good"),
        ('{"label": "good"} {and so on}', "good"),
        ('{"label": "good"} {"quoted"}', "good"),
        ('{"label": "good"}}', "good"),
        ('{{"label": "good"}}', "good"),
        ('\\boxed{{"label": "good"}}', "good"),
        ('Answer: {"label": "good"}}', "good"),
        ('The "answer": {"label": "good"}', "good"),
        ('He said "{"label": "good"}".', "good"),
        ('print({"label": "good"}); }', "good"),
        ('f() { return {"label": "good"}; }', "good"),
        ('Out of [{"label": "draft"}, {"label": "good"}]', "good"),
        ('Out of [{"label": "draft",}, {"label": "good"}].', "good"),
        ('{"label": "go\nod"}', "go\nod"),
        ('{"label": "draft", "label": "good"}', "good"),
        ('{"label": "a } and a { and \\" and {\\"label\\": \\"b\\"}"}', 'a } and a { and " and {"label": "b"}'),
        ('x = {"other": 1}\n{"label": "good"}', "good"),
        ('A set {"a", "b"} and {"label": "good"}', "good"),
        ('{ "label"\n:\t"good" }', "good"),
        ('\ufeff{"label": "good"}', "good"),
        ('{"label": "good"} and a brace {"', "good"),
    ],
)
def test_the_answer_is_found_whatever_stands_around(text: str, label: str) -> None:
    found = read(text)
    assert isinstance(found, dict), found
    assert found == {"label": label}


@pytest.mark.parametrize("text", ['[{"label": "x"}]', '"{\\"label\\": \\"x\\"}"', '"label"', "3", "null", " [] "])
def test_a_text_that_is_json_counts_as_a_whole(text: str) -> None:
    assert str(read(text)).endswith('is not of type "object"')
    assert read('{"other": {"label": "positive"}}') == read(" {} ") == {}


def test_formulas_before_the_answer() -> None:
    assert read(f'{STEPS}```json\n{{"answer": 3}}\n```', ANSWER) == {"answer": 3}


# --- Every byte ---


class Made:
    """Makes answers with objects like the answer within it, and texts that look like JSON."""

    TEXTS = ("", "}", "{", '"', 'a "q" {b}', "\\", ': [{"label": "x"}]', "it's", '"evidence": [{"label": "PART"}]')

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def object(self, label: str, depth: int = 0) -> dict[str, Any]:
        chance = self.chance
        made: dict[str, Any] = {"label": label if label == "RIGHT" else label + chance.choice(self.TEXTS)}
        if chance.random() < 0.4:
            made["score"] = 1
        if depth < 2 and chance.random() < 0.5:
            made["evidence"] = [self.object("PART", depth + 1) for _ in range(chance.randint(0, 3))]
        if depth < 2 and chance.random() < 0.4:
            made["best"] = self.object("PART", depth + 1)
        if chance.random() < 0.3:
            made["note"] = chance.choice([None, *self.TEXTS, [1, {"label": "PART"}]])
        members = list(made.items())
        chance.shuffle(members)
        return dict(members)

    def text(self) -> str:
        return json.dumps(
            self.object("RIGHT"),
            indent=self.chance.choice([None, 2]),
            separators=self.chance.choice([None, (",", ":")]),
        )


def broken(text: str) -> list[str]:
    """Return a text cut at every character, and without each of them."""
    return [text[:at] for at in range(len(text))] + [text[:at] + text[at + 1 :] for at in range(len(text))]


@pytest.mark.parametrize("around", ["{}", "```json\n{}\n```", "So {here}: {}\nHope it {helps}"])
def test_a_byte_less_never_gives_the_value_of_a_part(around: str) -> None:
    reader = Reader(LABELLED | {"properties": LABELLED["properties"] | {"best": {"type": "object"}, "note": {}}})
    before, after = around.split("{}") if around != "{}" else ("", "")
    readable = 0
    for seed in range(40):
        for text in broken(before + Made(seed).text() + after):
            try:
                found = reader.read(text.encode())
            except Unfit:
                continue
            readable += 1
            assert not str(found.get("label", "")).startswith("PART"), text
    assert readable


SAID = '{"label": "RIGHT", "score": 1, "evidence": [{"label": "PART"}, {"label": "PART}"}], "x": {"label": "PART"}}'
GOLDENS = json.loads((Path(__file__).parents[1] / "goldens" / "answers.json").read_text("utf-8"))
TEXTS = [golden for golden in GOLDENS if golden["columns"].get("response") and "tool call" not in golden["name"]]
"""The input of a tool call is JSON, not text, so it cannot be broken."""


def saying(output: Any, response: str, pieces: list[str]) -> Any:
    """Return a model's output with these pieces in the places of the pieces of its response."""
    if isinstance(output, dict):
        return {key: saying(value, response, pieces) for key, value in output.items()}
    if isinstance(output, list):
        return [saying(value, response, pieces) for value in output]
    if isinstance(output, str) and response in output:
        return output.replace(response, "".join(pieces))
    if isinstance(output, str) and len(output) > 1 and output in response:
        return pieces.pop(0) if pieces else ""
    return output


@pytest.mark.parametrize("golden", TEXTS, ids=lambda golden: golden["name"])
def test_an_answer_of_each_family_cut_or_broken_at_every_byte(golden: dict[str, Any]) -> None:
    family = resolve(golden["model_id"], golden["invocation_type"])
    assert family.body is not None
    parse, reader = parser(family.body.response, None), Reader(LABELLED)

    def found(text: str) -> Any:
        output = saying(golden["modelOutput"], golden["columns"]["response"], [text[:9], text[9:]])
        (answer,) = parse(line(record_id(0, 0), output))
        value = getattr(answer, "value", None)
        try:
            return reader.read(value) if value is not None else None
        except Unfit:
            return None

    assert found(SAID)["label"] == "RIGHT"
    for text in broken(SAID):
        assert not str((found(text) or {}).get("label", "")).startswith("PART"), text
