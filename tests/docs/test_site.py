"""`make docs`: the site holds every page and fetches nothing from elsewhere when it is opened."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.problems import ROOT

DOCS = ROOT / "docs"
# What a browser loads by itself: not the target of a link that a reader follows.
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*?(?:src|data)\s*=\s*["']?([^"'\s>]+)"""
    r"""|<link\b(?=[^>]*rel=["']?(?:stylesheet|icon|preload|prefetch|preconnect|modulepreload|shortcut))"""
    r"""[^>]*?href\s*=\s*["']?([^"'\s>]+)""",
    re.I,
)
STYLED = re.compile(r"""(?:@import\s+|url\()\s*["']?([^"')\s]+)""")
ELSEWHERE = re.compile(r"(?:https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-d", str(out / "trees"), str(DOCS), str(out / "html")]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return out / "html"


def test_every_page_is_there_and_can_be_searched(site: Path) -> None:
    index = (site / "searchindex.js").read_text()
    for page in [*DOCS.glob("*.md"), *(DOCS / "notes").glob("*.md")]:
        name = page.relative_to(DOCS).with_suffix("").as_posix()
        assert (site / f"{name}.html").is_file()
        assert f'"{name}"' in index


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages, styles = list(site.rglob("*.html")), list(site.rglob("*.css"))
    loaded = [found[1] or found[2] for page in pages for found in LOADED.finditer(page.read_text())]
    loaded += [found[1] for style in styles for found in STYLED.finditer(style.read_text())]
    assert len(loaded) > len(pages)
    assert [address for address in loaded if ELSEWHERE.match(address)] == []


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example/x.js"></script>',
        "<script defer src='//cdn.example/x.js'></script>",
        '<link rel="stylesheet" type="text/css" href="http://fonts.example/css" />',
        '<link href="https://fonts.example" rel="preconnect">',
        '<img alt="" src="https://badges.example/x.svg">',
    ],
)
def test_what_would_be_fetched_is_found(page: str) -> None:
    (found,) = LOADED.finditer(page)
    assert ELSEWHERE.match(found[1] or found[2])
