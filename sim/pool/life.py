"""A process that ends with the one that started it, however that ends."""

import fcntl
import os
import select
import signal
import sys


def die_with_parent(life: int) -> None:
    """On Linux a simulation that hangs ends when the parent is killed outright; elsewhere at its next result.

    Nothing is ever sent through `life`: the kernel's SIGIO, which ends a process, says that its other end is gone.
    Linux' own signal for a parent's death will not do: it comes when the thread ends that started the worker.
    """
    if sys.platform == "linux":
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
        fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([life], [], [], 0)[0]:  # it was gone before anybody could be told
        os._exit(1)
