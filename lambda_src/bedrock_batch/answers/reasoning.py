"""Take reasoning off a text that has it between tags: `<think>first this</think>then that`."""

import re

BETWEEN = "\n\n"
"""Stands between two pieces of reasoning of one answer."""


class Tag:
    """A tag by its name, `think` for `<think>` and `</think>`."""

    def __init__(self, name: str) -> None:
        self._tags = re.compile(f"<(/?){re.escape(name)}>")

    def split(self, text: str, *, cut: bool) -> tuple[str, str]:
        """Return what a model said and what it thought; each may be empty. `cut`: the answer met a limit.

        All text before a closing tag is reasoning: from its opening tag on, or from the last block on where models
        leave the opening tag out. Without a closing tag the reasoning has no end, unless an answer that is whole
        already has text before the opening tag: such an answer only speaks of the tag.
        """
        said, thought = [], []
        start, opened = 0, -1
        for tag in self._tags.finditer(text):
            if tag[1]:
                thought.append(text[start : tag.start()])
                opened = -1
            elif opened < 0:
                said.append(text[start : tag.start()])
                opened = tag.start()
            else:
                continue  # reasoning that speaks of its tag
            start = tag.end()
        if opened < 0:
            said.append(text[start:])
        elif cut or not "".join(said).strip():
            thought.append(text[start:])
        else:
            said.append(text[opened:])
        if not thought:
            return text, ""
        return "".join(said).lstrip(), BETWEEN.join(filter(None, map(str.strip, thought)))
