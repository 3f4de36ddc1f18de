"""Log records: a constant message, and everything else in fields, so that a query finds a run by `run_id`."""

import ast
import logging
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from bedrock_batch.answers.outcome import Outcome
from bedrock_batch.contracts.results import ChunkAnswered, Joined, Prepared, PreparedShard
from bedrock_batch.handlers import edge
from bedrock_batch.run import metrics

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lambda_src" / "bedrock_batch"
EDGE = PACKAGE / "handlers" / "edge.py"

OF_A_RECORD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}
"""`logging` refuses these as fields of `extra`."""

OF_LAMBDA = {
    "timestamp",
    "level",
    "logger",
    "requestId",
    "stackTrace",
    "errorType",
    "errorMessage",
    "location",
}
"""Lambda's runtime writes these itself, and drops fields of `extra` with these names."""


def calls(path: Path) -> Iterator[ast.Call]:
    """Yield the log calls of a module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "_LOG":
                yield node


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if "_LOG = " in path.read_text("utf-8")]


def extra(call: ast.Call) -> ast.Dict:
    (given,) = call.keywords
    assert given.arg == "extra" and isinstance(given.value, ast.Dict), ast.unparse(call)
    return given.value


def keys(call: ast.Call) -> set[str]:
    """Return the fields that a call names itself."""
    return {str(key.value) for key in extra(call).keys if isinstance(key, ast.Constant)}


def spread(call: ast.Call) -> set[str]:
    """Return the expressions that a call unpacks into its fields."""
    given = extra(call)
    return {ast.unparse(value) for key, value in zip(given.keys, given.values, strict=True) if key is None}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_record_has_a_constant_message_and_names_its_run(module: Path) -> None:
    found = list(calls(module))
    assert found, "a logger that writes nothing"
    for call in found:
        assert isinstance(call.func, ast.Attribute) and call.func.attr in {"info", "warning"}
        (message,) = call.args
        assert isinstance(message, ast.Constant) and isinstance(message.value, str), ast.unparse(call)
        # The edge takes it from the event; test_edge.py has the records.
        assert "run_id" in keys(call) or (module == EDGE and "about" in spread(call)), ast.unparse(call)
        assert not keys(call) & (OF_A_RECORD | OF_LAMBDA)
        assert "json.dumps" not in ast.unparse(call)


def test_nobody_writes_a_record_in_another_way() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text("utf-8")
        assert not re.search(r"\bprint\(|\blogging\.(debug|info|warning|error|exception|critical)\(", text), path
        if path not in MODULES:
            assert "getLogger" not in text, path


SPREAD = {
    "prepared.to_json()": {field.name for field in fields(PreparedShard)},
    "counts.to_json()": {field.name for field in fields(ChunkAnswered)},
    "counts": {field.name for field in fields(Joined)} - {"messages", "came"},
    "pooled": {"records", "bytes"},
    "about": {"function", *edge._OF_EVENT},
    "_seconds(start)": {"seconds"},
    "_fields(result, _OF_RESULT)": set(edge._OF_RESULT),
    "added": {
        "_aws",
        "unanswered",
        *metrics._USED,
        *metrics._USED.values(),
        *(f"Rows{outcome.value.capitalize()}" for outcome in Outcome),
    },
}
"""The fields of the expressions that log calls unpack."""


def logged() -> dict[str, set[str]]:
    """Return the fields of each record, by its message."""
    found: dict[str, set[str]] = {}
    for module in MODULES:
        for call in calls(module):
            (message,) = call.args
            assert isinstance(message, ast.Constant)
            names = keys(call).union(*(SPREAD[one] for one in spread(call)))
            assert message.value not in found, "two records with one message"
            found[message.value] = names
    return found


def test_no_field_has_the_name_of_one_that_a_record_has_itself() -> None:
    for message, names in logged().items():
        assert not names & (OF_A_RECORD | OF_LAMBDA), message


OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
QUERIES = re.findall(r"^```text\n((?:fields|filter) .*?)^```$", OPERATIONS, re.MULTILINE | re.DOTALL)
COMMANDS = {"fields", "filter", "stats", "sort", "dedup", "limit"}
WORDS = {"and", "or", "like", "in", "not", "by", "as", "asc", "desc", "max", "sum", "count", "ispresent"}


def test_the_operations_page_has_queries_for_a_run_and_for_its_slow_shards() -> None:
    of_a_run = [query for query in QUERIES if 'message = "metrics"' not in query]
    assert len(of_a_run) >= 2
    assert all('run_id = "monday"' in query for query in of_a_run)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.split("\n")[0])
def test_a_query_asks_for_fields_that_are_logged(query: str) -> None:
    of_lambda = OF_LAMBDA | {"message"}
    known = of_lambda.union(*logged().values(), {field.name for field in fields(Prepared)})
    made: set[str] = set()
    for number, line in enumerate(query.splitlines()):
        pipe, command, rest = re.fullmatch(r"(\| )?(\w+) (.+)", line).groups()  # type: ignore[union-attr]
        assert (pipe is None) == (number == 0), "each command but the first stands behind a pipe"
        assert command in COMMANDS
        for value in re.findall(r'message (?:=|in) (\[.*?\]|".*?")', rest):
            assert set(re.findall(r'"(.*?)"', value)) <= set(logged())
        said = re.sub(r'"[^"]*"', "", rest)
        made |= set(re.findall(r"\bas (\w+)", said))
        words = set(re.findall(r"@?[A-Za-z_]\w*", said))
        own = {"@timestamp", "@log", "@message", "@logStream"}
        assert words - WORDS - own - made <= known, line
