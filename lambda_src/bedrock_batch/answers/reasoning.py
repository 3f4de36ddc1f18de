"""Separate reasoning from a text that has it between tags: `<think>first this</think>then that`."""

import re

BETWEEN = "\n\n"
"""Stands between two pieces of reasoning of one answer."""


class Tag:
    """A tag, by its name: `think` for `<think>` and `</think>`."""

    def __init__(self, name: str) -> None:
        self._tags = re.compile(f"<(/?){re.escape(name)}>")

    def split(self, text: str, *, cut: bool) -> tuple[str, str]:
        """Return the answer and the reasoning of a text; each may be empty. `cut` says that the answer met a limit.

        Reasoning is the text between an opening and a closing tag. Some models leave out the opening tag: then it
        begins after the previous reasoning, or at the start of the text. Without a closing tag, everything after the
        opening tag is reasoning. The exception is an answer that is not cut and has text before the opening tag: it
        only mentions the tag.
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
                continue  # The reasoning mentions its own tag.
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
