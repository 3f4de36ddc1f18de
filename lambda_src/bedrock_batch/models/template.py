"""The template language: text with `{column}` places; `{{` and `}}` are literal braces."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bedrock_batch.errors import MissingColumn, UnknownPrompt, missing_column

if TYPE_CHECKING:
    import pyarrow as pa

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_LITERAL = re.compile(r"\{\s*([^{}]+?)\s*\}")
_DOUBLED = "A place is {column}. Write literal braces twice: {{ and }}."


@dataclass(frozen=True, slots=True)
class Place:
    """`{name}`: a column, or a dotted path into a struct column. `position` is the index of its brace in the text."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Template:
    """Literal texts and places in order. No two literals are adjacent, and none is empty."""

    segments: tuple[str | Place, ...]

    @property
    def places(self) -> list[Place]:
        return [segment for segment in self.segments if isinstance(segment, Place)]


def parse(text: str) -> Template:
    """Parse a template. Raises UnknownPrompt with the position of a wrong brace, but without the template's text."""
    try:
        text.encode()
    except UnicodeEncodeError as err:
        raise UnknownPrompt(f"Half of a surrogate pair at {_where(text, err.start)}. Remove it.") from None
    segments: list[str | Place] = []
    literal = ""
    end = 0
    for token in _TOKEN.finditer(text):
        literal += text[end : token.start()]
        end = token.end()
        if token[0] in ("{{", "}}"):
            literal += token[0][0]
            continue
        if token[1] is None or not token[1].strip():
            raise UnknownPrompt(f"{_problem(token[0])} at {_where(text, token.start())}. {_DOUBLED}")
        if literal:
            segments.append(literal)
            literal = ""
        segments.append(Place(token[1], token.start()))
    literal += text[end:]
    if literal:
        segments.append(literal)
    return Template(tuple(segments))


def parse_at(where: str, text: str) -> Template:
    """Parse a template; an error's message begins with `where`."""
    try:
        return parse(text)
    except UnknownPrompt as err:
        raise UnknownPrompt(f"{where}: {err}") from err


def templates_of(request: Any, where: str = "request") -> Iterator[Template]:
    """Yield the template of every string value in a request body, depth first. Keys are not templates."""
    if isinstance(request, str):
        yield parse_at(where, request)
    elif isinstance(request, dict):
        for key, value in request.items():
            yield from templates_of(value, f"{where}.{key}")
    elif isinstance(request, list):
        for index, value in enumerate(request):
            yield from templates_of(value, f"{where}.{index}")


def columns_of(request: Any) -> list[str]:
    """Return the distinct names of a request's places, in order of appearance."""
    return list(dict.fromkeys(place.name for template in templates_of(request) for place in template.places))


def resolve(name: str, schema: "pa.Schema") -> tuple[str, ...] | None:
    """Return the column and the struct fields of a place's name; None if there is no such column.

    If a column's own name has dots, it wins over a path.
    """
    return _descend(name.split("."), list(schema))


def check_columns(request: Any, schema: "pa.Schema") -> None:
    """Raise MissingColumn for the first place that names no column, with the most similar names and all columns."""
    for name in columns_of(request):
        if resolve(name, schema) is not None:
            continue
        said = f"The request has a place {{{name[:80]}}}"
        paths = list(_paths(list(schema)))
        found = missing_column(said, name, schema.names, paths=paths, write=lambda path: f"{{{path}}}")
        column, hint = name.partition(".")[0], ""
        if column != name and resolve(column, schema) is not None and not _children(schema.field(column)):
            hint = f'The column "{column}" has no fields. (Objects of JSON lines are read as JSON text.) '
        raise MissingColumn(f"{found} {hint}{_DOUBLED}")


def literal_columns(request: Any, schema: "pa.Schema") -> list[str]:
    """Return the columns in doubled braces. Other template languages write places so; here they are literal text."""
    texts = (text for template in templates_of(request) for text in template.segments if isinstance(text, str))
    names = (name for text in texts for name in _LITERAL.findall(text))
    return list(dict.fromkeys(name for name in names if resolve(name, schema) is not None))


def _descend(words: list[str], fields: "list[pa.Field]") -> tuple[str, ...] | None:
    for length in range(len(words), 0, -1):
        name = ".".join(words[:length])
        for field in fields:
            if field.name != name:
                continue
            if length == len(words):
                return (name,)
            rest = _descend(words[length:], _children(field))
            if rest is not None:
                return (name, *rest)
    return None


def _paths(fields: "list[pa.Field]") -> Iterator[str]:
    for field in fields:
        yield field.name
        for path in _paths(_children(field)):
            yield f"{field.name}.{path}"


def _children(field: "pa.Field") -> "list[pa.Field]":
    """Return the fields of a struct. Other nested types have no fields that a path could name."""
    # Compare the type's text, so that this module does not import pyarrow.
    return list(field.type) if str(field.type).startswith("struct<") else []


def _problem(token: str) -> str:
    if token == "{":
        return "An opening brace has no closing brace"
    return "A closing brace has no opening brace" if token == "}" else "A place is empty"


def _where(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line}, character {column}"
