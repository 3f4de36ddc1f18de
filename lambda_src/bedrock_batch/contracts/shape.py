"""Dataclasses that read and write themselves as JSON values."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Self, get_args, get_origin


class Shape:
    """A dataclass that reads itself from, and writes itself to, plain JSON values."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Build the shape from the keys it knows, and lists of shapes within; other shapes read further keys."""
        known = [f for f in fields(cls) if f.name in value]  # type: ignore[arg-type]  # every subclass is a dataclass
        return cls(**{f.name: _read(f.type, value[f.name]) for f in known})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload, no-any-return]  # every subclass is a dataclass


def _read(kind: Any, value: Any) -> Any:
    """Return a field's value; where its type is a list of shapes, as such a list."""
    member = get_args(kind)[0] if get_origin(kind) is list else None
    if isinstance(member, type) and issubclass(member, Shape):
        return [member.from_json(one) for one in value]
    return value
