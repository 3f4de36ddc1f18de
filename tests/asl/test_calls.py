"""Every call of a state against the service's own model: names of services, members, answers and errors."""

import re
from importlib.resources import files
from typing import Any

import pytest

from . import services
from .jsonata_code import reads
from .machines import FILES, ROOT, State, all_states, definition, expressions, strings, tasks

each_task = pytest.mark.parametrize("state", tasks(), ids=str)
each_map = pytest.mark.parametrize(
    "state", [state for state in all_states() if state.type == "Map" and "Items" not in state.body], ids=str
)
each_update = pytest.mark.parametrize(
    "state", [state for state in tasks() if "dynamodb:updateItem" in state.body["Resource"]], ids=str
)


@pytest.mark.parametrize("name", FILES)
def test_arns_of_integrations_fit_every_partition(name: str) -> None:
    for text in strings(definition(name)):
        assert not text.startswith("arn:") or text.startswith("arn:${partition}:states:::"), text


@each_task
def test_arguments_are_what_the_service_takes(state: State) -> None:
    called = services.call(state.body["Resource"])
    assert not services.input_problems(state.body["Arguments"], called)
    if called.service == "lambda":
        assert set(state.body["Arguments"]) == {"FunctionName", "Payload"}
        name = state.name.replace("remaining ", "").lower().replace(" ", "-")
        called = state.body["Arguments"]["FunctionName"]
        if not called.startswith("{%"):  # the versions that a run began with
            assert called.endswith(f"-{name}"), "one name down the stack"


@each_map
def test_item_reader_and_result_writer_take_what_s3_takes(state: State) -> None:
    reader = state.body["ItemReader"]
    assert not services.input_problems(reader["Arguments"], services.call(reader["Resource"]))
    assert services.call(state.body["ResultWriter"]["Resource"])


@each_task
def test_what_is_read_of_an_answer_is_in_it(state: State) -> None:
    called = services.call(state.body["Resource"])
    for path, code in expressions(state.body):
        for read in reads(code).states:
            if read[:1] == ("result",):
                assert services.answers(called, read[1:]), f"{state}{path} reads {'.'.join(read)}"


@each_task
def test_errors_that_are_handled_are_errors_of_the_call(state: State) -> None:
    called = services.call(state.body["Resource"])
    for field in ("Retry", "Catch"):
        for rule in state.body.get(field, []):
            for name in rule["ErrorEquals"]:
                assert services.knows_error(name, called), f"{state}: {called.operation.name} never fails with {name}"


def test_bedrock_and_dynamodb_are_called_one_way_each() -> None:
    """The prefix of an error depends on the integration: DynamoDb. of the SDK's, DynamoDB. of the optimized one."""
    for state in tasks():
        called = services.call(state.body["Resource"])
        prefixes = {
            name.split(".")[0]
            for field in ("Retry", "Catch")
            for rule in state.body.get(field, [])
            for name in rule["ErrorEquals"]
            if "." in name
        }
        prefixes -= {"States", "Runtime", "Sandbox"}
        assert prefixes <= {called.prefix}
        if called.operation.name == "UpdateItem":
            assert called.sdk == called.callback, "the optimized integration cannot wait for a token"


# --- DynamoDB's expressions, which nothing but DynamoDB itself reads ---

KEYWORDS = {"SET", "REMOVE", "AND", "OR", "NOT"}
FUNCTIONS = {"if_not_exists", "attribute_exists", "attribute_not_exists"}


def words(arguments: dict[str, Any]) -> set[str]:
    """Return every word of the expressions of an update."""
    text = f"{arguments['UpdateExpression']} {arguments.get('ConditionExpression', '')}"
    return set(re.findall(r"[:#]?\w+", text)) - KEYWORDS - FUNCTIONS


@each_update
def test_every_placeholder_of_an_expression_has_a_value_and_is_used(state: State) -> None:
    arguments = state.body["Arguments"]
    used = words(arguments)
    assert {word for word in used if word[0] == ":"} == set(arguments["ExpressionAttributeValues"])
    assert {word for word in used if word[0] == "#"} == set(arguments.get("ExpressionAttributeNames", {}))
    assert all(name[1:] == attribute for name, attribute in arguments.get("ExpressionAttributeNames", {}).items())


@each_update
def test_no_attribute_is_a_reserved_word(state: State) -> None:
    """DynamoDB refuses an expression with a reserved word in it; the local engine does not."""
    reserved = set((files("moto") / "dynamodb/parsing/reserved_keywords.txt").read_text().split())
    assert {"STATUS", "SHARD", "PROCESSED"} <= reserved
    assert not {word for word in words(state.body["Arguments"]) if word.upper() in reserved}


@each_update
def test_key_is_that_of_the_table(state: State) -> None:
    table = (ROOT / "terraform/inventory.tf").read_text()
    assert list(state.body["Arguments"]["Key"]) == re.findall(r'hash_key\s*=\s*"(\w+)"', table)[:1]
    assert 'attribute_name = "expires_at"' in table
    assert re.search(r"'(run|job)/' & ", str(state.body["Arguments"]["Key"]))
