"""From a bare folder to the first solution on the screen: what a person has to do for it, counted."""

import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.problems import MOTONEURON
from tests.window import Opened

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.neuron,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
KEY_S, POINT_S, BUTTON_S, THINK_S = 0.28, 1.1, 0.2, 1.35  # Card, Moran & Newell 1980: K, P, two B, M
WAITED_S = 240.0  # of the machine, on a busy one: it compiles, tries engines and learns


class Person:
    """Somebody at the window: every click and key is counted."""

    def __init__(self, page: Any):
        self.page = page
        self.clicks = 0
        self.keys = 0

    def click(self, what: Any) -> None:
        what.click()
        self.clicks += 1

    def type(self, into: Any, text: str) -> None:
        self.click(into)
        into.press_sequentially(text)
        self.keys += len(text)

    @property
    def seconds(self) -> float:
        """By the keystroke-level model, one thought before each click."""
        return self.clicks * (THINK_S + POINT_S + BUTTON_S) + self.keys * KEY_S


def test_eight_measurements_are_typed_and_the_first_solution_seen(tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    shutil.copytree(MOTONEURON / "mod", folder / "mod", ignore=shutil.ignore_patterns("x86_64", "arm64"))
    shutil.copy(MOTONEURON / "motoneuron.hoc", folder)
    table = (MOTONEURON / "measurements" / "rat_fast.csv").read_text().splitlines()
    rows = "\n".join([line for line in table if not line.startswith(("#", "protocol"))][:8])
    window = Opened([folder], tmp_path)
    try:
        with playwright.sync_playwright() as started:
            browser = started.chromium.launch(
                executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(WAITED_S * 1000)
            playwright.expect.set_options(timeout=WAITED_S * 1000)
            page.goto(window.address)
            person = Person(page)
            waited = to_the_first_solution(person, rows)
            stop(page)
            browser.close()
    finally:
        window.close()
    print(f"{person.clicks} clicks, {person.keys} keys: {person.seconds:.0f} s of a person's; {waited:.0f} s waited")
    assert person.clicks <= 12
    assert person.seconds < 180
    assert waited <= WAITED_S


def to_the_first_solution(person: Person, rows: str) -> float:
    """Do it; returns the seconds it took less those of typing."""
    page, expect = person.page, playwright.expect
    began = time.monotonic()
    person.type(page.locator("#f-celsius"), "36")
    person.click(page.locator("#f-trust"))
    person.click(page.locator("#load"))
    person.click(page.get_by_role("link", name="Next: my measurements"))
    typing = time.monotonic()
    person.type(page.locator("#f-pasted"), rows)
    typed = time.monotonic() - typing
    person.click(page.locator("#paste"))
    expect(page.locator("#mean-7")).to_be_visible()
    person.click(page.locator("#save"))
    expect(page.locator("#table-said")).to_contain_text("Saved: 8 measurements")
    person.click(page.get_by_role("link", name="Next: tune"))
    person.click(page.locator("#start"))
    expect(page.locator("#lead")).to_have_text(re.compile(r"^[1-9]\d* of "))
    expect(page.locator("#traces canvas").first).to_be_visible()
    return time.monotonic() - began - typed


def stop(page: Any) -> None:
    """End the run, which would outlive the window: the test's doing, not the person's."""
    if page.locator("#b-stop").count():
        page.on("dialog", lambda dialog: dialog.accept())
        page.click("#b-stop")
    playwright.expect(page.locator("#lead")).to_have_text(re.compile("stopped|all found"))
