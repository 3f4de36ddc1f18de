"""Validate the run input. The JSON Schema is the single source: keys, defaults, the table in the documentation.

What users of the AWS sample send means the same here: a null or an empty text at one of its keys, and 0 as
`max_num_jobs`, count as absent, and a trial has jobs of 1,000 rows unless the input says otherwise.
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
"""Of the run input as text within JSON. Stop-run reads the description of the run's execution, which repeats the input
and has the cause of the end. It must fit into the 256 KB of a state."""

_MOST_LEVELS = 100
"""Of objects and lists in each other. Python itself stops at some hundreds, at a level that depends on the function."""

_TRIAL_RECORDS = 1000
"""Rows of a job where `max_num_jobs` is given alone, as in the AWS sample: what a trial costs must not depend on the
model's quota."""

_EXACT = 1 << 53
"""Below it every whole number is a float of its own."""

_INT64 = 1 << 63

_Validator = extend(  # type: ignore[no-untyped-call]  # jsonschema has no types for it
    Draft202012Validator,
    # The class takes 1e300 for an integer.
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
)


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of the run input."""
    text = files("bedrock_batch").joinpath("run_input/run_input.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def validate(run_input: object) -> dict[str, Any]:
    """Return the run input with defaults filled in, whole floats as integers, and without keys that are null.

    Keys of the AWS sample stay as they are sent, null or empty: that counts as absent.

    Raises:
        InvalidRunInput: names each key, what was expected, and a near miss where there is one.
    """
    sent = _plain(run_input, schema(), "")
    size = len(json.dumps(json.dumps(run_input, ensure_ascii=False), ensure_ascii=False).encode())
    if size > _MOST_BYTES:
        raise InvalidRunInput(
            f"The run input has {size} bytes, quotes and line ends counted twice; {_MOST_BYTES} are the most. Put a "
            "long prompt on S3 (prompt.s3_uri), and many objects below one prefix (s3_uri)."
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
    """Return what a validated run input asks for and does not get."""
    if run_input.get("split") and not run_input.get("dataset_id"):
        return ["split is ignored: it is for a dataset of the Hugging Face hub, and this table is on S3."]
    return []


def model_ids(run_input: Mapping[str, Any]) -> list[str]:
    """Return the models of a validated run input, in its order."""
    asked = run_input["model_id"]
    return [asked] if isinstance(asked, str) else list(asked)


def of_model(run_input: Mapping[str, Any], model_id: str) -> dict[str, Any]:
    """Return a copy of a validated run input that asks for one of its models alone."""
    one = copy.deepcopy(dict(run_input)) | {"model_id": model_id}
    return one | ({"price": one["price"].get(model_id, one["price"])} if "price" in one else {})


def _plain(value: Any, schema: Mapping[str, Any], key: str, depth: int = 0) -> Any:
    """Return what was sent with whole floats as integers, and without null where a key may be left out.

    Callers write numbers as their language does: 30.0 for 30. Raises InvalidRunInput for what no record could hold.
    """
    if depth > _MOST_LEVELS:
        top = key.partition(".")[0][: messages.MOST_KEY]
        raise InvalidRunInput(f"The run input is nested too deeply, in {top!r}: {_MOST_LEVELS} levels are the most.")
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
            rf"{key[: messages.MOST_KEY] or 'The run input'} has half of a surrogate pair, as \ud83d alone is. It is "
            "no character, and comes from a text that was cut in the middle of one: remove it."
        )


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    """Fill in defaults; sections that may be empty come into being with them."""
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
    """Yield what is wrong with keys that are each right by themselves."""
    models = model_ids(run_input)
    yield from _of_source(run_input)
    if run_input["input"].get("format") == "bedrock_jsonl":
        yield from _of_ready_made(run_input)
    if run_input.get("prompt_id") and "prompt" in run_input:
        yield "Give either prompt_id or prompt, not both."
    source = [key for key in ("text", "s3_uri", "arn") if key in run_input.get("prompt", {})]
    if "prompt" in run_input and len(source) != 1:
        yield "prompt needs one of text, s3_uri and arn, which say where its text comes from."
    if "schema" not in run_input["output"] and "enforce" in run_input["output"]:
        yield "output.enforce needs output.schema, which is what is asked of the model."
    retry = run_input.get("retry", {"outcomes": ()})
    if "invalid" in retry["outcomes"] and "schema" not in run_input["output"]:
        yield "retry.outcomes has invalid, which needs output.schema: without one no answer is invalid."
    if "truncated" in retry["outcomes"] and "max_tokens" not in retry:
        yield "retry.outcomes has truncated, which needs retry.max_tokens: a limit that is larger."
    if "budget_usd" in run_input["limits"] and "price" not in run_input:
        yield "limits.budget_usd needs price: {input, output} in USD per million tokens."
    if "price" in run_input:
        yield from _of_price(run_input["price"], models)
    yield from _of_folders(models, run_input["output"]["prefix"])


def _of_price(price: Mapping[str, Any], models: Sequence[str]) -> Iterator[str]:
    """A price must be one for all models, or one for each."""
    if {"input", "output"} <= set(price) <= {"input", "output", "flex", "on_demand"}:
        return
    missing = [model_id for model_id in models if model_id not in price]
    other = [key for key in price if key not in models]
    if missing or other:
        yield (
            f"price has {', '.join(map(repr, price))}: give {{input, output}}, or one such object under each model id "
            f"({', '.join(models)}). Beside input and output there may be flex and on_demand."
        )


def _of_folders(models: Sequence[str], prefix: str) -> Iterator[str]:
    """Tables of two models must not lie in the same folder, and readers must see all folders."""
    if len(models) > 1 and prefix.startswith("_"):
        yield (
            f"output.prefix is {prefix!r}: of several models each has a folder {keys.model_column(prefix)}=…, and "
            "readers such as Spark and Arrow pass over names that begin with _. Begin it with a letter."
        )
    folders: dict[str, str] = {}
    for model_id in models:
        other = folders.setdefault(keys.safe(model_id), model_id)
        if other != model_id:
            yield (
                f"model_id has {other!r} and {model_id!r}, whose outputs would lie in the same folder "
                f"{keys.safe(model_id)!r}: start a run for each."
            )


def _of_source(run_input: Mapping[str, Any]) -> Iterator[str]:
    dataset = run_input.get("dataset_id")
    if bool(run_input.get("s3_uri")) == bool(dataset):
        yield "Give either s3_uri or dataset_id: one of them says where the table is."
    for key in ("config", "revision", "hf_token_secret_arn"):
        if key in run_input and not dataset:
            yield f"{key} is for a dataset of the Hugging Face hub: give dataset_id with it."
    if dataset and run_input["input"].get("format", "parquet") != "parquet":
        yield "input.format: a dataset is read from its Parquet files. Leave the format out."


def _of_ready_made(run_input: Mapping[str, Any]) -> Iterator[str]:
    """Records that are in Bedrock's shape already are not changed."""
    if len(model_ids(run_input)) > 1:
        yield (
            "model_id is a list: records of input.format bedrock_jsonl are sent as they are, in the shape of one "
            "model. Start a run for each."
        )
    for key in ("prompt_id", "prompt", "request", "inference", "media"):
        if run_input.get(key):
            yield f"{key}: records of input.format bedrock_jsonl are sent as they are. Leave it out."
    if "max_tokens" in run_input.get("retry", {}):
        yield (
            "retry.max_tokens: records of input.format bedrock_jsonl are sent as they are, each with a limit of "
            "its own. Leave it out: only records with invalid answers can be sent a second time."
        )
