"""Say in sentences what is wrong with a document: which key, what was expected, and a near miss where there is one."""

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jsonschema.exceptions import ValidationError

MOST = 10
"""More mistakes than this are counted only: the cause of a run's end has limited room."""

MOST_KEY = 200
"""Characters of a key's path in a message: models and columns may be keys, and as long as the sender likes."""


def together(sentences: Iterable[str]) -> str:
    """Return all mistakes as one message: a single one as it is, several with numbers."""
    known = list(dict.fromkeys(sentences))
    if len(known) == 1:
        return known[0]
    told = [f"({number}) {sentence}" for number, sentence in enumerate(known[:MOST], 1)]
    if len(known) > MOST:
        told.append(f"And {len(known) - MOST} more.")
    return f"There are {len(known)} mistakes. {' '.join(told)}"


def sentences(error: ValidationError) -> Iterator[str]:
    """Yield what an error that the schema finds means: which key is wrong and what to do."""
    path = ".".join(str(name) for name in error.absolute_path)
    key = path[:MOST_KEY] or "the run input"
    instance: Any = error.instance
    section: Any = error.schema
    if error.validator == "additionalProperties":
        known = list(section["properties"])
        yield from (_unknown(name, key, known) for name in instance if name not in known)
    elif error.validator == "required":
        # Each missing key has an error of its own, which does not hold its name: `together` takes them once.
        yield from (f"Missing key {name!r} in {key}." for name in section["required"] if name not in instance)
    elif error.validator == "pattern" and path.startswith("s3_uri"):
        # What follows a question mark may be the signature of a URL.
        given = instance.partition("?")[0][:200]
        yield f"{key} is {given!r}: expected s3://bucket/key, s3://bucket/prefix/ or a list of these."
    elif path == "model_id" and error.validator in ("minItems", "maxItems"):
        yield f"model_id lists {len(instance)} models: expected one as a text, or a list of 2 to 10."
    else:
        about = section.get("description") if error.validator in ("type", "pattern") else None
        yield f"{key} must {_wanted(error)}.{f' {about}' if about else ''}"


def _unknown(name: str, key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}."
    return f"Unknown key {name[:80]!r} in {key}: {hint}"


_TYPES = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def _wanted(error: ValidationError) -> str:
    """Say what the schema wants. Texts that were given are not repeated: they may be prompts or secrets."""
    wanted: Any = error.validator_value
    given: Any = error.instance
    match error.validator:
        case "type":
            # That null counts as absent holds for all keys: it is not what the key is for.
            kinds = [_TYPES[kind] for kind in ([wanted] if isinstance(wanted, str) else wanted) if kind != "null"]
            return f"be {' or '.join(kinds)}, not {_kind(given)}"
        case "enum":
            return f"be one of {', '.join(wanted)}"
        case "minimum":
            return f"be at least {wanted}, not {given}"
        case "maximum":
            return f"be at most {wanted}, not {given}"
        case "exclusiveMinimum":
            return f"be more than {wanted}, not {given}"
        case "minLength" | "minProperties":
            return "not be empty"
        case "minItems":
            return f"have {wanted} or more items, not {len(given)}"
        case "maxItems":
            return f"have {wanted} items at most, not {len(given)}"
        case "maxLength":
            return f"have {wanted} character{'' if wanted == 1 else 's'} at most, not {len(given)}"
        case "uniqueItems":
            return "not have the same item twice"
        case "pattern":
            return f"match {wanted}"
    return f"fit the schema's {error.validator}"


def _kind(given: Any) -> str:
    if isinstance(given, bool) or given is None:
        return json.dumps(given)
    if isinstance(given, int | float):
        return str(given)
    if isinstance(given, str):
        return "a text"
    return "a list" if isinstance(given, list) else "an object"
