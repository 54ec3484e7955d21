"""The one exception family that reaches a user, as one line."""

import difflib
from collections.abc import Iterable


class GbarError(Exception):
    """Something the user gave cannot be used. The message says what was given, what was expected and the usual fix.

    Always one line, even where what was given (a quoted field with a line break, say) has more.
    """

    def __init__(self, message: str):
        super().__init__(" ".join(message.splitlines()))


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
