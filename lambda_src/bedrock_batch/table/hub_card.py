"""Read a dataset's card: its configs, and the patterns for the paths of each split.

The rules are those of the hub's own library. `default: true` marks the config that is used if the user names none.
Patterns start in `data_dir`. Hidden files count only if a pattern names them.
"""

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bedrock_batch.errors import InvalidRunInput

Splits = dict[str, dict[str, list[str]]]
"""The paths of every split of every config."""

_MOST_PATTERN = 500

_NEVER_DATA = frozenset(
    {"README.md", "config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "dummy_data.zip"}
)
"""Files that the library never takes for data, even if a pattern matches."""


def configs(entries: Any) -> dict[str, Mapping[str, Any]]:
    """Return the configs of a card by name; ignore all other entries."""
    found = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {str(entry.get("config_name", "default")): entry for entry in found}


def chosen(dataset: str, card: Mapping[str, Mapping[str, Any]], config: str | None) -> str | None:
    """Return `config`, or if it is None the card's default, or None if the card has no config.

    Raises InvalidRunInput if the card has several configs and the user must choose.
    """
    if config is not None:
        return config
    defaults = [name for name, entry in card.items() if entry.get("default") is True]
    if len(defaults) > 1:
        raise InvalidRunInput(f"{dataset} has several default configs: set config to one of {', '.join(defaults)}.")
    if defaults or "default" in card or len(card) == 1:
        return defaults[0] if defaults else "default" if "default" in card else next(iter(card))
    if card:
        raise InvalidRunInput(f"{dataset} has several configs: set config to one of {', '.join(sorted(card))}.")
    return None


def splits(dataset: str, card: Mapping[str, Mapping[str, Any]], paths: Sequence[str]) -> Splits:
    """Return the splits that the configs declare by patterns. Configs without patterns are not in the result."""
    found: Splits = {}
    for name, entry in card.items():
        of_config: dict[str, list[str]] = {}
        for split, patterns in _patterns(entry.get("data_files")):
            matched = of_config.setdefault(split, [])
            for pattern in patterns:
                match = matcher(dataset, _joined(entry.get("data_dir"), pattern))
                known = set(matched)
                matched.extend(path for path in paths if path not in known and match(path))
        if any(of_config.values()):
            found[name] = of_config
    return found


def matcher(dataset: str, pattern: str) -> Callable[[str], bool]:
    """Return a function that returns whether a path matches a pattern.

    `*` matches any part of a name, `**` any folders. The time is proportional to the lengths of path and pattern, for
    every pattern. Raises InvalidRunInput for a pattern that is too long.
    """
    if len(pattern) > _MOST_PATTERN:
        raise InvalidRunInput(
            f"{dataset}: its card has a pattern of {len(pattern)} characters, more than {_MOST_PATTERN}: "
            f"{pattern[:80]}… Put the split's files on S3 and give their s3_uri."
        )
    parts = pattern.split("/")
    # fnmatch translates each part to an expression that does not backtrack over a part that has matched.
    tests = [None if part == "**" else re.compile(fnmatch.translate(part)).match for part in parts]
    hidden, special = _hidden(parts), _special(parts)

    def matches(path: str) -> bool:
        names = path.split("/")
        if names[-1] in _NEVER_DATA:
            return False
        return _hidden(names) == hidden and _special(names) == special and _match(tests, names)

    return matches


def _match(tests: Sequence[Callable[[str], Any] | None], names: Sequence[str]) -> bool:
    """Return whether names match tests. A test None matches any number of names; the last one at least one name."""
    # The positions in `names` that can be reached after the tests so far.
    reached = {0}
    for index, test in enumerate(tests):
        if test is None:
            first = min(reached)
            last = index == len(tests) - 1
            reached = set(range(first + last, len(names) + (1 if last else 0)))
        else:
            reached = {at + 1 for at in reached if at < len(names) and test(names[at])}
        if not reached:
            return False
    return len(names) in reached


def _hidden(parts: Sequence[str]) -> int:
    return sum(part.startswith(".") for part in parts)


def _special(parts: Sequence[str]) -> int:
    """Return the number of folders that are private, such as `__pycache__`."""
    return sum(part.startswith("__") for part in parts[:-1])


def _patterns(files: Any) -> list[tuple[str, list[str]]]:
    """Return each split with its patterns. A card may have them in several forms."""
    if isinstance(files, dict):
        entries = [(str(split), patterns) for split, patterns in files.items()]
    elif isinstance(files, list) and files and all(isinstance(item, dict) for item in files):
        entries = [(str(item.get("split", "train")), item.get("path")) for item in files]
    else:
        entries = [("train", files)]
    listed = [(split, [one] if isinstance(one, str) else one) for split, one in entries]
    return [(split, [str(pattern) for pattern in one]) for split, one in listed if isinstance(one, list)]


def _joined(folder: Any, pattern: str) -> str:
    """Return a pattern as a path from the top of the dataset."""
    path = f"{folder}/{pattern}" if isinstance(folder, str) else pattern
    return "/".join(part for part in path.split("/") if part not in ("", "."))
