"""What comes back from a worker: a model's own values, and features as rows."""

import dataclasses
import json

import numpy as np

from gbar.sim.engine import UNKNOWN, Evaluation, ModelInfo, ParameterInfo


def test_a_model_travels_as_json() -> None:
    here = {
        "g": ParameterInfo(value=0.12, varies=True, known=True, unit="S/cm2", places=7),
        "e": ParameterInfo(value=-70.0, varies=False, known=False, unit="mV", places=1),
    }
    model = ModelInfo({"soma": 1, "dend[0]": 3}, 4, ["IClamp[0]"], {"celsius": 36.0}, here, ["size.json"])
    again = ModelInfo.of(json.loads(json.dumps(dataclasses.asdict(model))))
    assert again == model
    assert again.own.tolist() == [0.12, -70.0] and again.units == {"g": "S/cm2", "e": "mV"}


def test_a_row_tells_what_is_not_defined_from_what_was_not_simulated() -> None:
    done = Evaluation(features={"fire.AP_height": 30.0, "fire.ISI_CV": float("nan")})
    row = done.row(["fire.ISI_CV", "fire.AP_height", "fire.rheobase"])
    assert row.shape == (3,) and np.isnan(row[0]) and row[1:].tolist() == [30.0, UNKNOWN]
    assert np.isnan(Evaluation(status="failed").row(["fire.rheobase"])).all()
    assert done.row([]).shape == (0,)
