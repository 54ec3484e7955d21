"""Work that takes longer than a click: done in a thread, which waits for a process of its own; asked about by pages."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from gbar.sim import GbarError

AT_ONCE = 2
KEPT = 64  # answers


@dataclass
class Job:
    """One piece of work."""

    words: str  # what is being done, for who waits
    since: float = field(default_factory=time.monotonic)
    done: bool = False
    answer: Any = None
    error: str = ""

    def wait(self, seconds: float) -> None:
        """For an answer that is nearly there."""
        until = time.monotonic() + seconds
        while not self.done and time.monotonic() < until:
            time.sleep(0.02)

    @property
    def seconds(self) -> float:
        """Since it was asked for."""
        return time.monotonic() - self.since


class Jobs:
    """Pieces of work by what they are about: the same one is not begun twice, and two tabs see the same answer."""

    def __init__(self) -> None:
        self._room = threading.Semaphore(AT_ONCE)
        self._jobs: dict[Hashable, Job] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Job | None:
        """The work about something, where it was begun."""
        return self._jobs.get(key)

    def begin(self, key: Hashable, words: str, work: Callable[[], Any], *, again: bool = False) -> Job:
        """Begin work unless it is under way or, without `again`, done."""
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and (not job.done or not again):
                return job
            job = self._jobs[key] = Job(words)
            for old in [k for k, other in self._jobs.items() if other.done][: max(0, len(self._jobs) - KEPT)]:
                del self._jobs[old]
        threading.Thread(target=self._do, args=(job, work), daemon=True).start()  # it ends with the server
        return job

    def _do(self, job: Job, work: Callable[[], Any]) -> None:
        with self._room:
            _do(job, work)


def _do(job: Job, work: Callable[[], Any]) -> None:
    try:
        job.answer = work()
    except GbarError as error:
        job.error = str(error)
    except Exception as error:  # a page says it, and the server goes on
        job.error = f"{type(error).__name__}: {error}"
    job.done = True
