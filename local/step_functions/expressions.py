"""JSONata in state fields, on MiniStack's functions ($parse, $hash, $uuid, $range, $partition, $random).

MiniStack parses an expression at each evaluation, evaluates it twice to distinguish null from undefined, sets
`$states.result` where AWS leaves it undefined, and shows Assign values that Output of the same state does not see. Here
an expression is compiled once, undefined and null are different, and the caller decides what `$states` has.
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jsonata
from ministack.services import stepfunctions as engine

from .errors import StateError

# AWS allows one second for an expression. A busy laptop with a slower JSONata needs more for the same work.
_TIME_LIMIT_MS = 5000
_NULL = jsonata.utils.Utils.NULL_VALUE


def bindings(variables: Mapping[str, Any], states: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names that an expression can use: the variables and `$states`."""
    bound = {name: _NULL if value is None else value for name, value in variables.items()}
    bound["states"] = states
    return bound


def render(template: Any, bound: dict[str, Any], field: str) -> Any:
    """Evaluate every `{% %}` string of a template; `field` names it in errors.

    Raises StateError States.QueryEvaluationError.
    """
    if isinstance(template, str):
        return _evaluate(template, bound, field) if _is_expression(template) else template
    if isinstance(template, dict):
        return {key: render(value, bound, f"{field}/{key}") for key, value in template.items()}
    if isinstance(template, list):
        return [render(value, bound, f"{field}[{i}]") for i, value in enumerate(template)]
    return template


def render_text(template: Any, bound: dict[str, Any], field: str) -> str:
    """Evaluate a field that must be a string."""
    return str(_expect(render(template, bound, field), lambda value: isinstance(value, str), field, "a string"))


def render_whole(template: Any, bound: dict[str, Any], field: str) -> int:
    """Evaluate a field that must be a whole number, zero or more: AWS takes neither 1.5 nor "1"."""

    def fits(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0

    return int(_expect(render(template, bound, field), fits, field, "a whole number of at least 0"))


def render_percentage(template: Any, bound: dict[str, Any], field: str) -> float:
    """Evaluate a field that must be a number from 0 to 100."""

    def fits(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100

    return float(_expect(render(template, bound, field), fits, field, "a number from 0 to 100"))


def _expect(value: Any, fits: Callable[[Any], bool], field: str, what: str) -> Any:
    if not fits(value):
        raise _failed(f"The field '{field}' must be {what}, but is {value!r}.")
    return value


def _is_expression(text: str) -> bool:
    return text.startswith("{%") and text.endswith("%}")


def _evaluate(text: str, bound: dict[str, Any], field: str) -> Any:
    expression = text[2:-2].strip()
    try:
        program = _compile(expression)
        # The time limit counts from here: a compiled expression is used many times.
        program.environment.set_runtime_bounds(_TIME_LIMIT_MS, None)
        # $now, $millis and function calls read the program from CURRENT, which the library sets only when it compiles.
        jsonata.Jsonata.CURRENT.jsonata = program
        value = program.evaluate(None, bound)
        if value is None:
            raise _failed(
                f"The JSONata expression '{expression}' specified for the field '{field}' returned nothing (undefined)."
            )
        return _plain(value)
    except StateError:
        raise
    except Exception as error:  # the library raises its own errors and plain Python ones alike
        code = getattr(error, "error", None)
        raise _failed(
            f"The JSONata expression '{expression}' specified for the field '{field}' threw an error. "
            f"{f'{code}: ' if isinstance(code, str) else ''}{error}"
        ) from error


@lru_cache(maxsize=4096)
def _compile(expression: str) -> Any:
    program = jsonata.Jsonata.jsonata(expression, timeout=_TIME_LIMIT_MS)
    program.set_output_convert_nulls(False)  # null stays apart from undefined
    engine._register_sfn_jsonata_functions(program)
    program.register_lambda("eval", _no_eval)
    return program


def _no_eval(_expression: Any = None, _context: Any = None) -> Any:
    raise ValueError("$eval is not available in Step Functions")


def _plain(value: Any) -> Any:
    """Copy the library's sequences, lazy ranges and null marks as plain JSON values."""
    if value is _NULL or value is None or isinstance(value, str | bool | int):
        return None if value is _NULL else value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"D1001: Number out of range: {value}")
        return value  # 2.0 in the input stays 2.0; the library itself computes whole numbers as integers.
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(value[i]) for i in range(len(value))]  # iterating a RangeList loses its last element
    raise ValueError("the expression returned a function, not a JSON value")


def _failed(cause: str) -> StateError:
    return StateError("States.QueryEvaluationError", cause)
