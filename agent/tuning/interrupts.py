"""Ctrl-C in the loop: noticed whatever it turns into, and put off while a result is written."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def was_stopped(error: BaseException) -> bool:
    """Whether Ctrl-C is behind an exception: compiled code makes others of a KeyboardInterrupt.

    The handler of the `gbar` command knows (gbar.scripts.interrupts); elsewhere only Python's own exception tells.
    """
    heard = getattr(signal.getsignal(signal.SIGINT), "heard", None)
    return bool(heard and heard()) or isinstance(error, KeyboardInterrupt)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C waits until the block has ended; then it is what it always is."""
    if threading.current_thread() is not threading.main_thread():  # the others never see it
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):
        before(signal.SIGINT, None)
