"""Dataclasses that can be read from JSON values and written as JSON values."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from bedrock_batch.errors import ContractMismatch

Reader = Callable[[Any], Any]


class Shape:
    """A dataclass that can be read from plain JSON values and written as such, including nested shapes."""

    __slots__ = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the shape from the keys that it knows. Other keys are ignored.

        Raises:
            ContractMismatch: a required key is missing, or the value is not an object.
        """
        if not isinstance(value, Mapping):
            raise ContractMismatch(f"{cls.__name__} must be an object, but was of type {type(value).__name__}.")
        given = {}
        for name, read, needed in _fields(cls):
            if name in value:
                given[name] = value[name] if read is None else read(value[name])
            elif needed:
                raise ContractMismatch(f"{cls.__name__} has no key {name!r}, but must have it.")
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        return {name: _plain(getattr(self, name)) for name, _, _ in _fields(type(self))}


class Sparse(Shape):
    """A shape whose JSON leaves out fields that have their default."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        defaults = _defaults(type(self))
        given = ((name, getattr(self, name)) for name, _, _ in _fields(type(self)))
        return {name: _plain(value) for name, value in given if name not in defaults or value != defaults[name]}


def _read_fields(shape: Any) -> list[tuple[str, Reader | None, bool]]:
    """Return each field, the function that reads its value (None for no change), and whether its key is required."""
    kinds, defaults = get_type_hints(shape), _defaults(shape)
    return [(one.name, _reader(kinds[one.name]), one.name not in defaults) for one in fields(shape)]


def _read_defaults(shape: Any) -> dict[str, Any]:
    of_value = {one.name: one.default for one in fields(shape) if one.default is not MISSING}
    return of_value | {one.name: one.default_factory() for one in fields(shape) if one.default_factory is not MISSING}


# Cached for each shape, because a run's files have many lines.
_fields: Callable[[Any], list[tuple[str, Reader | None, bool]]] = cache(_read_fields)
_defaults: Callable[[Any], dict[str, Any]] = cache(_read_defaults)


def _reader(kind: Any) -> Reader | None:
    """Return the function that reads a value of a type; None if the value is the same in JSON."""
    if isinstance(kind, type) and issubclass(kind, Shape):
        return kind.from_json
    origin, members = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _of_optional([_reader(member) for member in members if member is not type(None)])
    if origin is dict:
        return _of_dict(_reader(members[1]))
    if origin is list or (origin is tuple and members[1:] == (...,)):
        return _of_list(_reader(members[0]), origin)
    if origin is tuple:
        return _of_tuple([_reader(member) for member in members])
    return None


def _of_optional(readers: list[Reader | None]) -> Reader | None:
    found = [read for read in readers if read is not None]
    if not found:
        return None
    if len(readers) > 1:
        raise TypeError("A field cannot be a union of shapes: JSON does not show which shape a value has.")
    read = found[0]
    return lambda value: None if value is None else read(value)


def _of_dict(read: Reader | None) -> Reader | None:
    return read and (lambda value: {key: read(member) for key, member in value.items()})


def _of_list(read: Reader | None, kind: Callable[[Any], Any]) -> Reader | None:
    if read is None:
        return kind if kind is tuple else None
    return lambda value: kind([read(member) for member in value])


def _of_tuple(readers: list[Reader | None]) -> Reader:
    return lambda value: tuple(
        member if read is None else read(member) for read, member in zip(readers, value, strict=True)
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Shape):
        return value.to_json()
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return value
