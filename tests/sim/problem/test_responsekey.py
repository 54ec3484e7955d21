"""What a recording and a feature of it are called, and which protocols are stimuli."""

import pytest

from gbar.sim import load_problem
from gbar.sim.problem import MAIN, CurrentStimulus, ResponseKey
from tests.problems import MOTONEURON

KEYS = {
    "fire": ResponseKey("fire"),
    "fire:dend": ResponseKey("fire", "dend"),
    "fire.AP_height": ResponseKey("fire", MAIN, "AP_height"),
    "step 2:dend.AP_height": ResponseKey("step 2", "dend", "AP_height"),
}


@pytest.mark.parametrize("text", KEYS)
def test_a_key_is_what_its_text_says(text: str) -> None:
    key = ResponseKey.parse(text)
    assert (key, str(key)) == (KEYS[text], text)
    assert ResponseKey.parse(key.of("ISI_CV")) == key._replace(feature="ISI_CV")
    assert key.response == text.partition(".")[0]


def test_curves_are_no_stimuli() -> None:
    """Together they are all protocols; what is asked of a curve by its response has an answer all the same."""
    problem = load_problem(MOTONEURON)
    assert list(problem.curves) == ["fi"] and {**problem.stimuli, **problem.curves} == problem.protocol
    assert list(problem.rheobases) == ["threshold"] and problem.rheobases.items() <= problem.stimuli.items()
    steps = [problem.stimuli[name] for name in problem.curves["fi"].steps]
    assert all(isinstance(step, CurrentStimulus) and step.sign > 0 for step in steps)
    assert (problem.variable("fi"), problem.unit_of("fi.f_I_gain")) == ("v", "Hz/nA")
    assert problem.efel_settings("fi") == problem.efel_settings("threshold")
