"""Cut the JSON of a request template at its places."""

from typing import Any

import orjson

from bedrock_batch.models.template import Template, parse


class FlatRequest:
    """A request template as JSON text: `constants` stand before, between and after the `places`.

    `names` are the places' distinct names. `texts` has the places of each text that consists of places alone: such a
    text must not be blank. `literal_bytes` counts the bytes of the constants that are text, not JSON structure.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.constants = [b""]
        self.places: list[str] = []
        self.names: list[str] = []
        self.texts: list[list[str]] = []
        self.literal_bytes = 0
        self._add(request)

    def _add(self, value: Any) -> None:
        if isinstance(value, str):
            self.constants[-1] += b'"'
            self._add_text(parse(value))
            self.constants[-1] += b'"'
        elif isinstance(value, dict):
            for index, (key, member) in enumerate(value.items()):
                self.constants[-1] += (b"," if index else b"{") + orjson.dumps(key) + b":"
                self._add(member)
            self.constants[-1] += b"}" if value else b"{}"
        elif isinstance(value, list):
            for index, member in enumerate(value):
                self.constants[-1] += b"," if index else b"["
                self._add(member)
            self.constants[-1] += b"]" if value else b"[]"
        else:
            self.constants[-1] += orjson.dumps(value)

    def _add_text(self, template: Template) -> None:
        names = [place.name for place in template.places]
        for segment in template.segments:
            if isinstance(segment, str):
                escaped = orjson.dumps(segment)[1:-1]
                self.constants[-1] += escaped
                self.literal_bytes += len(escaped)
            else:
                self.places.append(segment.name)
                self.constants.append(b"")
        self.names = list(dict.fromkeys(self.names + names))
        literals = [segment for segment in template.segments if isinstance(segment, str)]
        if names and not any(literal.strip() for literal in literals):
            self.texts.append(list(dict.fromkeys(names)))
