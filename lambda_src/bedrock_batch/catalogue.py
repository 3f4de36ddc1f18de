"""Models are data: `catalogue.json` describes model families, this module looks them up.

An entry has: `match` (a regular expression on the bare model id; the first that matches counts), `kind`,
`invocation_type`, `request` (the body's constant part), `places` (JSON pointers where prompt, system prompt and
parameters go), `response` (paths, see `paths.py`), for embeddings the `dimensions`, and `refused` with the reason
where a model cannot be used. Quotas are the defaults of the AWS documentation; a family may have its own.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from bedrock_batch.errors import UnsupportedRequest

_GEOGRAPHY = re.compile(r"^(us|us-gov|eu|apac|jp|au|ca|global)\.")


@dataclass(frozen=True, slots=True)
class Family:
    """One entry of the catalogue."""

    family: str
    match: str
    kind: Literal["text", "embedding"] = "text"
    invocation_type: Literal["InvokeModel", "Converse"] = "Converse"
    request: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    response: Mapping[str, str] = field(default_factory=dict)
    dimensions: Mapping[str, Any] = field(default_factory=dict)
    quotas: Mapping[str, int] = field(default_factory=dict)
    quota_label: str | None = None
    refused: str | None = None


@cache
def _catalogue() -> tuple[dict[str, int], tuple[Family, ...]]:
    loaded = json.loads(files("bedrock_batch").joinpath("catalogue.json").read_text("utf-8"))
    quotas = loaded["quotas"]
    return quotas, tuple(Family(**entry | {"quotas": quotas | entry.get("quotas", {})}) for entry in loaded["families"])


def families() -> tuple[Family, ...]:
    """Return every entry, in the order in which they are tried."""
    return _catalogue()[1]


def base_model_id(model_id: str) -> str:
    """Return the bare model id behind an ARN or a cross-Region profile id.

    An application inference profile does not tell its model; its own id comes back.
    """
    return _GEOGRAPHY.sub("", model_id.rsplit("/", 1)[-1])


def resolve(model_id: str) -> Family:
    """Return the family of a model; any model that no entry names is a text model behind Converse.

    Raises:
        UnsupportedRequest: the catalogue knows that the model cannot be used, and says why.
    """
    bare = base_model_id(model_id)
    family = next(entry for entry in families() if re.search(entry.match, bare))
    if family.refused:
        raise UnsupportedRequest(f"model_id {model_id!r}: {family.refused}.")
    return family
