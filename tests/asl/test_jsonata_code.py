"""The reader of expressions, which the checks of variables and answers use."""

import jsonata
import pytest

from .jsonata_code import reads


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        ("$a.b & $string($c)", {"a", "c"}),
        ("($found := $a; $found[0] & $b)", {"a", "b"}),
        ("$x := $y", {"y"}),
        ("$map($rows, function($row) { $row.n + $offset })", {"rows", "offset"}),
        ("$rows[name = $wanted].size[$n]", {"rows", "wanted", "n"}),
        ("{'k': $a, $b: [$c, -$d]}", {"a", "b", "c", "d"}),
        ("$a ? $b : $c in [1..$d]", {"a", "b", "c", "d"}),
        ("$rows^(>size).($a)", {"rows", "a"}),
        ("$states.input.x", set()),
    ],
)
def test_variables_that_come_from_outside(code: str, variables: set[str]) -> None:
    assert reads(code).variables == variables


def test_paths_below_states_end_at_the_first_step_that_is_no_name() -> None:
    found = reads("$states.result.Jobs[Name = $states.input.name].Arn & $states.context.Task.Token & $states.input.(a)")
    assert found.states == {("result", "Jobs", "Arn"), ("input", "name"), ("context", "Task", "Token"), ("input",)}


@pytest.mark.parametrize(("code", "bare"), [("name = 1", {"name"}), ("$ & $$.x", {"$", "$$"}), ("$a[name = $]", set())])
def test_there_is_no_context_item_outside_filters(code: str, bare: set[str]) -> None:
    assert reads(code).bare == bare


def test_functions() -> None:
    assert reads("$merge([$f($x), $string(1)])").functions == {"merge", "f", "string"}


def test_malformed_expression() -> None:
    with pytest.raises(jsonata.JException):
        reads("$min([1, 2)")
