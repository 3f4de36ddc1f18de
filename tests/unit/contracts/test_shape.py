"""Shapes read what they have written, with the shapes within, and say which key is missing."""

import json
from dataclasses import dataclass, field, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_batch.contracts import claim, estimate, lines, results, run, settings, state
from bedrock_batch.contracts.shape import Shape, Sparse
from bedrock_batch.errors import ContractMismatch


@dataclass(frozen=True, slots=True)
class Leaf(Sparse):
    name: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Tree(Shape):
    leaf: Leaf
    perhaps: Leaf | None
    leaves: list[Leaf]
    by_name: dict[str, Leaf]
    deep: dict[str, dict[str, list[Leaf]]]
    pair: tuple[int, Leaf]
    row: tuple[Leaf, ...] = ()
    plain: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    children: "list[Tree]" = field(default_factory=list)


leaves = st.builds(Leaf, st.text(max_size=3), st.integers())
lists = st.lists(leaves, max_size=3)
names = st.text(max_size=3)
plain = st.dictionaries(names, st.none() | st.integers() | st.lists(st.text(max_size=2), max_size=2), max_size=2)


def trees(children: st.SearchStrategy[list[Tree]]) -> st.SearchStrategy[Tree]:
    return st.builds(
        Tree,
        leaf=leaves,
        perhaps=st.none() | leaves,
        leaves=lists,
        by_name=st.dictionaries(names, leaves, max_size=3),
        deep=st.dictionaries(names, st.dictionaries(names, lists, max_size=2), max_size=2),
        pair=st.tuples(st.integers(), leaves),
        row=lists.map(tuple),
        plain=plain,
        names=st.lists(names, max_size=3).map(tuple),
        children=children,
    )


any_tree = trees(st.lists(trees(st.just([])), max_size=2))


@given(any_tree)
def test_what_is_written_is_read_again(tree: Tree) -> None:
    assert Tree.from_json(json.loads(json.dumps(tree.to_json()))) == tree


@given(any_tree)
def test_keys_that_are_not_known_are_ignored_at_every_depth(tree: Tree) -> None:
    def with_more(shape: Any, value: Any) -> Any:
        if isinstance(shape, Shape):
            return {"!": 1} | {f.name: with_more(getattr(shape, f.name), value.get(f.name)) for f in fields(shape)}  # type: ignore[arg-type]  # every shape is a dataclass
        if isinstance(shape, dict) and any(isinstance(member, Shape | dict | list) for member in shape.values()):
            return {key: with_more(member, value[key]) for key, member in shape.items()}
        if isinstance(shape, list | tuple):
            return [with_more(one, other) for one, other in zip(shape, value, strict=True)]
        return shape

    assert Tree.from_json(with_more(tree, tree.to_json())) == tree


@pytest.mark.parametrize(
    ("value", "shape", "key"),
    [
        ({}, "Tree", "leaf"),
        ({"leaf": {"size": 1}}, "Leaf", "name"),
        ({"leaf": {"name": "a"}, "perhaps": {}}, "Leaf", "name"),
        ({"leaf": {"name": "a"}, "perhaps": None, "leaves": [{"name": "b"}, {}]}, "Leaf", "name"),
        ({"leaf": {"name": "a"}, "perhaps": None, "leaves": [], "by_name": {"b": {}}}, "Leaf", "name"),
        ({"leaf": {"name": "a"}, "perhaps": None, "leaves": [], "by_name": {}}, "Tree", "deep"),
    ],
)
def test_a_missing_key_is_named_with_its_shape(value: Any, shape: str, key: str) -> None:
    with pytest.raises(ContractMismatch, match=f"^{shape} has no key '{key}', but must have it.$"):
        Tree.from_json(value)


@pytest.mark.parametrize("value", [None, [], "x", 7])
def test_what_is_no_object_is_no_shape(value: Any) -> None:
    with pytest.raises(ContractMismatch, match="^Leaf must be an object, but was of type "):
        Leaf.from_json(value)


def test_a_sparse_shape_leaves_out_defaults() -> None:
    assert Leaf("a").to_json() == {"name": "a"}
    assert Leaf("a", 1).to_json() == {"name": "a", "size": 1}


SHAPES = [
    kind
    for module in (claim, estimate, lines, results, run, settings, state)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Shape) and kind not in (Shape, Sparse)
]


@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)
def test_every_shape_that_travels_can_be_read(kind: type[Shape]) -> None:
    """JSON can hold the types of all fields: reading {} only fails for the first required key, or succeeds."""
    first = next((f.name for f in fields(kind) if f.name in _required(kind)), None)  # type: ignore[arg-type]  # a dataclass
    if first is None:
        assert kind.from_json({}) == kind()
    else:
        with pytest.raises(ContractMismatch, match=f"^{kind.__name__} has no key '{first}'"):
            kind.from_json({})


def _required(kind: type[Shape]) -> set[str]:
    from dataclasses import MISSING

    return {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}  # type: ignore[arg-type]  # a dataclass
