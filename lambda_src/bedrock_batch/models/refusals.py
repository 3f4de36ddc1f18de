"""Refuse at plan time what would waste whole jobs: Bedrock checks no body before it has taken the job.

A rule of the catalogue holds for `models` (patterns) and, where it says so, for one `invocation_type`. It is broken

- always, when it has no condition: the model cannot be used;
- `bare_id`: when the model is named by its bare id and not by a profile, outside of `except_regions`;
- `forbid`: when the body has one of these members (with `value`: and it is that value);
- `together`: when the body has all of these members;
- `require`: when the body lacks one of these members;
- `allow`: when the body's first level has another member than these;
- `ceiling`: when this member is a number above the model's own `max_tokens`.

A member is a pointer of `models/json_pointer.py` (`/toolConfig`, `/messages/*/content`), `**/key` for that key at any
depth, or the name of a place of the body (`temperature`). `reason` completes the sentence; with `warn` the run goes on
and the sentence is in its report.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from bedrock_batch.errors import UnsupportedRequest
from bedrock_batch.models import json_pointer
from bedrock_batch.models.catalogue import Family, entries, geography, is_profile

Rule = Mapping[str, Any]


def check_model(family: Family, model_id: str, region: str) -> list[str]:
    """Return the warnings about a model in a Region, before anything is known of the body.

    Raises:
        UnsupportedRequest: the model cannot be used, or not under this id.
    """
    broken = (rule for rule in _rules(family) if _forbids_model(rule, model_id, region))
    return _apply(family, broken) + _far_away(model_id, region)


def check_body(family: Family, body: Mapping[str, Any]) -> list[str]:
    """Return the warnings about a record's body.

    Raises:
        UnsupportedRequest: the model would refuse every record; names the member.
    """
    warnings = []
    for rule in _rules(family):
        for member in _broken(rule, family, body):
            warnings += _apply(family, [rule], f"{member} with ")
    return warnings


def check_media(family: Family, media: Mapping[str, Any]) -> list[str]:
    """Return the warnings about the media of a run.

    Raises:
        UnsupportedRequest: the model does not take them, or not this way.
    """
    kind = media["kind"]
    takes = family.media.get(kind)
    if takes is False:
        raise UnsupportedRequest(
            f"media: {family.model} takes no {kind}, so that every record would fail. Use a model that does, or leave "
            "media out."
        )
    if media["source"] == "s3_location" and not family.s3_location:
        raise UnsupportedRequest(
            f"media.source s3_location: in batch inference references to objects are known to work with Amazon Nova "
            f'alone, not with {family.model}. Set it to "inline".'
        )
    if takes:
        return []
    return [f"media: the catalogue does not know whether {family.model} takes a {kind}: start with input.limit."]


def _rules(family: Family) -> Iterator[Rule]:
    for rule in entries()["rules"]:
        if rule.get("invocation_type", family.invocation_type) == family.invocation_type and any(
            fnmatchcase(family.model, pattern) for pattern in rule["models"]
        ):
            yield rule


def _far_away(model_id: str, region: str) -> list[str]:
    """Return a warning when a profile is of another geography than the Region it is called from."""
    own = geography(model_id)
    near = entries()["geographies"].get(own)
    if near is None or region.startswith(tuple(near)):
        return []
    return [
        f"{model_id} is a profile for Regions of {own}, and the module is in {region}: if there is no such profile "
        "there, Bedrock refuses its jobs. Use the profile of the module's own geography, or global."
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
    """Return the members with which a body breaks a rule; none when it does not."""

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
