"""Make the tables in docs/problem.md, result.md and features.md anew, from the code that they describe."""

from pathlib import Path

import typer

from gbar.scripts.docs import filled
from gbar.scripts.interrupts import as_process

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = [DOCS / "problem.md", DOCS / "result.md", DOCS / "features.md"]


def make_reference() -> None:
    """Write the pages that changed, and name them."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if text != filled(text):
            page.write_text(filled(text), encoding="utf-8")
            print(f"Written: {page}")


if __name__ == "__main__":
    as_process(lambda: typer.run(make_reference))
