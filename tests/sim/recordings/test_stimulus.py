"""The step in a current channel: every piece of the current counts, and what is no step is none."""

import numpy as np
import pytest

from gbar.sim import GbarError
from gbar.sim.recordings.stimulus import Square, squares
from gbar.sim.recordings.sweep import Sweep

INTERVAL = 0.05
TIMES = np.arange(0, 1000, INTERVAL)  # ms


def square(start: float, end: float, amplitude: float) -> np.ndarray:
    return np.where((start - 1e-9 <= TIMES) & (end - 1e-9 > TIMES), amplitude, 0.0)


def rings(start: float, amplitude: float, tau: float, khz: float) -> np.ndarray:
    after = np.clip(TIMES - start, 0, None)
    return np.where(start <= TIMES, amplitude * np.exp(-after / tau) * np.cos(2 * np.pi * khz * after), 0.0)


def found(current: np.ndarray, noise: float) -> tuple[Square, Square | None]:
    current = current + noise * np.random.default_rng(0).normal(size=len(TIMES))
    return squares(Sweep("cell", "sweep", INTERVAL, 0 * TIMES - 70, current))


STEP = square(200, 700, 0.1)
PULSE = square(200, 202, 2.0)
SQUARE = {  # current, start, end, amplitude
    "a step": (STEP, 200, 700, 0.1),
    "transients at its edges": (STEP + rings(200, 5, 0.1, 0) - rings(700, 5, 0.1, 0), 200, 700, 0.1),
    "a step whose monitor rings": (STEP + rings(200, 0.05, 3, 0.3) - rings(700, 0.05, 3, 0.3), 200, 700, 0.1),
    "a pulse": (PULSE, 200, 202, 2.0),
    "a pulse whose monitor rings": (PULSE + rings(202, -0.6, 5, 0.2), 200, 202, 2.0),
    "one that rings long": (PULSE + rings(202, -0.6, 10, 0.1), 200, 202, 2.0),
    "one that rings fast": (PULSE + rings(202, -1.0, 2, 1.0), 200, 202, 2.0),
}


@pytest.mark.parametrize("noise", [0.0, 0.003])
@pytest.mark.parametrize("case", SQUARE)
def test_a_square_is_found(case: str, noise: float) -> None:
    current, start, end, amplitude = SQUARE[case]
    step, test = found(current, noise)
    assert (step.start, step.end) == pytest.approx((start, end), abs=0.3)
    assert step.amplitude == pytest.approx(amplitude, rel=0.02)
    assert test is None


TESTED = {
    "a test pulse": (square(50, 100, -0.05) + STEP, -0.05, 0.1),
    "stronger than the step": (square(50, 100, -0.1) + square(200, 700, 0.02), -0.1, 0.02),
    "much weaker than the step": (square(50, 100, -0.05) + square(200, 700, 1.0), -0.05, 1.0),
    "brief": (square(100, 102, 0.2) + STEP, 0.2, 0.1),
}


@pytest.mark.parametrize("noise", [0.0, 0.003])
@pytest.mark.parametrize("case", TESTED)
def test_a_test_pulse_is_told_from_the_step(case: str, noise: float) -> None:
    current, pulse, amplitude = TESTED[case]
    step, test = found(current, noise)
    assert test is not None
    assert (step.start, step.end, step.amplitude) == pytest.approx((200, 700, amplitude), rel=0.02)
    assert test.amplitude == pytest.approx(pulse, rel=0.03)


MORE = {
    "a pulse after the step": (square(200, 700, 0.05) + square(900, 902, 2.0), "leaves its holding level 2 times"),
    "a pulse soon after the step": (square(200, 700, 0.05) + square(702, 704, 2.0), "2000 pA from 702 to 704 ms"),
    "a pulse at the end of the step": (square(200, 700, 0.05) + square(700, 702, 2.0), "more than its step"),
    "a pulse in the step": (square(200, 700, 0.05) + square(400, 402, 2.0), "+2000 pA from 400 to 402 ms"),
    "a weak step after it": (STEP + square(800, 850, -0.01), "-10 pA from 800 to 850 ms"),
    "a far weaker step after it": (square(200, 700, 1.0) + square(800, 850, -0.04), "-40 pA from 800 to 850 ms"),
    "a gap": (square(200, 400, 0.1) + square(410, 700, 0.1), "leaves its holding level 2 times"),
    "two pulses": (PULSE + square(250, 252, 2.0), "leaves its holding level 2 times"),
    "a train": (sum((square(at, at + 2, 2.0) for at in range(200, 400, 20)), 0 * TIMES), "10 times"),
    "a pulse close before": (square(193, 195, 0.2) + STEP, "ends 5 ms before the step: expected 10 ms or more"),
    "a lower level after it": (STEP + square(700, 900, 0.008), "not square"),
    "a pulse that creeps back": (PULSE + rings(202, 0.2, 10, 0), "not square"),
    "a sine": (np.where(TIMES > 200, 0.1 * np.sin(0.02 * np.pi * TIMES), 0.0), "not square"),
}


@pytest.mark.parametrize("case", MORE)
def test_what_is_not_one_step_is_refused(case: str) -> None:
    current, why = MORE[case]
    with pytest.raises(GbarError, match=why.replace("+", r"\+")):
        found(current, 0.0)
    with pytest.raises(GbarError):
        found(current, 0.003)


@pytest.mark.parametrize("khz", [0, 0.02, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("tau", [1, 5, 20, 50])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.4])
def test_a_pulse_that_rings_is_never_taken_for_a_step(khz: float, tau: float, share: float) -> None:
    for noise in (0.0, 0.005):
        try:
            step, _ = found(PULSE + rings(202, -2 * share, tau, khz), noise)
        except GbarError:
            continue
        assert (step.duration, step.amplitude) == (pytest.approx(2, abs=0.3), pytest.approx(2, rel=0.05))
