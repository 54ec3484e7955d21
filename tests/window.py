"""A window as a user opens it: the command in a process of its own, and a client that has its cookie."""

import http.client
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.problems import GBAR


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str
    cookie: str


class Opened:
    """`gbar ui FOLDER …`, listening."""

    def __init__(self, folders: list[Path], here: Path, port: int = 0):
        self.folder = folders[0]
        command = [str(GBAR), "ui", *map(str, folders), "--no-browser", "--port", str(port)]
        environment = {**os.environ, "XDG_CACHE_HOME": str(here)}
        environment.pop("PYTHONUNBUFFERED", None)  # the address comes at once without it, too
        self.process = subprocess.Popen(
            command, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert "http://127.0.0.1:" in line, line + self.process.stdout.read()
        self.address = line.split()[-1]
        self.token = self.address.partition("token=")[2]
        self.port = int(self.address.split(":")[2].partition("/")[0])
        self.host = f"127.0.0.1:{self.port}"
        self.cookie = ""

    def enter(self) -> "Opened":
        """Exchange the token for the cookie."""
        self.cookie = self.ask(f"/?token={self.token}").cookie
        return self

    def ask(self, path: str, form: dict[str, Any] | None = None, **headers: str) -> Answer:
        """One request; headers replace what a page of the window would send: host, origin, cookie."""
        given = {"host": self.host, "cookie": self.cookie}
        body = None
        if form is not None:
            given |= {"origin": f"http://{self.host}", "content-type": "application/x-www-form-urlencoded"}
            body = urlencode(form, doseq=True)
        given |= headers
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest("GET" if form is None else "POST", path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                if value:
                    connection.putheader(name, value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body.encode() if body is not None else None)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            text = answer.read().decode("utf-8", "replace")
            return Answer(answer.status, found, text, found.get("set-cookie", "").partition(";")[0])
        finally:
            connection.close()

    def close(self, how: int = signal.SIGINT) -> int:
        """End it; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout=20)
        if self.process.stdout:
            self.process.stdout.close()
        return code
