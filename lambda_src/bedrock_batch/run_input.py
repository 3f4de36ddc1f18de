"""Validate the run input. The JSON Schema is the single source: keys, defaults, the table in the documentation."""

import copy
import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from bedrock_batch import ids
from bedrock_batch.errors import InvalidRunInput

_MOST_BYTES = 192_000
"""Of the run input as text within JSON. Whoever stops the run's jobs asks for its execution, and the answer, which
repeats the input and tells the cause of the end, must fit into the 256 KB of a state."""


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of the run input."""
    text = files("bedrock_batch").joinpath("schemas/run_input.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def validate(run_input: object) -> dict[str, Any]:
    """Return the run input with defaults filled in.

    Raises:
        InvalidRunInput: names the key, what was expected, and a near miss where there is one.
    """
    size = len(json.dumps(json.dumps(run_input, ensure_ascii=False), ensure_ascii=False).encode())
    if size > _MOST_BYTES:
        raise InvalidRunInput(
            f"The run input has {size} bytes, quotes and line ends counted twice; {_MOST_BYTES} are the most. Put a "
            "long prompt on S3 (prompt.s3_uri), and many objects below one prefix (s3_uri)."
        )
    error = best_match(Draft202012Validator(schema()).iter_errors(run_input))
    if error is not None:
        raise InvalidRunInput(_sentence(error))
    completed: dict[str, Any] = _with_defaults(run_input, schema())
    _check_combinations(completed)
    return completed


def model_ids(run_input: Mapping[str, Any]) -> list[str]:
    """Return the models of a validated run input, in its order."""
    asked = run_input["model_id"]
    return [asked] if isinstance(asked, str) else list(asked)


def of_model(run_input: Mapping[str, Any], model_id: str) -> dict[str, Any]:
    """Return a copy of a validated run input that asks for one of its models alone."""
    one = copy.deepcopy(dict(run_input)) | {"model_id": model_id}
    return one | ({"price": one["price"].get(model_id, one["price"])} if "price" in one else {})


def digest(run_input: Mapping[str, Any]) -> str:
    """Return the digest that tells whether two inputs ask for the same run."""
    return hashlib.sha256(json.dumps(run_input, sort_keys=True).encode()).hexdigest()


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    """Fill in defaults; sections that may be empty come into being with them."""
    if schema.get("type") != "object" or not isinstance(value, Mapping):
        return value
    completed = dict(value)
    for key, part in schema["properties"].items() if "properties" in schema else ():
        if key in completed:
            completed[key] = _with_defaults(completed[key], part)
        elif "default" in part:
            completed[key] = part["default"]
        elif part.get("type") == "object" and "minProperties" not in part and not part.get("required"):
            completed[key] = _with_defaults({}, part)
    return completed


def _check_combinations(run_input: Mapping[str, Any]) -> None:
    _check_source(run_input)
    if run_input["input"].get("format") == "bedrock_jsonl":
        _check_ready_made(run_input)
    if run_input.get("prompt_id") is not None and "prompt" in run_input:
        raise InvalidRunInput("Give either prompt_id or prompt, not both.")
    source = [key for key in ("text", "s3_uri", "arn") if key in run_input.get("prompt", {})]
    if "prompt" in run_input and len(source) != 1:
        raise InvalidRunInput("prompt needs one of text, s3_uri and arn, which say where its text comes from.")
    if "schema" not in run_input["output"] and "enforce" in run_input["output"]:
        raise InvalidRunInput("output.enforce needs output.schema, which is what is asked of the model.")
    retry = run_input.get("retry", {"outcomes": ()})
    if "invalid" in retry["outcomes"] and "schema" not in run_input["output"]:
        raise InvalidRunInput(
            "retry.outcomes has invalid, which needs output.schema: without one no answer is invalid."
        )
    if "truncated" in retry["outcomes"] and "max_tokens" not in retry:
        raise InvalidRunInput("retry.outcomes has truncated, which needs retry.max_tokens: a limit that is larger.")
    if "budget_usd" in run_input["limits"] and "price" not in run_input:
        raise InvalidRunInput("limits.budget_usd needs price: {input, output} in USD per million tokens.")
    if "price" in run_input:
        _check_price(run_input["price"], model_ids(run_input))
    _check_folders(model_ids(run_input))


def _check_price(price: Mapping[str, Any], models: Sequence[str]) -> None:
    """Refuse a price that is neither one for all models nor one for each."""
    if set(price) == {"input", "output"}:
        return
    missing = [model_id for model_id in models if model_id not in price]
    other = [key for key in price if key not in models]
    if missing or other:
        raise InvalidRunInput(
            f"price has {', '.join(map(repr, price))}: give {{input, output}}, or one such object under each model id "
            f"({', '.join(models)})."
        )


def _check_folders(models: Sequence[str]) -> None:
    """Refuse models whose tables would lie in the same folder."""
    folders: dict[str, str] = {}
    for model_id in models:
        other = folders.setdefault(ids.model_folder(model_id), model_id)
        if other != model_id:
            raise InvalidRunInput(
                f"model_id has {other!r} and {model_id!r}, whose outputs would lie in the same folder "
                f"{ids.model_folder(model_id)!r}: start a run for each."
            )


def _check_source(run_input: Mapping[str, Any]) -> None:
    if ("s3_uri" in run_input) == ("dataset_id" in run_input):
        raise InvalidRunInput("Give either s3_uri or dataset_id: one of them says where the table is.")
    for key in ("config", "split", "revision", "hf_token_secret_arn"):
        if key in run_input and "dataset_id" not in run_input:
            raise InvalidRunInput(f"{key} is for a dataset of the Hugging Face hub: give dataset_id with it.")
    if "dataset_id" in run_input and run_input["input"].get("format", "parquet") != "parquet":
        raise InvalidRunInput("input.format: a dataset is read from its Parquet files. Leave the format out.")


def _check_ready_made(run_input: Mapping[str, Any]) -> None:
    """Refuse what would change records that are in Bedrock's shape already."""
    if len(model_ids(run_input)) > 1:
        raise InvalidRunInput(
            "model_id is a list: records of input.format bedrock_jsonl are sent as they are, in the shape of one "
            "model. Start a run for each."
        )
    for key in ("prompt_id", "prompt", "request", "inference", "media"):
        if run_input.get(key):
            raise InvalidRunInput(f"{key}: records of input.format bedrock_jsonl are sent as they are. Leave it out.")
    if "max_tokens" in run_input.get("retry", {}):
        raise InvalidRunInput(
            "retry.max_tokens: records of input.format bedrock_jsonl are sent as they are, each with a limit of "
            "its own. Leave it out: what can be asked for once more is invalid answers."
        )


def _sentence(error: ValidationError) -> str:
    """Say in one sentence which key is wrong and what to do."""
    key = ".".join(str(part) for part in error.absolute_path) or "the run input"
    instance: Any = error.instance
    if error.validator == "additionalProperties":
        section: Any = error.schema
        known = list(section["properties"])
        unknown = next(name for name in instance if name not in known)
        near = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}."
        return f"Unknown key {unknown!r} in {key}: {hint}"
    if error.validator == "required":
        required: Any = error.validator_value
        missing = next(name for name in required if name not in instance)
        return f"Missing key {missing!r} in {key}."
    if error.validator in ("pattern", "anyOf") and key.startswith("s3_uri"):
        # What follows a question mark may be the signature of a URL.
        given = str(instance).partition("?")[0][:200]
        return f"{key} is {given!r}: expected s3://bucket/key, s3://bucket/prefix/ or a list of these."
    if key == "model_id" and error.validator in ("minItems", "maxItems"):
        return f"model_id lists {len(instance)} models: expected one as a text, or a list of 2 to 10."
    section = error.schema
    about = f" {section['description']}" if error.validator in ("type", "pattern") and "description" in section else ""
    return f"{key} must {_wanted(error)}.{about}"


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
            kinds = " or ".join(_TYPES[kind] for kind in ([wanted] if isinstance(wanted, str) else wanted))
            return f"be {kinds}, not {_kind(given)}"
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
