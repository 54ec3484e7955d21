"""What Ctrl-C does to the `gbar` command. Nothing else is imported here: it has to be in place before all the rest."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

AGAIN_S = 3.0  # until a KeyboardInterrupt that came to nothing is raised again
STOPPED = 130  # exit code


class Interrupts:
    """The signal's handler: where nothing is at stake the process ends at once, else KeyboardInterrupt is raised.

    Libraries lose that exception: in a destructor, in a callback of compiled code, in `except:`. It is raised again
    until somebody has `heard` it. A second Ctrl-C does nothing: it would only interrupt the end.
    """

    def __init__(self) -> None:
        self.catching = False  # whether there is somebody to hear it
        self.pending = False
        self.came = False

    def install(self) -> None:
        """Replace Python's own handler. Where Ctrl-C is switched off, as for what nohup starts, it stays so."""
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return
        signal.signal(signal.SIGINT, self)
        signal.signal(signal.SIGALRM, self)
        usual = sys.unraisablehook

        def lost(what: Any) -> None:
            if what.exc_type is KeyboardInterrupt:
                signal.setitimer(signal.ITIMER_REAL, 0.01)
            else:
                usual(what)

        sys.unraisablehook = lost

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if self.came:
                return
            self.came = self.pending = True
        if not self.catching:
            _quit()
        if self.pending:  # not where a late alarm comes after it was heard
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
            raise KeyboardInterrupt

    def heard(self) -> bool:
        """Whether Ctrl-C was pressed and nobody has acted upon it; now somebody does."""
        pending, self.pending = self.pending, False
        signal.setitimer(signal.ITIMER_REAL, 0)
        return pending

    @contextmanager
    def last(self) -> Iterator[None]:
        """What a process does last: after it Ctrl-C no longer changes how the process ends.

        Python's own end makes SIGINT deadly again, and takes apart what Ctrl-C broke off: JAX has crashed there.
        """
        try:
            yield
        except SystemExit as ended:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if self.came and isinstance(ended.code, int):
                _leave(ended.code)
            raise


def as_process(command: Callable[[], Any]) -> None:
    """Run what a whole process is for: from here on Ctrl-C ends it without a traceback."""
    interrupts = Interrupts()
    interrupts.install()
    with interrupts.last():
        command()


@contextmanager
def caught() -> Iterator[None]:
    """Within it Ctrl-C raises KeyboardInterrupt, and leaves it as nothing else whatever libraries make of it."""
    handler = signal.getsignal(signal.SIGINT)
    if not isinstance(handler, Interrupts):  # somebody else's process
        yield
        return
    try:
        handler.catching = True
        yield
    except BaseException as error:
        if handler.heard() and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        handler.catching = False
        handler.heard()
        exec(
            ""
        )  # one that passed through an exec of text would end Python by a signal, caught or not; this takes it back


def _quit() -> None:
    with suppress(OSError):
        os.write(2, b"gbar: stopped\n")
    _leave(STOPPED)


def _leave(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)
