"""Models are data: `catalogue.json` describes them, this module looks them up.

- `bodies`: what a request looks like. `invocation_type`; `request` (the constant members); `places` (JSON pointers of
  system prompt and parameters, and of the prompt where there are no turns); `turns` (how a conversation is written:
  `turn` is one message of a list, or `start`, `system`, `user`, `assistant`, `end` make one text); `defaults` of
  parameters that the model insists on; `schema` (how an answer of a JSON Schema is asked for); `media` (how an image,
  a document or a video stands before the prompt) and `media_sources` (what `$source` in it is, by the run input's
  `media.source`); `response` (paths, see `answers/response_path.py`; which of them a run uses, see `answer_paths.py`).
- `families`: patterns of model ids with their `kind`, their `bodies` (the first is the default; one for each
  invocation type) and, for embeddings, their `dimensions`. `media` says which kinds of media its models take; a kind
  that is not named may be taken or not. `s3_location`: records of a batch may refer to objects. The first family that
  matches counts.
- `models`: what is known of single models: the `label` in the names of Service Quotas, `max_tokens` (the most that
  may be asked for), `media` and `quotas` that differ from the family's and from the general ones; these are the
  defaults of the AWS documentation, and `custom_quotas` those that custom models have.
- `rules`: what a model refuses; see `models/refusals.py`.
- `flex`: the ids that can be called at the service tier `flex`. A profile of a geography is named apart: it may have
  the tier where the model itself, or another geography's profile, does not. `source` says where that is from.
- `geographies`: how the names of the Regions begin from which a geography's profiles can be called; none for `global`.

Patterns are those of a shell (`*`), and are compared with the bare model id; those of `flex` with the id as it is
given.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from bedrock_batch.contracts.run import InvocationType

_GEOGRAPHY = re.compile(r"^(us|us-gov|eu|apac|jp|au|ca|global)\.")
_CUSTOM = ":custom-model/"


@dataclass(frozen=True, slots=True)
class Body:
    """An entry of `bodies`."""

    invocation_type: InvocationType
    request: Mapping[str, Any] = field(default_factory=dict)
    turns: Mapping[str, Any] | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None
    media: Mapping[str, Any] = field(default_factory=dict)
    media_sources: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Family:
    """A model's family, with what is known of the model itself.

    `body` is None where the catalogue does not know what the model's requests look like. `listed` says whether
    `models` has the model; `max_tokens` is the most that may be asked for, None where that is not known. `media` says
    of each kind of media whether the model takes it, as far as that is known. `custom`: it was made by a user.
    """

    family: str
    model: str
    kind: Literal["text", "embedding"]
    invocation_type: InvocationType
    body: Body | None
    dimensions: Mapping[str, Any]
    quotas: Mapping[str, int]
    quota_label: str | None
    max_tokens: int | None
    listed: bool
    media: Mapping[str, bool] = field(default_factory=dict)
    s3_location: bool = False
    custom: bool = False


@cache
def entries() -> dict[str, Any]:
    """Return the catalogue as it is written."""
    loaded: dict[str, Any] = json.loads(files("bedrock_batch").joinpath("models/catalogue.json").read_text("utf-8"))
    return loaded


@cache
def bodies() -> dict[str, Body]:
    """Return every body by its name."""
    return {name: Body(**body) for name, body in entries()["bodies"].items()}


def resolve(model_id: str, invocation_type: InvocationType | None = None) -> Family:
    """Return the family of a model; a model that no entry names is a text model behind Converse."""
    bare = base_model_id(model_id)
    entry = next(entry for entry in entries()["families"] if fnmatchcase(bare, entry["match"]))
    known: dict[str, Any] = next((entry for entry in entries()["models"] if _names(entry["id"], bare)), {})
    custom = is_custom(model_id)
    choices = [bodies()[name] for name in entry["bodies"]]
    body = next((body for body in choices if invocation_type in (None, body.invocation_type)), None)
    return Family(
        family=entry["family"],
        model=bare,
        kind=entry.get("kind", "text"),
        invocation_type=body.invocation_type if body else invocation_type or "InvokeModel",
        body=body,
        dimensions=entry.get("dimensions", {}),
        quotas=entries()["quotas"] | known.get("quotas", {}) | (entries()["custom_quotas"] if custom else {}),
        quota_label=known.get("label"),
        max_tokens=known.get("max_tokens"),
        listed=bool(known),
        media=entry.get("media", {}) | known.get("media", {}),
        s3_location=entry.get("s3_location", False),
        custom=custom,
    )


def _names(pattern: str, model: str) -> bool:
    """Tell whether an entry is of a model, or of one that differs by its context alone (`…:0:300k`)."""
    return fnmatchcase(model, pattern) or fnmatchcase(model, f"{pattern}:*")


def has_flex(model_id: str) -> bool:
    """Tell whether a model or profile, by its id or ARN, is known to have the service tier flex."""
    called = model_id.rsplit("/", 1)[-1]
    return not is_custom(model_id) and any(_names(pattern, called) for pattern in entries()["flex"]["models"])


def base_model_id(model_id: str) -> str:
    """Return the bare model id behind an ARN or a cross-Region profile id.

    The id of an application inference profile does not name its model (`models/profiles.py` asks): it comes back as it
    is. For a custom model it is the model it was made from.
    """
    _, custom, rest = model_id.partition(_CUSTOM)
    return rest.split("/")[0] if custom else _GEOGRAPHY.sub("", model_id.rsplit("/", 1)[-1])


def is_application_profile(model_id: str) -> bool:
    """Return whether an ARN names an inference profile that a user made."""
    return ":application-inference-profile/" in model_id


def is_custom(model_id: str) -> bool:
    """Return whether an ARN names a model that a user made from another one."""
    return _CUSTOM in model_id


def jobs_quota(model_id: str) -> tuple[str, bool]:
    """Return a key that is equal for two models whose jobs count against one quota.

    A model and its profiles share one quota; the custom models made from it share another.
    """
    return base_model_id(model_id), is_custom(model_id)


def geography(model_id: str) -> str | None:
    """Return the geography of a cross-Region profile, given by its id or its ARN; None of anything else."""
    found = None if is_custom(model_id) else _GEOGRAPHY.match(model_id.rsplit("/", 1)[-1])
    return found[1] if found else None


def is_profile(model_id: str) -> bool:
    """Tell whether an id or ARN names an inference profile rather than the model itself."""
    return "inference-profile/" in model_id or _GEOGRAPHY.match(model_id) is not None
