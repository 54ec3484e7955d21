"""What a worker finds in a model: light enough for the parent, which never loads NEURON."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ParameterInfo:
    """What a free parameter is in the model as it is."""

    value: float  # in NEURON's units; of what nobody can read the middle of its bounds
    varies: bool  # between its places
    known: bool  # whether the value was read
    unit: str  # NEURON's
    places: int


@dataclass(frozen=True)
class ModelInfo:
    """A loaded model: its sections, what it said while it loaded, and where its parameters live."""

    sections: dict[str, int]  # name -> segments
    compartments: int
    stimuli: list[str]  # that the model brings along, switched off
    stated: dict[str, float]  # what the model sets while it loads, and problem.toml overrules
    parameters: dict[str, ParameterInfo]  # in the problem's order
    reads_outside: list[str] = field(default_factory=list)  # files beside its folder that it opened

    @classmethod
    def of(cls, content: dict[str, Any]) -> "ModelInfo":
        """What `dataclasses.asdict` made of one."""
        return cls(**{**content, "parameters": {k: ParameterInfo(**v) for k, v in content["parameters"].items()}})

    @property
    def own(self) -> np.ndarray:  # [D]
        """The model's own parameter vector, in NEURON's units."""
        return np.array([parameter.value for parameter in self.parameters.values()])

    @property
    def units(self) -> dict[str, str]:
        """Parameter -> NEURON's unit."""
        return {name: parameter.unit for name, parameter in self.parameters.items()}
