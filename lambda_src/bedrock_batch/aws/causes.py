"""Turn the cause of an error into a short sentence for people, without prompts, rows and tokens in it."""

import json
import re

_MOST = 1_000
_REPEATED = (
    re.compile(r"(?<=value: ).*?(?=, type: )", re.DOTALL),  # botocore repeats a parameter that it refuses.
    re.compile(r"[{\[]\s*[\"{\[].*", re.DOTALL),  # A document, such as a state's input.
    re.compile(r"\S{300,}"),  # A task token or media.
)


def sentence(error: str, cause: str) -> str:
    """Return an error's name and the sentence of its cause."""
    said = said_by(cause)
    return f"{error}: {said}" if error and said else error or said


def said_by(cause: str) -> str:
    """Return the sentence of a cause. A function's own message is kept whole, because it repeats no data."""
    own = lambda_message(cause)
    return cut(own, _MOST) if own is not None else without_data(cause)


def lambda_message(cause: str) -> str | None:
    """Return the message in the cause of a Lambda error, which is JSON; None if Lambda did not write the cause."""
    try:
        parsed = json.loads(cause)
    except ValueError:
        return None
    return str(parsed["errorMessage"]) if isinstance(parsed, dict) and "errorMessage" in parsed else None


def without_data(text: str, most: int = _MOST) -> str:
    """Return a service's message without the data that it repeats."""
    for pattern in _REPEATED:
        text = pattern.sub("…", text)
    return cut(text.strip(), most)


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
