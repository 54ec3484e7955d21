"""The batch size that measured times ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.pace import SIZES, choose_batch, line_of

seconds = st.floats(0, 100)


@pytest.mark.parametrize(
    ("think_s", "start_s", "each_s", "batch"),
    [
        (1.0, 0.0, 10.0, 8),  # simulating is dear: think after every few
        (10.0, 0.0, 0.01, 128),  # simulating is free: think rarely
        (0.0, 0.0, 1.0, 8),
        (1.0, 5.0, 0.2, 32),
    ],
)
def test_by_hand(think_s: float, start_s: float, each_s: float, batch: int) -> None:
    assert choose_batch(think_s, start_s, each_s) == batch


@given(think_s=seconds, start_s=seconds, each_s=st.floats(0.001, 100), more=st.floats(0, 100))
def test_slower_thinking_never_makes_batches_smaller(
    think_s: float, start_s: float, each_s: float, more: float
) -> None:
    assert choose_batch(think_s, start_s, each_s) <= choose_batch(think_s + more, start_s, each_s)
    assert choose_batch(think_s, start_s, each_s) in SIZES


@given(start=st.floats(0, 10), each=st.floats(0.01, 10))
def test_a_line_is_found_again(start: float, each: float) -> None:
    assert line_of([8, 16, 64], [start + each * n for n in (8, 16, 64)]) == pytest.approx((start, each), abs=1e-6)


def test_one_size_says_nothing_of_the_start() -> None:
    assert line_of([16, 16], [3.0, 5.0]) == (0.0, 0.25)


def test_bad_times() -> None:
    with pytest.raises(ValueError, match="0 s"):
        choose_batch(-1.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="sizes"):
        choose_batch(1.0, 0.0, 1.0, [])
