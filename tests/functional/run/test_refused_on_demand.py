"""Refused answers on demand: errors that end the record, and errors that are not the record's."""

import json
import re
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from bedrock_batch.answers.outcome import is_leftover
from bedrock_batch.contracts.results import ChunkAnswered
from bedrock_batch.errors import OnDemandRefused
from bedrock_batch.run import invoke
from bedrock_batch.run.answer_on_demand import answer_on_demand
from tests.conftest import BUCKET
from tests.functional.played import RUN, Bench
from tests.functional.run.test_answer_on_demand import Model, chunk
from tests.unit.factories import keys_of

UNKNOWN = 'Unknown parameter in input: "outputConfig", must be one of: modelId, messages'
WRONG_TYPE = "Invalid type for parameter messages, value: x, type: <class 'str'>, valid types: <class 'list'>"


def refusal(code: str, status: int, message: str = "on purpose") -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Converse")


OF_NO_RECORD = {
    "subscription": refusal("AccessDeniedException", 403, "Model access is denied: aws-marketplace:Subscribe"),
    "end of life": refusal("ResourceNotFoundException", 404, "This model version has reached the end of its life."),
    "use case form": refusal("ResourceNotFoundException", 404, "Model use case details have not been submitted"),
    "unauthorized": refusal("UnauthorizedException", 401),
    "expired token": refusal("ExpiredTokenException", 403),
    "unknown key": refusal("UnrecognizedClientException", 403),
    "signature": refusal("InvalidSignatureException", 403),
    "incomplete signature": refusal("IncompleteSignatureException", 400),
    "no operation": refusal("UnknownOperationException", 404),
    "quota": refusal("ServiceQuotaExceededException", 400),
    "account": refusal("ValidationException", 400, "Operation not allowed"),
    "country": refusal(
        "ValidationException", 400, "Access to Anthropic models is not allowed from unsupported countries"
    ),
    "profile needed": refusal(
        "ValidationException", 400, "Invocation of model ID m with on-demand throughput isn\u2019t supported."
    ),
    "no such model": refusal("ValidationException", 400, "The provided model identifier is invalid."),
    "SDK": ParamValidationError(report=UNKNOWN),
    "SDK, twice": ParamValidationError(report=f'{UNKNOWN}\nUnknown parameter in messages[0].content[0]: "new"'),
    "no credentials": NoCredentialsError(),
    "no role": CredentialRetrievalError(provider="container-role", error_msg="no"),
}
OF_THE_RECORD = {
    "body": (refusal("ValidationException", 400, "messages: field required"), 400),
    "form": (refusal("SerializationException", 400, "NUMBER_VALUE can not be converted to a String"), 400),
    "size": (refusal("RequestEntityTooLargeException", 413), 413),
    "model": (refusal("ModelErrorException", 424), 424),
    "type": (ParamValidationError(report=WRONG_TYPE), 400),
    "type, and a parameter": (ParamValidationError(report=f"{UNKNOWN}\n{WRONG_TYPE}"), 400),
}


def answer(error: Exception) -> dict[str, Any]:
    record = {"recordId": "00002000003", "modelInput": {"messages": ["x"]}}
    return invoke.answer(Model(x=error), record, model_id="nova", invocation_type="Converse")


@pytest.mark.parametrize("name", OF_NO_RECORD)
def test_what_no_record_is_to_blame_for_is_raised(name: str) -> None:
    error = OF_NO_RECORD[name]
    with pytest.raises(OnDemandRefused, match=re.escape(str(error))) as raised:
        answer(error)
    sentence = str(raised.value)
    for needed in ("nova", "00002000003", "nothing is lost", "redrive"):
        assert needed in sentence
    advice = ("newer SDK",) if isinstance(error, ParamValidationError) else ("Marketplace", "Anthropic", "role")
    assert all(word in sentence for word in advice)


@pytest.mark.parametrize("name", OF_THE_RECORD)
def test_what_the_record_is_to_blame_for_is_its_end(name: str) -> None:
    error, code = OF_THE_RECORD[name]
    assert answer(error)["error"] == {"errorCode": code, "errorMessage": str(error)}
    assert not is_leftover("failed", str(code))


@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
def test_what_passes_leaves_a_leftover(status: int) -> None:
    assert is_leftover("failed", str(answer(refusal("Whatever", status))["error"]["errorCode"]))


@pytest.mark.parametrize(
    "error", [EndpointConnectionError(endpoint_url="x"), ConnectTimeoutError(endpoint_url="x")], ids=repr
)
def test_errors_of_the_network_keep_their_names(error: Exception) -> None:
    """The state machine calls the function again for these, and fails the run in the end."""
    with pytest.raises(type(error)):
        answer(error)


def test_the_others_of_a_chunk_are_asked_and_kept(aws: None) -> None:
    bench = Bench([0, 0, 40])
    denied = refusal("AccessDeniedException", 403)
    with pytest.raises(OnDemandRefused, match="00002000001"):
        answer_on_demand(bench.s3, Model(é1=denied, é3=denied), chunk())
    assert [one["recordId"][-1] for one in bench.lines(chunk().raw_key)] == list("024")
    allowed = Model()
    assert answer_on_demand(bench.s3, allowed, chunk()) == ChunkAnswered(7, 5, 0)
    assert [call["messages"] for call in allowed.calls] == [["é 1"], ["é 3"]]


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The SDK's own client, which checks a body but has no server to send it to."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    return boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url="http://127.0.0.1:9", config=config)


def test_a_body_that_the_sdk_takes_is_sent(sdk: Any) -> None:
    with pytest.raises(EndpointConnectionError):
        sent(sdk, {"messages": [{"role": "user", "content": [{"text": "x"}]}]})


def test_a_parameter_that_is_newer_than_the_sdk_is_no_end(sdk: Any) -> None:
    for body in (
        {"messages": [], "parameterOfNextYear": {"a": 1}},
        {"messages": [{"role": "user", "content": [{"blockOfNextYear": {}}]}]},
    ):
        with pytest.raises(OnDemandRefused, match="newer SDK"):
            sent(sdk, body)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": "x"},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": [{"text": "x", "image": {"format": "png", "source": {}}}]}]},
        {"messages": [], "inferenceConfig": {"maxTokens": "many"}},
        {"messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": "é"}}}]}]},
        {"messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": "abc"}}}]}]},
    ],
    ids=json.dumps,
)
def test_a_body_that_is_wrong_is_its_records_end(sdk: Any, body: dict[str, Any]) -> None:
    assert sent(sdk, body)["error"]["errorCode"] == 400


def test_a_message_does_not_repeat_an_image(sdk: Any) -> None:
    content = [{"image": {"format": "png", "source": {"bytes": ["x" * 10_000]}}}]
    assert len(sent(sdk, {"messages": [{"role": "user", "content": content}]})["error"]["errorMessage"]) <= 2_000


def test_a_record_cannot_name_another_model(aws: None) -> None:
    bench = Bench([0, 0, 1])
    bench.s3.put(BUCKET, keys_of(RUN).input(2), b'{"recordId":"00002000000","modelInput":{"modelId":"other"}}\n')
    model = Model()
    answer_on_demand(bench.s3, model, chunk(1))
    assert model.calls == [{"modelId": "amazon.nova-lite-v1:0"}]


def sent(client: Any, body: dict[str, Any]) -> dict[str, Any]:
    record = {"recordId": "00000000000", "modelInput": body}
    return invoke.answer(client, record, model_id="nova", invocation_type="Converse")
