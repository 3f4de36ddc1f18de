"""Write the tables of errors and codes in docs/operations.md, from page/remedies.json, which report.html uses too."""

import json
import re
from pathlib import Path

PAGE = Path(__file__).with_name("operations.md")
REMEDIES = Path(__file__).parents[1] / "lambda_src" / "bedrock_batch" / "page" / "remedies.json"

HEADS = {
    "errors": {"error": "error", "what": "what happened", "do": "what you do"},
    "codes": {"code": "code", "outcome": "outcome", "cause": "cause", "do": "what you do"},
}


def with_tables(page: str, remedies: dict[str, list[dict[str, str]]]) -> str:
    """Return the page with the rows of both tables as the file has them."""
    for name, columns in HEADS.items():
        head = f"| {' | '.join(columns.values())} |\n|{'---|' * len(columns)}\n"
        rows = "".join(f"| {' | '.join(row[key] for key in columns)} |\n" for row in remedies[name])
        page, found = re.subn(re.escape(head) + r"(?:\|.*\n)*", lambda _, new=head + rows: new, page)
        if found != 1:
            raise ValueError(f"{PAGE} has {found} tables with the head {head!r}.")
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), json.loads(REMEDIES.read_text("utf-8"))), "utf-8")
