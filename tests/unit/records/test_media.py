"""The kinds of media that models accept, according to the catalogue, and the messages about them."""

import pytest

from bedrock_batch.errors import UnsupportedRequest
from bedrock_batch.models import catalogue
from bedrock_batch.records import media
from bedrock_batch.run_input import validate
from tests.unit.factories import compose

NOVA = "amazon.nova-pro-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.mark.parametrize(
    ("model_id", "kind"),
    [
        ("us.amazon.nova-micro-v1:0", "image"),
        ("us.amazon.nova-micro-v1:0", "document"),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", "image"),
        (CLAUDE, "video"),
        ("us.meta.llama3-1-8b-instruct-v1:0", "image"),
        ("us.meta.llama3-3-70b-instruct-v1:0", "image"),
        ("us.meta.llama4-scout-17b-instruct-v1:0", "video"),
        ("amazon.titan-embed-text-v2:0", "image"),
    ],
)
def test_a_model_that_does_not_take_them_is_refused(model_id: str, kind: str) -> None:
    with pytest.raises(UnsupportedRequest, match=f"does not accept an? {kind}, so every record would fail"):
        compose(model_id, media={"column": "c", "kind": kind})


@pytest.mark.parametrize(
    ("model_id", "kind"),
    [
        (NOVA, "image"),
        (NOVA, "document"),
        (NOVA, "video"),
        (CLAUDE, "image"),
        (CLAUDE, "document"),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", "document"),
        ("us.meta.llama3-2-90b-instruct-v1:0", "image"),
        ("us.meta.llama4-scout-17b-instruct-v1:0", "image"),
    ],
)
def test_a_model_that_takes_them_is_used_without_a_word(model_id: str, kind: str) -> None:
    assert compose(model_id, media={"column": "c", "kind": kind}).warnings == []


@pytest.mark.parametrize(
    "model_id", ["openai.gpt-oss-20b-1:0", "qwen.qwen3-32b-v1:0", "us.meta.llama3-1-8b-instruct-v1:0"]
)
def test_where_nothing_is_known_a_warning_says_so(model_id: str) -> None:
    (warning,) = compose(model_id, media={"column": "c", "kind": "document"}).warnings
    assert warning.startswith(f"media: the catalogue does not know whether {catalogue.base_model_id(model_id)} accepts")


def test_the_catalogue_has_the_kinds_that_a_run_may_ask_for() -> None:
    kinds = set(validate.schema()["properties"]["media"]["properties"]["kind"]["enum"])
    assert kinds == set(media.FORMATS)
    for entry in [*catalogue.entries()["families"], *catalogue.entries()["models"]]:
        assert set(entry.get("media", {})) <= kinds
    sources = set(validate.schema()["properties"]["media"]["properties"]["source"]["enum"])
    assert sources == set(media.PLACES)
    for body in catalogue.bodies().values():
        assert set(body.media) <= kinds
        assert set(body.media_sources) <= sources
        assert bool(body.media) == bool(body.media_sources)
