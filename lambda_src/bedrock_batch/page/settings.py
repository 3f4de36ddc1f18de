"""The folded part of the page: examples, settings, files, prompt and versions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from bedrock_batch.page import rows as row_sections
from bedrock_batch.page.markup import Child, Html, code, own, tag
from bedrock_batch.page.parts import Head, Report, folded, listed, more_models, section, table
from bedrock_batch.page.words import counted

_MOST_SETTINGS = 80
_MOST_FILES = 20
_MOST_MODELS = 3
_MOST_JSON = 6_000
_MOST_VALUE = 300


def details(report: Report, place: str) -> Html | None:
    """Return the folded part."""
    return section(
        "Details",
        folded("Examples of rows", list(row_sections.examples(report))),
        folded("The first record as it is sent", list(_records(report))),
        folded("Settings", _settings(report)),
        folded("Input files", _files(report)),
        folded("Prompt, versions and files of the run", _origins(report, place)),
    )


def _records(report: Report) -> Iterator[Child]:
    """Yield the first record of each model, if the run asked for examples."""
    examples = report.get("examples") or {}
    asked = (report.get("settings") or {}).get("report", {}).get("examples")
    found: Mapping[str, Any] = (asked and report.get("first_record")) or {}
    if not found and examples:
        found = examples.get("first_record") or {
            name: one.get("first_record") for name, one in examples.items() if isinstance(one, dict) and "rows" in one
        }
    by_model = {"": found} if "recordId" in found else found
    for name, record in islice(by_model.items(), _MOST_MODELS):
        if record:
            yield tag("h3", own(name)) if name else None
            shown = json.dumps(_cut(record), indent=2, ensure_ascii=False)
            yield tag("pre", [own(line) for line in _lines(shown)], tabindex=0)
    yield from more_models(len(by_model) - _MOST_MODELS)


def _cut(value: Any) -> Any:
    """Return a JSON value, with its texts and members cut to what a line or the page has room for."""
    if isinstance(value, dict | list):
        more = len(value) - _MOST_SETTINGS
        left_out = [f"{more} more"] if more > 0 else []
        if isinstance(value, list):
            return [_cut(member) for member in value[:_MOST_SETTINGS]] + left_out
        shown = {key[:_MOST_VALUE]: _cut(member) for key, member in islice(value.items(), _MOST_SETTINGS)}
        return shown | dict.fromkeys(left_out, "…")
    return value[:_MOST_JSON] if isinstance(value, str) else value


def _lines(shown: str) -> Iterator[str]:
    """Yield the lines of a text with their line feeds, until there is no more room."""
    left = _MOST_JSON
    for line in shown.split("\n"):
        left -= min(len(line), _MOST_VALUE) + 1
        if left < 0:
            yield "…"
            return
        yield line + "\n"


def _settings(report: Report) -> Html | None:
    every = [pair for pair in _flat(report.get("settings") or {}) if pair[0]]
    rows = [(code(path), _value(value)) for path, value in every[:_MOST_SETTINGS]]
    if not rows:
        return None
    heads = [Head("Key of the run input", "name"), Head("Value", "wide")]
    return table(
        "The run input, with defaults, and without texts of prompts",
        heads,
        rows,
        stacked=False,
        more=len(every) - _MOST_SETTINGS,
    )


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, member in value.items():
            yield from _flat(member, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _value(value: Any) -> Html:
    shown = value if isinstance(value, str) else json.dumps(_cut(value), ensure_ascii=False)
    return own(shown[:_MOST_VALUE] + ("…" if len(shown) > _MOST_VALUE else ""))


def _files(report: Report) -> list[Child]:
    files: Sequence[str] = report.get("input", ())
    left_out = report.get("left_out")
    said: list[Child] = [listed([code(str(file)) for file in files], most=_MOST_FILES)] if files else []
    if left_out:
        said.append(
            tag("p", f"{counted(left_out['objects'], 'object')} beside them are no files of the table. The first:")
        )
        said.append(listed([code(str(key)) for key in left_out["first"]], most=_MOST_FILES))
    return said


def _origins(report: Report, place: str) -> Html:
    run = str(report.get("run_id", ""))
    prompt: Mapping[str, Any] = report.get("prompt") or {}
    rows: list[tuple[Child, ...]] = []
    if prompt.get("id"):
        rows.append(("Prompt", code(str(prompt["id"]))))
    if prompt.get("sha256"):
        rows.append(("SHA-256 of the prompt", code(str(prompt["sha256"]))))
    rows += [
        (("Version of ", code(str(name))), code(str(version)))
        for name, version in islice((report.get("functions") or {}).items(), 20)
    ]
    rows.append(("Contract", str(report.get("contract", ""))))
    folders = {"Reports": f"reports/{run}/", "Work": f"work/{run}/"}
    rows += [(word, code(f"{place}/{folder}")) for word, folder in folders.items()]
    return table(
        "Where the run comes from, and where its files are",
        [Head("What", "name"), Head("Value", "wide")],
        rows,
        stacked=False,
    )
