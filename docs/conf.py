"""The pages of this folder as a site: `make docs`. Nothing is fetched from elsewhere when it is opened."""

from sphinx.application import Sphinx

project = "gbar"
extensions = ["myst_parser"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "gbar"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
suppress_warnings = ["misc.highlighting_failure"]  # there is no lexer for CSV

PAGES = [
    "start", "install", "your-model", "measurements", "problem", "features", "result",
    "window", "how-it-works", "comparison", "cluster", "faults", "notes/index",
]  # fmt: skip
NOTES = [
    "measured",
    "benchmarks",
    "dfo-ls",
    "agent",
    "simulation",
    "dear-models",
    "inside",
    "compatibility",
    "window",
    "faults",
]


def contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the list of pages, which the sidebar is made from, at the end of the two pages that lead to others."""
    listed = {"index": PAGES, "notes/index": NOTES}.get(page, [])
    if listed:
        source[0] += "\n\n```{toctree}\n:hidden:\n\n" + "\n".join(listed) + "\n```\n"


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", contents)
