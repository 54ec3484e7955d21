"""The search for a rheobase, a step at a time: one cell or many at once ask for currents and tell what fired.

Plain Python, because an exported script carries its source.
"""


class RheobaseSearch:
    """The smallest current (nA) that makes a cell fire, to `precision`, by bisection between two bounds.

    `current` is the current to try next and None once the search is over; `fired` takes the answer. `found` is the
    result: the upper end of the last bracket, or None. None rather than a bound: a cell that never fires, or fires at
    the lowest current, has no rheobase in the bounds.
    """

    def __init__(self, low: float, high: float, precision: float):
        self.low, self.high, self.precision = low, high, precision
        self.current: float | None = low
        self.found: float | None = None
        self.top, self.tried = high, 0

    def fired(self, answer: bool) -> None:
        """Take whether the cell fired at `current`, and choose the next."""
        self.tried += 1
        if self.tried == 1:
            self.current = None if answer else self.high
        elif self.tried == 2:
            self._narrow() if answer else self._stop(None)
        else:
            assert self.current is not None
            self.low, self.high = (self.low, self.current) if answer else (self.current, self.high)
            self._narrow()

    def above(self, found: float) -> float | None:
        """The next current above one that was found: as far from it as a silent one may be below; None outside."""
        current = found + (self.high - self.low)
        return None if current > self.top else current

    def _narrow(self) -> None:
        if self.high - self.low > self.precision:
            self.current = (self.low + self.high) / 2
        else:
            self._stop(self.high)

    def _stop(self, found: float | None) -> None:
        self.current, self.found = None, found
