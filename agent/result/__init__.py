"""What a run ends with: result.json and the files beside it in the run folder.

RUN/result.json       this model, as JSON
RUN/solutions.csv     one row a solution: parameters, then z of every measurement
RUN/predictions.csv   every simulated feature beside what the surrogate said before it was simulated
RUN/traces.npz        voltages of the solutions (or the nearest): "01/PROTOCOL/t" ms, "01/PROTOCOL/v" mV
RUN/archive.sqlite    every evaluation
RUN/report.html       the page
RUN/solutions/NN/     the solution as run.py, and as solution.hoc where the model is hoc
"""

from gbar.agent.result.parts import (
    FREE,
    Accuracy,
    Achieved,
    BatchTiming,
    Candidate,
    Conflict,
    Diagnosis,
    FarFromPrior,
    FirstBatch,
    Measured,
    Misbehaviour,
    Overturned,
    Pressing,
    Progress,
    Range,
    Recalled,
    Uninformative,
    Unreachable,
    Wall,
)
from gbar.agent.result.result import Result, read_result, schema, write_result
from gbar.agent.result.traces import Traces, read_traces, write_traces

__all__ = [
    "FREE", "Accuracy", "Achieved", "BatchTiming", "Candidate", "Conflict", "Diagnosis", "FarFromPrior", "FirstBatch",
    "Measured", "Misbehaviour", "Overturned", "Pressing", "Progress", "Range", "Recalled", "Uninformative",
    "Unreachable", "Wall", "Result", "read_result", "schema", "write_result", "Traces", "read_traces", "write_traces",
]  # fmt: skip
