"""A Dask cluster on this machine whose workers share nothing with the tests but the scheduler's address."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

START_LIMIT_S = 60.0


class Loopback:
    """A scheduler and its workers, each a process of its own, with a cache that is not the tests'."""

    def __init__(self, folder: Path, workers: int, cache: Path | None = None):
        self.folder, self.processes = folder, list[subprocess.Popen[bytes]]()
        self.cache = cache or folder / "cache"  # of the workers, who build mechanisms there
        self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", "where.json"
        )
        self.address = self._said("scheduler", "Scheduler at:")
        self.workers = [self.add_worker(f"worker{n}") for n in range(workers)]

    def add_worker(self, name: str) -> subprocess.Popen[bytes]:
        """One more worker, of one thread."""
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "60", "--name", name)
        process = self._start("worker", self.address, *options, name=name)
        self._said(name, "Registered to:")
        return process

    def _start(self, what: str, *options: str, name: str = "") -> subprocess.Popen[bytes]:
        name = name or what
        own = self.folder / name
        own.mkdir(parents=True)
        environment = {**os.environ, "GBAR_CACHE": str(self.cache), "DASK_TEMPORARY_DIRECTORY": str(own)}
        with (own / "log").open("wb") as log:
            command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *options]
            process = subprocess.Popen(command, cwd=own, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def _said(self, name: str, words: str) -> str:
        """What follows some words in a process' log, waited for."""
        start = time.monotonic()
        while time.monotonic() - start < START_LIMIT_S:
            for line in (self.folder / name / "log").read_text().splitlines():
                if words in line:
                    return line.partition(words)[2].strip()
            time.sleep(0.1)
        raise AssertionError((self.folder / name / "log").read_text()[-2000:])

    def close(self) -> None:
        """End all of them."""
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)
            process.wait()
