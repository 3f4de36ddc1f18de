"""Validate the run input. The JSON Schema is the only source of keys, defaults and the table in the documentation.

Inputs for the AWS sample mean the same here. At the sample's keys, a null or an empty text counts as absent, and so
does 0 as `max_num_jobs`. A trial has jobs of 1,000 rows unless the input says otherwise.
"""

import copy
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from bedrock_batch import keys
from bedrock_batch.errors import InvalidRunInput
from bedrock_batch.run_input import messages

_MOST_BYTES = 192_000
"""Most bytes of the run input as text within JSON. Stop-run reads the description of the run's execution, which has the
input and the cause of the end. Both must fit into the 256 KB of a state."""

_MOST_LEVELS = 100
"""Most levels of nested objects and lists. Python itself stops at some hundred levels; how many differs by function."""

_TRIAL_RECORDS = 1000
"""Rows of a job if `max_num_jobs` is given alone, as in the AWS sample. So the cost of a trial does not depend on the
model's quota."""

_EXACT = 1 << 53
"""Below this, a float holds every whole number exactly."""

_INT64 = 1 << 63

_Validator = extend(  # type: ignore[no-untyped-call]  # jsonschema has no types for it
    Draft202012Validator,
    # The library's own check accepts 1e300 as an integer.
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
)


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of the run input."""
    text = files("bedrock_batch").joinpath("run_input/run_input.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def validate(run_input: object) -> dict[str, Any]:
    """Return the run input with its defaults. Whole floats become integers, and keys that are null are removed.

    Keys of the AWS sample do not change: null or empty, they count as absent.

    Raises:
        InvalidRunInput: names each wrong key, what was expected, and the most similar known key.
    """
    sent = _plain(run_input, schema(), "")
    size = len(json.dumps(json.dumps(run_input, ensure_ascii=False), ensure_ascii=False).encode())
    if size > _MOST_BYTES:
        raise InvalidRunInput(
            f"The run input has {size} bytes (quotes and line ends count twice), but may have at most {_MOST_BYTES}. "
            "Put a long prompt on S3 (prompt.s3_uri), and many objects below one prefix (s3_uri)."
        )
    found = [sentence for error in _Validator(schema()).iter_errors(sent) for sentence in messages.sentences(error)]
    if not found:
        completed: dict[str, Any] = _with_defaults(sent, schema())
        if completed.get("max_num_jobs") and completed.get("max_records_per_job") is None:
            completed["max_records_per_job"] = _TRIAL_RECORDS
        found = list(_contradictions(completed))
    if found:
        raise InvalidRunInput(messages.together(found))
    return completed


def warnings(run_input: Mapping[str, Any]) -> list[str]:
    """Return warnings about keys of a validated run input that are ignored."""
    if run_input.get("split") and not run_input.get("dataset_id"):
        return ["split is ignored: it is only for datasets of the Hugging Face hub, but this table is on S3."]
    return []


def model_ids(run_input: Mapping[str, Any]) -> list[str]:
    """Return the models of a validated run input, in order."""
    asked = run_input["model_id"]
    return [asked] if isinstance(asked, str) else list(asked)


def of_model(run_input: Mapping[str, Any], model_id: str) -> dict[str, Any]:
    """Return a copy of a validated run input for one of its models alone."""
    one = copy.deepcopy(dict(run_input)) | {"model_id": model_id}
    return one | ({"price": one["price"].get(model_id, one["price"])} if "price" in one else {})


def _plain(value: Any, schema: Mapping[str, Any], key: str, depth: int = 0) -> Any:
    """Return a value with whole floats as integers, and without nulls at keys that may be absent.

    Some languages write 30 as 30.0. Raises InvalidRunInput for a number or a text that no record can hold.
    """
    if depth > _MOST_LEVELS:
        top = key.partition(".")[0][: messages.MOST_KEY]
        raise InvalidRunInput(
            f"The run input is nested too deeply in {top!r}: at most {_MOST_LEVELS} levels are allowed."
        )
    if isinstance(value, dict):
        properties, needed = schema.get("properties", {}), schema.get("required", ())
        members = {}
        for name, member in value.items():
            _check_text(name, key)
            subschema = properties.get(name, {})
            if member is not None or name in needed or name not in properties or "null" in subschema.get("type", ()):
                members[name] = _plain(member, subschema, f"{key}.{name}" if key else name, depth + 1)
        return members
    if isinstance(value, list):
        items = schema.get("items", {})
        return [_plain(member, items, f"{key}.{index}", depth + 1) for index, member in enumerate(value)]
    if isinstance(value, str):
        _check_text(value, key)
    elif isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    elif (isinstance(value, float) and not math.isfinite(value)) or (type(value) is int and abs(value) >= _INT64):
        raise InvalidRunInput(
            f"{key[: messages.MOST_KEY] or 'The run input'} is a number that does not fit into 64 bits."
        )
    return value


def _check_text(text: str, key: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRunInput(
            rf"{key[: messages.MOST_KEY] or 'The run input'} has half of a surrogate pair, such as \ud83d alone. A "
            "text was cut in the middle of a character. Remove that half."
        )


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a value with its defaults. A missing section that may be empty is added, with the defaults of its keys."""
    if schema.get("type") != "object" or not isinstance(value, Mapping):
        return value
    completed = dict(value)
    for key, subschema in schema["properties"].items() if "properties" in schema else ():
        if key in completed:
            completed[key] = _with_defaults(completed[key], subschema)
        elif "default" in subschema:
            completed[key] = subschema["default"]
        elif subschema.get("type") == "object" and "minProperties" not in subschema and not subschema.get("required"):
            completed[key] = _with_defaults({}, subschema)
    return completed


def _contradictions(run_input: Mapping[str, Any]) -> Iterator[str]:
    """Yield sentences about keys that are right alone but contradict each other."""
    models = model_ids(run_input)
    yield from _of_source(run_input)
    if run_input["input"].get("format") == "bedrock_jsonl":
        yield from _of_ready_made(run_input)
    if run_input.get("prompt_id") and "prompt" in run_input:
        yield "Set either prompt_id or prompt, not both."
    source = [key for key in ("text", "s3_uri", "arn") if key in run_input.get("prompt", {})]
    if "prompt" in run_input and len(source) != 1:
        yield "prompt must have exactly one of text, s3_uri and arn."
    if "schema" not in run_input["output"] and "enforce" in run_input["output"]:
        yield "output.enforce needs output.schema. Set output.schema, or remove output.enforce."
    retry = run_input.get("retry", {"outcomes": ()})
    if "invalid" in retry["outcomes"] and "schema" not in run_input["output"]:
        yield "retry.outcomes has invalid, but without output.schema no answer is invalid. Set output.schema."
    if "truncated" in retry["outcomes"] and "max_tokens" not in retry:
        yield "retry.outcomes has truncated, so a retry needs a larger limit. Set retry.max_tokens."
    if "budget_usd" in run_input["limits"] and "price" not in run_input:
        yield "limits.budget_usd needs price. Set it to {input, output} in USD per million tokens."
    if "price" in run_input:
        yield from _of_price(run_input["price"], models)
    yield from _of_folders(models, run_input["output"]["prefix"])


def _of_price(price: Mapping[str, Any], models: Sequence[str]) -> Iterator[str]:
    """Yield a sentence unless `price` is one price for all models or one for each."""
    if {"input", "output"} <= set(price) <= {"input", "output", "flex", "on_demand"}:
        return
    missing = [model_id for model_id in models if model_id not in price]
    other = [key for key in price if key not in models]
    if missing or other:
        yield (
            f"price has {', '.join(map(repr, price))}. Set it to {{input, output}}, or to one such object for each "
            f"model id ({', '.join(models)}). It may also have flex and on_demand."
        )


def _of_folders(models: Sequence[str], prefix: str) -> Iterator[str]:
    """Yield sentences if two models would have the same folder, or readers would not see the folders."""
    if len(models) > 1 and prefix.startswith("_"):
        yield (
            f"output.prefix is {prefix!r}. In a run of several models, each model has a folder "
            f"{keys.model_column(prefix)}=…, but readers such as Spark and Arrow ignore names that begin with _. "
            "Begin output.prefix with a letter."
        )
    folders: dict[str, str] = {}
    for model_id in models:
        other = folders.setdefault(keys.safe(model_id), model_id)
        if other != model_id:
            yield (
                f"model_id has {other!r} and {model_id!r}, but their outputs would be in the same folder "
                f"{keys.safe(model_id)!r}. Start a run for each."
            )


def _of_source(run_input: Mapping[str, Any]) -> Iterator[str]:
    dataset = run_input.get("dataset_id")
    if bool(run_input.get("s3_uri")) == bool(dataset):
        yield "Set exactly one of s3_uri and dataset_id."
    for key in ("config", "revision", "hf_token_secret_arn"):
        if key in run_input and not dataset:
            yield f"{key} is only for datasets of the Hugging Face hub. Set dataset_id, or remove {key}."
    if dataset and run_input["input"].get("format", "parquet") != "parquet":
        yield "input.format: the files of a dataset are always Parquet. Remove input.format."


def _of_ready_made(run_input: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each key that would change ready-made records."""
    if len(model_ids(run_input)) > 1:
        yield (
            "model_id is a list, but with input.format bedrock_jsonl, records are sent unchanged and have the shape of "
            "one model. Start a run for each model."
        )
    for key in ("prompt_id", "prompt", "request", "inference", "media"):
        if run_input.get(key):
            yield f"{key}: with input.format bedrock_jsonl, records are sent unchanged. Remove {key}."
    if "max_tokens" in run_input.get("retry", {}):
        yield (
            "retry.max_tokens: with input.format bedrock_jsonl, records are sent unchanged, each with its own limit. "
            "Remove retry.max_tokens. Only records with invalid answers can be asked again."
        )
