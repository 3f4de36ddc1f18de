"""Draw the pages that the browser looks at, from the reports of the unit tests, into a folder."""

import sys
from pathlib import Path

from bedrock_batch.page import page
from tests.unit.page import reports

HOSTILE = '\u202e"\'<script>document.title="broken out"</script>&\x00\ud800</style><img src=x onerror=alert(1)>'


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pages = {**reports.KINDS, "hostile": reports.large(40, HOSTILE * 20)}
    for name, report in pages.items():
        (folder / f"{name}.html").write_text(page.draw(report, place=reports.PLACE), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
