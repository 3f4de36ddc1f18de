"""Write docs/module.md from the module's own variables.tf and outputs.tf: `python docs/module_tables.py`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).with_name("module.md")
MODULE = PAGE.parents[1] / "terraform"

HEAD = """# Inputs and outputs of the module

`make docs` writes this page from the files of [`terraform/`](../terraform). The plan refuses a wrong value, with a
sentence that says what is right. The example [`complete`](../terraform/examples/complete) sets each input once.

"""

BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
# An attribute of a block ends where the next line with two spaces and a word, or a closing brace, begins.
ATTRIBUTE = re.compile(r"^  (\w+) += (.*?)(?=^  \w|^\n|\Z)", re.MULTILINE | re.DOTALL)
BULLET = re.compile(r"^- `([\w.]+)`: (.*(?:\n  .*)*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of an object: its path (`package.s3`), its type, and its default, None if it must be given."""

    path: str
    type: str
    default: str | None


def page() -> str:
    """Return the whole page."""
    inputs = "".join(f"{line}\n" for name, body in blocks("variable") for line in input_rows(name, body))
    outputs = "".join(f"| `{name}` | {cell(text(body))} |\n" for name, body in blocks("output"))
    return (
        f"{HEAD}## Inputs\n\n| input | type | default | meaning |\n|---|---|---|---|\n{inputs}"
        f"\n## Outputs\n\n| output | meaning |\n|---|---|\n{outputs}"
    )


def blocks(kind: str) -> Iterator[tuple[str, str]]:
    """Yield name and body of all blocks of a kind, `variable` or `output`, in the order of files and lines."""
    for path in sorted(MODULE.glob("*.tf")):
        for found, name, body in BLOCK.findall(path.read_text("utf-8")):
            if found == kind:
                yield name, body


def values(body: str) -> dict[str, str]:
    """Return the attributes of a block as they are written, comments left out."""
    plain = re.sub(r"^ +#.*\n", "", body, flags=re.MULTILINE)
    return {name: value.strip() for name, value in ATTRIBUTE.findall(plain)}


def text(body: str) -> str:
    """Return a block's description."""
    heredoc = re.search(r"^  description = <<-EOT\n(.*?)^  EOT$", body, re.MULTILINE | re.DOTALL)
    if heredoc:
        return re.sub(r"^    ", "", heredoc[1], flags=re.MULTILINE).strip()
    quoted = re.search(r'^  description = "(.*)"$', body, re.MULTILINE)
    return quoted[1].replace('\\"', '"') if quoted else ""


def input_rows(name: str, body: str) -> list[str]:
    """Return the lines of the table for an input: one for the whole, one for each attribute that has a meaning."""
    written = values(body)
    meanings = {f"{name}.{attribute}": meaning for attribute, meaning in BULLET.findall(text(body))}
    below = attributes(name, written["type"])
    whole = re.sub(r"\n\n+", "\n", BULLET.sub("", text(body)) if below else text(body)).strip()
    rows = [row(name, "object" if below else written["type"], written.get("default"), whole)]
    return rows + [row(one.path, one.type, one.default, meanings[one.path]) for one in below if one.path in meanings]


def row(path: str, kind: str, default: str | None, meaning: str) -> str:
    return f"| `{path}` | {kind} | {'(required)' if default is None else code(default)} | {cell(meaning)} |"


def attributes(path: str, written: str) -> list[Attribute]:
    """Return the attributes of a type, and those of its attributes below them; none if it is no object."""
    found = re.fullmatch(r"object\(\{(.*)\}\)", written, re.DOTALL)
    lines = []
    for part in split(found[1]) if found else []:
        name, _, kind = (piece.strip() for piece in part.partition("="))
        optional = re.fullmatch(r"optional\((.*)\)", kind, re.DOTALL)
        kind, *default = [piece.strip() for piece in split(optional[1])] if optional else [kind]
        below = attributes(f"{path}.{name}", kind)
        given = (default or ["null"])[0] if optional else None
        lines += [Attribute(f"{path}.{name}", "object" if below else kind, given), *below]
    return lines


def split(written: str) -> list[str]:
    """Split at the commas and line ends that stand in no bracket."""
    parts, depth = [""], 0
    for character in written:
        depth += (character in "({[") - (character in ")}]")
        if character in ",\n" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]


def code(value: str) -> str:
    """Return a value of Terraform as code."""
    return "`" + re.sub(r"\s+", " ", value) + "`"


def cell(words: str) -> str:
    """Return a text as one cell of a table."""
    return words.replace("|", "\\|").replace("\n", "<br>")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
