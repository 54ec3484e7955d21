"""Who may use the window. Asked over real sockets, as a hostile page or another user of the machine would."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.problems import HH
from tests.window import Opened

FIXED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("window")
    shutil.copytree(HH, here / "hh")
    (here / "outside").mkdir()
    (here / "outside" / "secret.csv").write_text("protocol,feature,mean,sd,unit\n")
    (here / "hh" / "link").symlink_to(here / "outside")
    return here / "hh"


@pytest.fixture(scope="module")
def window(folder: Path) -> Iterator[Opened]:
    opened = Opened([folder], folder.parent)
    yield opened.enter()
    assert opened.close() == 0


def test_the_token_opens_once_and_the_cookie_is_kept_from_scripts_and_other_sites(folder: Path) -> None:
    opened = Opened([folder], folder.parent)
    try:
        assert opened.ask("/model").status == 403
        assert opened.ask("/?token=guessed").status == 403
        first = opened.ask(f"/?token={opened.token}")
        assert first.status == 200
        said = first.headers["set-cookie"].lower()
        assert "httponly" in said
        assert "samesite=strict" in said
        assert opened.ask("/model", cookie=first.cookie).status == 200
        again = opened.ask(f"/?token={opened.token}")
        assert (again.status, again.cookie) == (403, "")
        assert opened.ask("/model", cookie=first.cookie + "x").status == 403
    finally:
        opened.close()


def test_it_listens_to_this_machine_alone(window: Opened) -> None:
    listening = [c.laddr for c in psutil.Process(window.process.pid).net_connections() if c.status == "LISTEN"]
    assert [(at.ip, at.port) for at in listening] == [("127.0.0.1", window.port)]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "0.0.0.0:{port}", "127.0.0.1.evil:1"])
def test_another_name_for_this_machine_is_refused(window: Opened, host: str) -> None:
    """DNS rebinding: a page of evil.example asks its own name, which has come to mean 127.0.0.1."""
    assert window.ask("/model", host=host.format(port=window.port)).status == 421


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:{port}"]
)
def test_a_form_of_another_page_does_nothing(window: Opened, folder: Path, origin: str) -> None:
    before = (folder / "problem.toml").read_text()
    address = f"/model/save?folder={folder}"
    text = before + "\n# changed\n"
    refused = window.ask(address, {"text": text}, origin=origin.format(port=window.port))
    assert (refused.status, (folder / "problem.toml").read_text()) == (403, before)


def test_the_same_form_of_its_own_page_does(window: Opened, folder: Path) -> None:
    before = (folder / "problem.toml").read_text()
    assert window.ask(f"/model/save?folder={folder}", {"text": before + "# mine\n"}).status == 204
    assert (folder / "problem.toml").read_text() == before + "# mine\n"


@pytest.mark.parametrize(
    ("origin", "cookie", "opens"), [("own", "own", True), ("http://evil.example", "own", False), ("own", "", False)]
)
def test_the_live_connection_is_its_own_pages(
    window: Opened, folder: Path, origin: str, cookie: str, opens: bool
) -> None:
    address = f"ws://{window.host}/live?folder={folder}&run={folder}"
    headers = {"Cookie": window.cookie if cookie else "none=1"}
    own = f"http://{window.host}"
    try:
        with connect(address, origin=own if origin == "own" else origin, additional_headers=headers) as live:  # type: ignore[arg-type]
            assert 'id="live"' in str(live.recv(timeout=5))
            assert opens
    except WebSocketException:
        assert not opens


@pytest.mark.parametrize("path", ["/model", "/nowhere", "/static/window.js", "/?token=wrong", "/model?folder=/etc"])
def test_every_answer_says_what_a_page_may_do(window: Opened, path: str) -> None:
    headers = window.ask(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers.items() >= FIXED.items()


def test_no_page_has_script_or_style_in_its_text(window: Opened, folder: Path) -> None:
    for screen in ("model", "measurements", "protocols", "change", "running", "cells"):
        text = window.ask(f"/{screen}?folder={folder}").text
        assert f"<h1>{'My ' if screen in ('model', 'measurements') else ''}" in text
        assert not re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", text), screen


@pytest.mark.parametrize(
    "path",
    [
        "/model?folder=/etc",
        "/model?folder={folder}/..",
        "/model?folder={folder}/link",
        "/measurements?folder={folder}&table={folder}/link/secret.csv",
        "/measurements?folder={folder}&table=/etc/passwd",
        "/running/live?folder={folder}&run=/etc",
        "/model?folder=%00",
    ],
)
def test_what_is_outside_the_given_folders_stays_there(window: Opened, folder: Path, path: str) -> None:
    answer = window.ask(path.format(folder=folder))
    assert "outside the folders" in answer.text or "no such place" in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", ["/static/../security.py", "/static/..%2fsecurity.py", "/static/%2e%2e/app.py"])
def test_static_files_are_those_alone(window: Opened, path: str) -> None:
    assert window.ask(path).status == 404


def test_a_model_is_not_loaded_before_the_user_has_said_so(window: Opened, folder: Path) -> None:
    page = window.ask(f"/model?folder={folder}").text
    assert "A model is code" in page
    for address, form in (("change/try", {}), ("running/start", {"name": "run"}), ("protocols/time", {})):
        refused = window.ask(f"/{address}?folder={folder}", form)
        assert (refused.status, "A model is code" in refused.text) == (422, True), address
    assert not (folder.parent / "runs").exists()


def test_a_name_is_shown_and_never_run(window: Opened, folder: Path) -> None:
    text = (folder / "problem.toml").read_text().replace("[model]", 'name = "<script>alert(1)</script>"\n[model]', 1)
    refused = window.ask(f"/model/save?folder={folder}", {"text": text})
    assert (refused.status, "<script>" in refused.text) == (422, False)


def test_a_port_that_is_taken_is_one_line(window: Opened, folder: Path) -> None:
    command = [sys.executable, "-m", "gbar", "ui", str(folder), "--no-browser", "--port", str(window.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "name another" in done.stderr


def test_without_the_extra_one_line_says_what_to_install(folder: Path) -> None:
    script = "import sys; sys.modules['starlette'] = None\nfrom gbar.scripts.main import main\nmain()"
    command = [sys.executable, "-c", script, "ui", str(folder), "--no-browser"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "gbar: the window needs a few packages more: pip install 'gbar[ui]'\n")


def test_a_killed_window_leaves_its_port_free(folder: Path) -> None:
    first = Opened([folder], folder.parent)
    first.close(signal.SIGKILL)
    second = Opened([folder], folder.parent, first.port)
    assert second.token != first.token
    assert second.close() == 0
