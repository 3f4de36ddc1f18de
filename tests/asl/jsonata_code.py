"""Find what an expression reads in its syntax tree: variables, members of `$states`, functions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jsonata

# Step Functions adds these functions to JSONata's own, and removes $eval.
_ADDED = frozenset({"partition", "range", "hash", "random", "uuid", "parse"})
_CHILDREN = (
    "lhs",
    "rhs",
    "lhs_object",
    "rhs_object",
    "expressions",
    "expression",
    "arguments",
    "procedure",
    "steps",
    "stages",
    "predicate",
    "expr",
    "condition",
    "then",
    "_else",
    "body",
    "group",
    "terms",
    "pattern",
    "update",
    "delete",
)
_FILTERS = ("predicate", "stages")


@dataclass(slots=True)
class Reads:
    """What an expression uses: names of variables and functions, paths below `$states`."""

    variables: set[str] = field(default_factory=set)
    states: set[tuple[str, ...]] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    """`$`, `$$` and names without a `$` at the top of an expression, where Step Functions has no context."""


@cache
def reads(code: str) -> Reads:
    """Parse an expression. Raises jsonata.JException where it is malformed."""
    found = Reads()
    _visit(jsonata.Jsonata.jsonata(code).ast, found, set(), nested=False)
    return found


@cache
def known_functions() -> frozenset[str]:
    """Return the names of the functions that Step Functions offers."""
    jsonata.Jsonata.jsonata("1")  # The library registers its functions when it parses the first expression.
    return frozenset(jsonata.Jsonata.static_frame.bindings) - {"eval"} | _ADDED


def _visit(node: Any, found: Reads, local: set[str], *, nested: bool) -> None:
    """Walk a tree. `local` are the names bound in it; `nested` says that there is a context item."""
    visit = _VISITORS.get(node.type)
    if visit:
        visit(node, found, local, nested=nested)
    else:
        _visit_parts(node, _CHILDREN, found, local, nested=nested)


def _visit_parts(node: Any, names: tuple[str, ...], found: Reads, local: set[str], *, nested: bool) -> None:
    for part in _parts(node, *names):
        _visit(part, found, local, nested=nested)


def _visit_variable(node: Any, found: Reads, local: set[str], *, nested: bool) -> None:
    _read(node.value, (), found, local, nested=nested)
    _visit_parts(node, _FILTERS, found, local, nested=True)


def _visit_name(node: Any, found: Reads, local: set[str], *, nested: bool) -> None:
    if not nested:
        found.bare.add(str(node.value))


def _visit_block(node: Any, found: Reads, local: set[str], *, nested: bool) -> None:
    _visit_parts(node, ("expressions",), found, set(local), nested=nested)


def _visit_bind(node: Any, found: Reads, local: set[str], *, nested: bool) -> None:
    _visit(node.rhs, found, local, nested=nested)
    local.add(node.lhs.value)


def _visit_lambda(node: Any, found: Reads, local: set[str], *, nested: bool) -> None:
    _visit(node.body, found, local | {argument.value for argument in node.arguments}, nested=nested)


def _visit_call(node: Any, found: Reads, local: set[str], *, nested: bool) -> None:
    name = node.procedure
    if name.type == "variable" and name.value not in local:
        found.functions.add(name.value)
    else:
        _visit(name, found, local, nested=nested)
    _visit_parts(node, ("arguments",), found, local, nested=nested)


def _visit_path(node: Any, found: Reads, local: set[str], *, nested: bool) -> None:
    first, *rest = node.steps
    if first.type == "variable":
        names: list[str] = []
        for step in rest:
            if step.type != "name":
                break
            names.append(step.value)
        _read(first.value, tuple(names), found, local, nested=nested)
        _visit_parts(first, _FILTERS, found, local, nested=True)
    else:
        _visit(first, found, local, nested=nested)
    for step in rest:
        _visit(step, found, local, nested=True)
        _visit_parts(step, _FILTERS, found, local, nested=True)


def _read(name: str, path: tuple[str, ...], found: Reads, local: set[str], *, nested: bool) -> None:
    if name in ("", "$"):
        if not nested or name == "$":
            found.bare.add(f"${name}")
    elif name == "states":
        found.states.add(path)
    elif name not in local:
        found.variables.add(name)


def _parts(node: Any, *attributes: str) -> Iterator[Any]:
    for attribute in attributes:
        yield from _nodes(getattr(node, attribute, None))


def _nodes(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _nodes(item)
    elif isinstance(value, jsonata.parser.Parser.Symbol):
        yield value


_VISITORS: dict[str, Callable[..., None]] = {
    "path": _visit_path,
    "variable": _visit_variable,
    "name": _visit_name,
    "block": _visit_block,
    "bind": _visit_bind,
    "lambda": _visit_lambda,
    "function": _visit_call,
    "partial": _visit_call,
}
