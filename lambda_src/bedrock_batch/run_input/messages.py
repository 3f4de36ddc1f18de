"""Write sentences about what is wrong with a document: the key, what was expected, and the most similar known key."""

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jsonschema.exceptions import ValidationError

MOST = 10
"""Most mistakes that a message lists. Further ones are only counted, because the cause of a run's end is limited."""

MOST_KEY = 200
"""Most characters of a key's path in a message. Models and columns may be keys, and these have any length."""


def together(sentences: Iterable[str]) -> str:
    """Return all mistakes as one message. Several mistakes get numbers."""
    known = list(dict.fromkeys(sentences))
    if len(known) == 1:
        return known[0]
    numbered = [f"({number}) {sentence}" for number, sentence in enumerate(known[:MOST], 1)]
    if len(known) > MOST:
        numbered.append(f"And {len(known) - MOST} more.")
    return f"There are {len(known)} mistakes. {' '.join(numbered)}"


def sentences(error: ValidationError) -> Iterator[str]:
    """Yield sentences for a mistake that the schema found: which key is wrong and what to do."""
    path = ".".join(str(name) for name in error.absolute_path)
    key = path[:MOST_KEY] or "the run input"
    instance: Any = error.instance
    section: Any = error.schema
    if error.validator == "additionalProperties":
        known = list(section["properties"])
        yield from (_unknown(name, key, known) for name in instance if name not in known)
    elif error.validator == "required":
        # Each missing key has its own error, without the key's name. `together` removes repeated sentences.
        yield from (f"Missing key {name!r} in {key}." for name in section["required"] if name not in instance)
    elif error.validator == "pattern" and path.startswith("s3_uri"):
        # The text after a question mark may be the signature of a URL.
        given = instance.partition("?")[0][:200]
        yield f"{key} is {given!r}, but must be s3://bucket/key, s3://bucket/prefix/ or a list of these."
    elif path == "model_id" and error.validator in ("minItems", "maxItems"):
        yield f"model_id is a list of {len(instance)} models, but must be one model as text, or a list of 2 to 10."
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
    """Return what the schema requires. Texts of the input are not repeated, because they may be prompts or secrets."""
    wanted: Any = error.validator_value
    given: Any = error.instance
    match error.validator:
        case "type":
            # Do not name null: at any key it only means that the key is absent.
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
            return f"have at least {wanted} item{'' if wanted == 1 else 's'}, not {len(given)}"
        case "maxItems":
            return f"have at most {wanted} items, not {len(given)}"
        case "maxLength":
            return f"have at most {wanted} character{'' if wanted == 1 else 's'}, not {len(given)}"
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
