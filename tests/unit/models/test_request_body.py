"""The bodies of requests to models."""

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from bedrock_batch.errors import InvalidRunInput, UnsupportedRequest
from bedrock_batch.models import catalogue, request_body

TITAN = catalogue.resolve("amazon.titan-embed-text-v2:0")
TEXT = catalogue.resolve("amazon.nova-lite-v1:0")


def test_converse_body_with_everything_fits_the_service_model() -> None:
    body = request_body.body_template(
        TEXT,
        prompt="Judge {review}",
        system="You are {role}.",
        inference={"max_tokens": 10, "temperature": 0.5, "top_p": 0.9, "stop_sequences": ["}"]},
        embedding={},
    )
    operation = get_session().get_service_model("bedrock-runtime").operation_model("Converse")
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
