"""The targets of the data path: ratios within one run of the bench, on one core."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Target:
    """Ours must have at least `value` times the speed of candidate `against`, or at most `value` times its memory."""

    task: str
    against: str
    of: Literal["speed", "memory"]
    value: float
    stretch: float
    full_only: bool = False


TARGETS = (
    Target("render", "json", "speed", 3.5, 5),
    Target("render", "duckdb", "speed", 0.95, 1.3),
    # DuckDB streams as well, in 240 MB at any size; Arrow takes 75 MB before the first row.
    Target("render", "duckdb", "memory", 3 / 4, 1 / 2, full_only=True),
    # Rendering, and a copy of the table that the join reads.
    Target("prepare", "json + pandas", "speed", 4.5, 6),
    Target("prepare", "json + pandas", "memory", 1 / 3, 1 / 6),
    Target("join text", "json + pandas", "speed", 2.5, 4),
    Target("join text", "duckdb", "speed", 0.9, 1.3),
    Target("join text", "duckdb", "memory", 2 / 3, 1 / 3),
    Target("join text", "json + pandas", "memory", 1 / 2, 1 / 4),
    Target("join structured", "jsonschema", "speed", 10, 20),
    # At most twice the time of a join that takes the same answers for plain texts.
    Target("join structured", "without schema", "speed", 1 / 2, 2 / 3),
    Target("join vectors", "orjson + numpy", "speed", 2.5, 3.6),
    # Without a second array to skip, half of the difference is gone. Both still spend time on Parquet and files.
    Target("join vectors, once", "orjson + numpy", "speed", 2.0, 2.5),
    Target("plan csv", "csv module", "speed", 5, 9),
)
