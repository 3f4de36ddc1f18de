"""Dataclasses that read and write themselves as JSON values."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Self


class Shape:
    """A dataclass that reads itself from, and writes itself to, plain JSON values."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Build the shape from the keys it knows; further keys are the business of other shapes."""
        return cls(**{f.name: value[f.name] for f in fields(cls) if f.name in value})  # type: ignore[arg-type]  # every subclass is a dataclass

    def to_json(self) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload, no-any-return]  # every subclass is a dataclass
