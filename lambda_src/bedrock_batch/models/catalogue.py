"""Look up models in `catalogue.json`.

- `bodies`: the form of a request. `invocation_type`; `request` (the constant members); `places` (JSON pointers to the
  system prompt and the parameters, and to the prompt if there are no turns); `turns` (the form of a conversation:
  `turn` is one message of a list, or `start`, `system`, `user`, `assistant`, `end` make one text); `defaults` of
  parameters that the model requires; `schema` (the members that request an answer of a JSON Schema); `media` (the
  members that put an image, a document or a video before the prompt) and `media_sources` (the value of `$source` in
  these, by the run input's `media.source`); `response` (paths, see `answers/response_path.py`; `answer_paths.py`
  chooses among them).
- `families`: patterns of model ids with their `kind`, their `bodies` (one for each invocation type; the first is the
  default) and, for embeddings, their `dimensions`. `media` says for each kind of media whether the models accept it;
  for a kind without an entry this is not known. `s3_location`: records of a batch may refer to objects. The first
  family that matches is used.
- `models`: facts about single models: the `label` in the names of Service Quotas, `max_tokens` (the most that a request
  may ask for), and `media` and `quotas` that differ from the family's and from the general ones. The general `quotas`
  are the defaults of the AWS documentation; `custom_quotas` are those of custom models.
- `rules`: what a model refuses; see `models/refusals.py`.
- `flex`: the ids that can be called at the service tier `flex`. The profile of a geography has its own entry, because
  it may have the tier while the model itself, or another geography's profile, does not. `source` is the evidence.
- `geographies`: Region prefixes from which a geography's profiles can be called (none for `global`).

Patterns are those of a shell (`*`). They are compared with the bare model id; those of `flex` with the id that the user
gave.
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
    """A model's family, with the facts about the model itself.

    `body` is None if the catalogue does not know the form of the model's requests. `listed` says whether `models` has
    the model. `max_tokens` is the most that a request may ask for, None if not known. `media` says for each kind of
    media whether the model accepts it; a kind that is not known has no entry. `custom` says that a user made the model.
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
    """Return the content of `catalogue.json`."""
    loaded: dict[str, Any] = json.loads(files("bedrock_batch").joinpath("models/catalogue.json").read_text("utf-8"))
    return loaded


@cache
def bodies() -> dict[str, Body]:
    """Return every body by its name."""
    return {name: Body(**body) for name, body in entries()["bodies"].items()}


def resolve(model_id: str, invocation_type: InvocationType | None = None) -> Family:
    """Return the family of a model. A model without an entry is a text model that is called through Converse."""
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
    """Return whether a pattern matches a model, or matches it without the suffix for its context (`…:0:300k`)."""
    return fnmatchcase(model, pattern) or fnmatchcase(model, f"{pattern}:*")


def has_flex(model_id: str) -> bool:
    """Return whether the catalogue says that a model or profile, given by id or ARN, has the service tier flex."""
    called = model_id.rsplit("/", 1)[-1]
    return not is_custom(model_id) and any(_names(pattern, called) for pattern in entries()["flex"]["models"])


def base_model_id(model_id: str) -> str:
    """Return the bare model id of an ARN or of a cross-Region profile's id.

    The ARN of an application inference profile does not contain its model (`models/profiles.py` looks it up), so it is
    returned unchanged. For a custom model, return the model that it was made from.
    """
    _, custom, rest = model_id.partition(_CUSTOM)
    return rest.split("/")[0] if custom else _GEOGRAPHY.sub("", model_id.rsplit("/", 1)[-1])


def is_application_profile(model_id: str) -> bool:
    """Return whether an ARN names an application inference profile, which a user made."""
    return ":application-inference-profile/" in model_id


def is_custom(model_id: str) -> bool:
    """Return whether an ARN names a custom model, which a user made from another one."""
    return _CUSTOM in model_id


def jobs_quota(model_id: str) -> tuple[str, bool]:
    """Return a key that is equal for two models whose jobs share one quota.

    A model and its profiles share one quota. The custom models made from it share another.
    """
    return base_model_id(model_id), is_custom(model_id)


def geography(model_id: str) -> str | None:
    """Return the geography of a cross-Region profile, given by its id or its ARN; None for anything else."""
    found = None if is_custom(model_id) else _GEOGRAPHY.match(model_id.rsplit("/", 1)[-1])
    return found[1] if found else None


def is_profile(model_id: str) -> bool:
    """Return whether an id or ARN names an inference profile rather than the model itself."""
    return "inference-profile/" in model_id or _GEOGRAPHY.match(model_id) is not None
