"""How many evaluations to make between two fits, from what each takes."""

from collections.abc import Sequence

SIZES = (8, 16, 32, 64, 128)
WASTE = 0.5  # the evaluations a run needs grow with the batch to this power: later ones of a batch are chosen blindly


def choose_batch(think_s: float, start_s: float, each_s: float, sizes: Sequence[int] = SIZES) -> int:
    """The batch with which a run takes the least wall clock.

    A run of batches of B needs about B**WASTE evaluations, so B**(WASTE - 1) batches, and each of them takes thinking,
    what a batch of any size takes to start, and B evaluations.

    Args:
        think_s: fitting and planning of one batch.
        start_s: simulating a batch of any size, however small.
        each_s: each evaluation more, on all workers together.
        sizes: to choose from; the smallest of equals wins.

    Raises:
        ValueError: a time below zero, or nothing to choose from.
    """
    if min(think_s, start_s, each_s) < 0 or not sizes:
        raise ValueError("expected times of at least 0 s, and sizes")
    return min(sorted(sizes), key=lambda size: size ** (WASTE - 1) * (think_s + start_s + size * each_s))


def line_of(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    """`start_s` and `each_s` of `choose_batch` from batches that were timed: the least-squares line, neither below 0.

    Args:
        sizes: of the batches, at least one.
        seconds: that each took.
    """
    count = len(sizes)
    mean_size, mean_s = sum(sizes) / count, sum(seconds) / count
    square = sum((size - mean_size) ** 2 for size in sizes)
    each = (
        sum((size - mean_size) * (s - mean_s) for size, s in zip(sizes, seconds, strict=True)) / square if square else 0
    )
    if each <= 0:  # all of one size, or noise
        return 0.0, mean_s / mean_size
    start = max(0.0, mean_s - each * mean_size)
    return start, each if start else mean_s / mean_size
