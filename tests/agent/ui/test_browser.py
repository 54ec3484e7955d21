"""The window as a person uses it: one Chromium, from a bare model folder to solutions, and what may go wrong."""

import http.server
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from gbar.agent.result import read_live, read_result
from tests.problems import HH
from tests.recorded import passive, write_csv
from tests.window import Opened

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
PASTED = """Protocol\tFeature\tMean\tSD\tUnit
hyperpolarise\tvoltage_base\t-64,0\t3,0\tmV
hyperpolarise\tohmic_input_resistance\t7,1\t0,7\tmOhm
threshold\trheobase\t0,36\t0,06\tnA
fire\tmean_frequency\t250\t40\tHz
brief\tAP_amplitude_from_voltagebase\t104\t8\tmV
brief\tAP_duration_half_width\t1,27\t0,12\tms
brief\tAHP_depth\t-11\t1,2\tmV
brief\tAHP_half_decay_time\t6,5\t0,9\tms
"""
HOSTILE = """<!doctype html><title>evil</title><iframe src="http://HOST/model"></iframe><script>
const done = {}, about = "folder=FOLDER", credentials = "include";
const form = { "Content-Type": "application/x-www-form-urlencoded" };
const save = { method: "POST", mode: "no-cors", credentials, headers: form, body: "text=evil" };
const socket = new WebSocket("ws://HOST/live?" + about + "&run=FOLDER");
Promise.all([
  fetch("http://HOST/model/save?" + about, save).catch(() => 0),
  fetch("http://HOST/model?" + about, { credentials }).then(() => done.read = "read", () => done.read = "refused"),
  new Promise(then => {
    socket.onopen = () => then(done.socket = "open");
    socket.onerror = () => then(done.socket = "refused");
  }),
]).then(() => window.done = done);
</script>"""
pytestmark = [
    pytest.mark.browser,
    pytest.mark.neuron,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
expect = playwright.expect
expect.set_options(timeout=60_000)


class Session(NamedTuple):
    """A browser, the folder that its window looks into, and what it complained of or asked for elsewhere."""

    context: Any
    page: Any
    folder: Path
    complaints: list[str]
    elsewhere: list[str]
    windows: list[Opened]

    def address(self, screen: str, **more: object) -> str:
        of = "".join(f"&{key}={value}" for key, value in more.items())
        return f"http://{self.windows[-1].host}/{screen}?folder={self.folder}{of}"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    here = tmp_path_factory.mktemp("window")
    (here / "axon").mkdir()
    shutil.copy(HH / "hh.hoc", here / "axon")
    window = Opened([here / "axon"], here)
    complaints: list[str] = []
    elsewhere: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(60_000)
        found = Session(
            context, watched(context.new_page(), complaints, elsewhere), here / "axon", complaints, elsewhere, [window]
        )
        found.page.goto(window.address)
        found.page.wait_for_url("**/model?folder=**")
        yield found
        browser.close()
    found.windows[-1].close()


def watched(page: Any, complaints: list[str], elsewhere: list[str]) -> Any:
    """A page whose complaints and requests are written down."""
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("response", lambda a: complaints.append(f"{a.status} {a.url}") if a.status >= 400 else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: elsewhere.append(asked.url) if "//127.0.0.1:" not in asked.url else None)
    page.on("dialog", lambda dialog: dialog.accept())
    return page


def serious(page: Any) -> list[str]:
    """What axe finds."""
    found = axe.Axe().run(page).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found if v["impact"] in {"serious", "critical"}]


def test_from_a_bare_folder_to_a_problem(session: Session) -> None:
    page = session.page
    expect(page.get_by_text("template SquidAxon")).to_be_visible()
    assert serious(page) == []
    page.check("#f-trust")
    page.click("#load")
    expect(page.locator("#tree-scroll svg")).to_be_visible()
    assert (session.folder / "problem.toml").is_file()
    assert page.locator(".groups tbody tr").count() == 1


def test_measurements_are_pasted_with_decimal_commas_and_a_wrong_unit_is_mended(session: Session) -> None:
    page = session.page
    page.goto(session.address("measurements"))
    page.fill("#f-pasted", PASTED)
    page.click("#paste")
    expect(page.locator("#wrong-1")).to_contain_text("a megaohm is MOhm")
    page.click("#save")
    expect(page.locator("#table-said")).to_contain_text("Not saved yet")
    page.fill("#unit-1", "MOhm")
    page.click("#save")
    expect(page.locator("#table-said")).to_have_text("Saved: 8 measurements in measurements.csv.")
    assert serious(page) == []
    lines = (session.folder / "measurements.csv").read_text().splitlines()
    assert lines[0].startswith("# One row a measurement")  # comments stay
    assert "hyperpolarise,ohmic_input_resistance,7.1,0.7,MOhm" in lines


def test_a_recording_is_dropped_looked_at_and_a_sweep_left_out(session: Session, tmp_path: Path) -> None:
    page = session.page
    write_csv(tmp_path / "cell.csv", [passive(-0.1, seed=1), passive(-0.1, seed=2), passive(0.2, spikes=5)], 0.1)
    page.set_input_files("#f-files", tmp_path / "cell.csv")
    expect(page.locator(".sweep canvas")).to_have_count(3)
    expect(page.locator(".sweep").nth(2)).to_contain_text("5 spikes")
    page.click("#use-2")
    expect(page.locator(".sweep").nth(1)).to_contain_text("left out by you")
    moved = page.get_by_role("button", name="Step as found")
    for _ in range(4):  # a sweep that is drawn anew meanwhile takes the handle out of one's fingers
        handle = page.locator(".handle").first
        handle.focus()
        handle.press("ArrowRight")
        handle.press("Enter")
        with suppress(playwright.TimeoutError):
            moved.wait_for(timeout=10_000)
            break
    expect(moved).to_be_visible()
    assert serious(page) == []


def test_a_bound_is_moved_and_the_comment_behind_it_stays(session: Session) -> None:
    page = session.page
    page.goto(session.address("change"))
    page.fill("#low-gnabar_hh", "0,05")
    page.uncheck("#on-gl_hh")
    page.click("#save")
    expect(page.locator("#parameters-form .note")).to_have_text("Saved: 2 free.")
    text = (session.folder / "problem.toml").read_text()
    assert re.search(r"^bounds = \[0\.05, 0\.38\] +# the model has 0\.12$", text, re.M)
    assert '# name = "gl_hh"' in text
    page.fill("#try-gnabar_hh", "0.13")
    page.click("#try")
    expect(page.locator("#tried-lead")).to_contain_text("of 8 measurements within 2 SD")
    expect(page.locator("#tried .traces canvas").first).to_be_visible()
    page.check("#on-gl_hh")
    page.click("#save")
    expect(page.locator("#parameters-form .note")).to_have_text("Saved: 3 free.")
    assert serious(page) == []


def test_stimuli_are_drawn_and_changed(session: Session) -> None:
    page = session.page
    page.goto(session.address("protocols"))
    assert page.locator(".stim-line").count() == 4
    page.click("#edit-fire summary")
    page.fill("#fire-amplitude", "0,6")
    page.click("#edit-fire button.main")
    expect(page.locator("#cards > .note")).to_have_text("Saved: fire.")
    assert re.search(r"^amplitude = 0\.6 +# nA: 1\.5 times what", (session.folder / "problem.toml").read_text(), re.M)
    assert serious(page) == []


def test_a_run_is_paused_in_two_tabs_and_outlives_the_window(session: Session) -> None:
    page = session.page
    page.goto(session.address("running"))
    page.fill("#f-solutions", "400")  # goes on as long as it is looked at
    page.click("#start")
    page.wait_for_url("**run=**")
    page.click("#b-pause")
    lead, where = page.locator("#lead"), page.url
    expect(lead).to_have_text(re.compile("paused"))
    other = watched(session.context.new_page(), session.complaints, session.elsewhere)
    other.goto(where)
    expect(other.locator("#lead")).to_have_text(lead.inner_text())
    other.close()
    session.windows[-1].close(signal.SIGKILL)
    expect(page.locator("#away")).to_be_visible()
    live = read_live(run_of(page))
    assert live is not None
    assert (live.alive, live.phase) == (True, "paused")
    session.windows.append(Opened([session.folder], session.folder.parent, session.windows[-1].port))
    page.goto(session.windows[-1].address)
    page.wait_for_url(where)  # the same place
    session.complaints.clear()  # of the connection that was cut
    page.click("#b-on")
    expect(lead).to_have_text(re.compile(r"^[1-9]\d* of 400 solutions"))
    expect(page.locator("#traces canvas").first).to_be_visible()
    page.reload()
    expect(lead).to_have_text(re.compile(r"^[1-9]\d* of 400 solutions"))
    assert page.url == where
    assert serious(page) == []
    page.click("#b-stop")
    expect(lead).to_have_text(re.compile("stopping|stopped"))


def test_the_nearest_is_seen_where_the_engine_keeps_no_voltages(session: Session) -> None:
    """Engines that simulate many cells at once give features alone, and no solution is found here."""
    run = session.folder.parent / "runs" / "batched"
    options = ["--engine", "neuron dt 0.025", "--tolerance", "0.01", "--out", str(run)]
    command = [sys.executable, "-m", "gbar", "tune", str(session.folder), *options]
    typed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        page = session.page
        page.goto(session.address("running", run=run))
        expect(page.locator("#lead")).to_have_text(re.compile("^0 of"))
        expect(page.locator("#traces canvas").first).to_be_visible()
        assert not (run / "live.npz").exists()
    finally:
        typed.send_signal(signal.SIGINT)
        typed.wait(timeout=60)
        session.page.goto("about:blank")  # the later tests are about the other run
        shutil.rmtree(run)


def run_of(page: Any) -> Path:
    """The run that a page is about."""
    return Path(parse_qs(urlsplit(page.url).query)["run"][0])


def test_a_hostile_page_gets_nowhere(session: Session) -> None:
    """Another page of the same browser, on this machine too, so that the cookie travels with what it asks."""
    window = session.windows[-1]
    text = HOSTILE.replace("HOST", window.host).replace("FOLDER", str(session.folder))
    before = (session.folder / "problem.toml").read_text()
    with serving(text) as port:
        page = session.context.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_function("window.done")
        done = page.evaluate("window.done")
        inside = page.frames[1].evaluate("document.body ? document.body.innerText : ''")
        page.close()
    assert done["read"] == done["socket"] == "refused"
    assert "My model" not in inside
    assert (session.folder / "problem.toml").read_text() == before


class serving:
    """A page on another port of this machine."""

    def __init__(self, text: str):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> int:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return int(self.server.server_address[1])

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("screen", ["model", "measurements", "protocols", "change", "running", "cells"])
def test_a_telephone_in_the_dark_shows_it_too(session: Session, screen: str) -> None:
    page = session.page
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(session.address(screen))
    page.wait_for_load_state("networkidle") if screen != "running" else time.sleep(0.5)
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    assert serious(page) == []


def test_a_stop_keeps_what_was_found(session: Session) -> None:
    page = session.page
    page.goto(session.address("running"))
    expect(page.locator("#lead")).to_have_text(re.compile("stopped"))
    expect(page.locator("#start")).to_be_visible()
    assert read_result(run_of_first(session)).solutions


def run_of_first(session: Session) -> Path:
    """The one run that there is."""
    (found,) = (session.folder.parent / "runs").iterdir()
    return found


def test_solutions_are_sorted_brushed_and_compared(session: Session) -> None:
    page = session.page
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(session.address("solutions"))
    sets = page.locator("#sets tbody tr")
    count = sets.count()
    assert count == len(read_result(run_of_first(session)).solutions) > 0
    page.get_by_role("button", name="largest |z|").click()
    worst = [float(text) for text in page.locator("#sets tbody td:nth-child(2)").all_inner_texts()]
    assert worst == sorted(worst)
    page.locator("#sets .keep").last.click()
    number = page.locator("#sets tr.kept").get_attribute("data-s")
    assert page.locator(".drawn .trace.on").first.get_attribute("data-s") == number
    box = page.locator("#parallel").bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 17)
    page.mouse.down()
    page.mouse.move(box["x"] + 12, box["y"] + 17)  # a |z| that hardly any set has
    page.mouse.up()
    expect(page.locator("#passing")).to_have_text(re.compile(rf"^\d+ of {count} shown$"))
    page.click("#clear")
    expect(page.locator("#passing")).to_have_text(f"{count} of {count} shown")
    if count > 1:
        page.select_option("#c-second", "1")
        expect(page.locator("#two-parameters tbody tr")).to_have_count(3)
    assert serious(page) == []


def test_a_slider_is_answered_at_once_and_by_neuron_a_moment_later(session: Session) -> None:
    page = session.page
    said = page.locator("#expected [role=status]")
    expect(said).to_have_text(re.compile(r"of 8 measurements within 2 SD, in \d+ ms"))
    slider = page.locator("#move input[type=range]").first
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    expect(page.locator("#neuron-said")).to_have_text(re.compile("of 8 measurements within 2 SD"))
    took = re.search(r"in (\d+) ms", said.inner_text())
    assert took and int(took[1]) <= 50
    assert serious(page) == []


def test_whether_a_solution_holds_is_found_out_and_kept(session: Session) -> None:
    page = session.page
    page.goto(session.address("hold"))
    page.click("#hold")
    expect(page.locator("#held-lead")).to_have_text(re.compile(r"Solution \d+: holds under \d+ of 16 changes"))
    assert page.locator("#held-each tbody tr").count() == 3
    page.reload()
    expect(page.locator("#held-lead")).to_be_visible()
    assert serious(page) == []


def test_what_cannot_be_is_said(session: Session) -> None:
    page = session.page
    page.goto(session.address("cannot"))
    expect(page.locator("#lead")).to_contain_text("It can:")
    assert serious(page) == []


def test_a_solution_is_taken_away(session: Session) -> None:
    page = session.page
    page.goto(session.address("take"))
    assert "was fitted to 8 measurements" in page.locator("#methods").inner_text()
    page.click("#take-hoc")
    expect(page.locator("#written")).to_contain_text("solution.hoc")
    with page.expect_download() as saved:
        page.get_by_role("link", name="solution.hoc").click()
    assert "nrncontrolmenu()" in Path(saved.value.path()).read_text()
    assert serious(page) == []


@pytest.mark.parametrize("screen", ["solutions", "hold", "cannot", "take"])
def test_a_telephone_in_the_dark_shows_answers_too(session: Session, screen: str) -> None:
    test_a_telephone_in_the_dark_shows_it_too(session, screen)


def test_no_complaint_and_nothing_asked_of_anybody_else(session: Session) -> None:
    assert (session.complaints, session.elsewhere) == ([], [])
