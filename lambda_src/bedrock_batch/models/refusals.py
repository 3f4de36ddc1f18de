"""Refuse at plan time what would waste whole jobs: Bedrock checks bodies only after it has accepted the job.

A rule of the catalogue holds for `models` (patterns) and, if it has an `invocation_type`, only for that. A rule without
a condition is always broken: the model cannot be used. The conditions:

- `bare_id`: broken if the run input has the model's bare id, not a profile's, except in `except_regions`;
- `forbid`: broken if the body has one of these members (with `value`: if the member has that value);
- `together`: broken if the body has all of these members;
- `require`: broken if the body lacks one of these members;
- `allow`: broken if the body's first level has any other member;
- `ceiling`: broken if this member is a number above the model's own `max_tokens`.

A member is a pointer of `models/json_pointer.py` (`/toolConfig`, `/messages/*/content`), `**/key` for that key at any
depth, or the name of a place of the body (`temperature`). `reason` completes the sentence of the error. With `warn` the
run goes on, and its report has the sentence.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from bedrock_batch.errors import UnsupportedRequest
from bedrock_batch.models import json_pointer
from bedrock_batch.models.catalogue import Family, entries, geography, is_profile

Rule = Mapping[str, Any]


def check_model(family: Family, model_id: str, region: str) -> list[str]:
    """Return the warnings about a model in a Region, without its body.

    Raises:
        UnsupportedRequest: the model cannot be used, or not under this id.
    """
    broken = (rule for rule in _rules(family) if _forbids_model(rule, model_id, region))
    return _apply(family, broken) + _far_away(model_id, region)


def check_body(family: Family, body: Mapping[str, Any]) -> list[str]:
    """Return the warnings about a record's body.

    Raises:
        UnsupportedRequest: the model would refuse every record; the message names the member.
    """
    warnings = []
    for rule in _rules(family):
        for member in _broken(rule, family, body):
            warnings += _apply(family, [rule], f"{member} with ")
    return warnings


def check_media(family: Family, media: Mapping[str, Any]) -> list[str]:
    """Return the warnings about the media of a run.

    Raises:
        UnsupportedRequest: the model does not accept them, or not in this way.
    """
    kind = media["kind"]
    takes = family.media.get(kind)
    if takes is False:
        raise UnsupportedRequest(
            f"media: {family.model} does not accept {'an' if kind == 'image' else 'a'} {kind}, so every record would "
            "fail. Use a model that does, or remove media."
        )
    if media["source"] == "s3_location" and not family.s3_location:
        raise UnsupportedRequest(
            f"media.source is s3_location, but in batch inference, references to objects are known to work only with "
            f'Amazon Nova, not with {family.model}. Set media.source to "inline".'
        )
    if takes:
        return []
    return [
        f"media: the catalogue does not know whether {family.model} accepts {'an' if kind == 'image' else 'a'} {kind}. "
        "Try a few rows first: set input.limit."
    ]


def _rules(family: Family) -> Iterator[Rule]:
    for rule in entries()["rules"]:
        if rule.get("invocation_type", family.invocation_type) == family.invocation_type and any(
            fnmatchcase(family.model, pattern) for pattern in rule["models"]
        ):
            yield rule


def _far_away(model_id: str, region: str) -> list[str]:
    """Return a warning if a profile's geography does not contain the module's Region."""
    own = geography(model_id)
    near = entries()["geographies"].get(own)
    if near is None or region.startswith(tuple(near)):
        return []
    return [
        f"{model_id} is a profile for Regions of {own}, but the module is in {region}. If that Region does not have "
        "this profile, Bedrock refuses the jobs. Use the profile of the module's own geography, or global."
    ]


def _apply(family: Family, broken: Any, subject: str = "") -> list[str]:
    warnings = []
    for rule in broken:
        regions = ", ".join(rule.get("except_regions", ()))
        sentence = f"{subject}{family.model}: {rule['reason'].format(most=family.max_tokens, regions=regions)}."
        if not rule.get("warn"):
            raise UnsupportedRequest(sentence)
        warnings.append(sentence)
    return warnings


_BODY_CONDITIONS = {"forbid", "together", "require", "allow", "ceiling"}


def _forbids_model(rule: Rule, model_id: str, region: str) -> bool:
    if _BODY_CONDITIONS & set(rule):
        return False
    return not rule.get("bare_id") or not (is_profile(model_id) or region in rule.get("except_regions", ()))


def _broken(rule: Rule, family: Family, body: Mapping[str, Any]) -> list[str]:
    """Return the members of a body that break a rule; none if the body keeps the rule."""

    def found(member: str) -> list[Any]:
        return _find(member, family, body)

    broken = [
        member
        for member in rule.get("forbid", ())
        if any("value" not in rule or value == rule["value"] for value in found(member))
    ]
    together = rule.get("together", ())
    if together and all(found(member) for member in together):
        broken.append(" and ".join(together))
    broken += [f"{member} is missing" for member in rule.get("require", ()) if not found(member)]
    if "allow" in rule:
        broken += [f"/{name}" for name in body if name not in rule["allow"]]
    if "ceiling" in rule and family.max_tokens is not None:
        values = found(rule["ceiling"])
        broken += [f"{value} tokens" for value in values if isinstance(value, int) and value > family.max_tokens]
    return broken


def _find(member: str, family: Family, body: Any) -> list[Any]:
    if member.startswith("**/"):
        return list(_anywhere(member.removeprefix("**/"), body))
    pointer = member if member.startswith("/") else (family.body.places if family.body else {}).get(member)
    if pointer is None:
        return []
    return json_pointer.found(body, pointer)


def _anywhere(key: str, value: Any) -> Iterator[Any]:
    children: list[Any] = []
    if isinstance(value, Mapping):
        if key in value:
            yield value[key]
        children = list(value.values())
    elif isinstance(value, list):
        children = value
    for child in children:
        yield from _anywhere(key, child)
