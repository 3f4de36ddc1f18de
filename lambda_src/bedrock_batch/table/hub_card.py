"""What the card of a dataset says about its files: the configs, and the patterns of each split's paths.

The rules are those of the hub's own library: `default: true` names the config that is meant where none is, patterns
begin in `data_dir`, and files that are hidden count only where a pattern asks for them.
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
"""What the library leaves out, whatever a pattern says."""


def configs(entries: Any) -> dict[str, Mapping[str, Any]]:
    """Return the configs of a card by name; anything else that stands there is passed over."""
    found = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {str(entry.get("config_name", "default")): entry for entry in found}


def chosen(dataset: str, card: Mapping[str, Mapping[str, Any]], config: str | None) -> str | None:
    """Return the config that is meant: the one asked for, else the one that the card makes the default, if any."""
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
    """Return the splits that the configs declare by patterns. Configs that leave them to be guessed are left out."""
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
    """Return what tells whether a path matches a pattern. Takes time in proportion to both, whatever the pattern.

    `*` stands for any part of a name, `**` for any folders.
    """
    if len(pattern) > _MOST_PATTERN:
        raise InvalidRunInput(f"{dataset}: its card has a pattern of {len(pattern)} characters: {pattern[:80]}…")
    parts = pattern.split("/")
    # The standard library's expressions do not go back behind a part that has matched.
    tests = [None if part == "**" else re.compile(fnmatch.translate(part)).match for part in parts]
    hidden, special = _hidden(parts), _special(parts)

    def matches(path: str) -> bool:
        names = path.split("/")
        if names[-1] in _NEVER_DATA:
            return False
        return _hidden(names) == hidden and _special(names) == special and _match(tests, names)

    return matches


def _match(tests: Sequence[Callable[[str], Any] | None], names: Sequence[str]) -> bool:
    """Tell whether names match tests, of which None stands for any number of names, and for one at least at the end."""
    # The positions in `names` that the tests so far can lead to.
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
    """Return how many folders are private, as `__pycache__` is."""
    return sum(part.startswith("__") for part in parts[:-1])


def _patterns(files: Any) -> list[tuple[str, list[str]]]:
    """Return each split with its patterns, in every form in which a card may have them."""
    if isinstance(files, dict):
        entries = [(str(split), patterns) for split, patterns in files.items()]
    elif isinstance(files, list) and files and all(isinstance(item, dict) for item in files):
        entries = [(str(item.get("split", "train")), item.get("path")) for item in files]
    else:
        entries = [("train", files)]
    listed = [(split, [one] if isinstance(one, str) else one) for split, one in entries]
    return [(split, [str(pattern) for pattern in one]) for split, one in listed if isinstance(one, list)]


def _joined(folder: Any, pattern: str) -> str:
    """Return a pattern as it counts from the top of the dataset."""
    path = f"{folder}/{pattern}" if isinstance(folder, str) else pattern
    return "/".join(part for part in path.split("/") if part not in ("", "."))
