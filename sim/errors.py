"""The one exception family that reaches a user, as one line."""

import difflib
from collections.abc import Iterable

LONGEST_MESSAGE = 1500  # characters of a message, a long path in it included


class GbarError(Exception):
    """Something the user gave cannot be used. The message says what was given, what was expected and the usual fix.

    Always one line that a terminal can show, even where what was given (a quoted field with a line break, say) is not.
    """

    def __init__(self, message: str):
        super().__init__(_shortened(printable(" ".join(message.splitlines()))))


class MachineError(GbarError):
    """What was given may be right: a process was killed, or could not be started, because memory or processes are
    short. It may go well another time."""


def _shortened(message: str) -> str:
    """A message that somebody reads to its end, where the usual fix is."""
    return message if len(message) <= LONGEST_MESSAGE else f"{message[: LONGEST_MESSAGE - 300]} … {message[-300:]}"


def printable(text: str) -> str:
    """Text without what would steer a terminal: control characters and the like are spelled out, line breaks stay.

    Between a number and its unit the page has a no-break space, which is a plain one here.
    """
    text = text.replace("\N{NO-BREAK SPACE}", " ")
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``" (nearest: 'x')"`` for the known word most like `word`, or the known words when none is like it."""
    known = sorted(set(known))
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.5)
    if close:
        return f" (nearest: '{lowered[close[0]]}')"
    if not known:
        return ""
    shown = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    return f" (known: {shown})"
