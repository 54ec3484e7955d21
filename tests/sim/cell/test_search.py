"""The search for a rheobase: what it finds, and what it asks for on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbar.sim.cell.search import RheobaseSearch


def searched(true: float, low: float = 0.0, high: float = 40.0, precision: float = 0.05) -> tuple[float | None, int]:
    """What is found for a cell that fires from `true` nA on, and in how many trials."""
    search, trials = RheobaseSearch(low, high, precision), 0
    while search.current is not None:
        search.fired(search.current >= true)
        trials += 1
    return search.found, trials


@given(st.floats(0.001, 40.0))
def test_the_smallest_current_that_fires_to_the_precision(true: float) -> None:
    found, trials = searched(true)
    assert found is not None and true <= found <= true + 0.05
    assert trials == 12  # both ends, then 40 / 0.05 by halves


@pytest.mark.parametrize(("true", "trials"), [(-1.0, 1), (0.0, 1), (40.1, 2)])
def test_no_bound_stands_in_for_a_rheobase(true: float, trials: int) -> None:
    assert searched(true) == (None, trials)


def test_a_bracket_as_narrow_as_the_precision_needs_no_more() -> None:
    assert searched(0.5, 0.0, 1.0, 1.0) == (1.0, 2)


def test_many_at_once_find_what_each_finds_alone() -> None:
    """Searches do not know of one another: in step or one after the other, the currents are the same bits."""
    true = [3.1, 17.0, 50.0, 0.2, -1.0]
    searches = [RheobaseSearch(0.0, 40.0, 0.05) for _ in true]
    while any(search.current is not None for search in searches):
        for search, current in zip(searches, true, strict=True):
            if search.current is not None:
                search.fired(search.current >= current)
    assert [search.found for search in searches] == [searched(current)[0] for current in true]
