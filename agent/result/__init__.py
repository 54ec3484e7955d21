"""What a run ends with: result.json and the files beside it in the run folder.

RUN/result.json       this model, as JSON
RUN/solutions.csv     one row a solution: parameters, then z of every measurement
RUN/predictions.csv   every simulated feature beside what the surrogate said before it was simulated
RUN/traces.npz        voltages of the solutions (or the nearest): "01/PROTOCOL/t" ms, "01/PROTOCOL/v" mV
RUN/progress.json     how the run stands; RUN/live.npz its best voltages; RUN/steer.json what is asked of it
RUN/archive.sqlite    every evaluation
RUN/report.html       the page
RUN/solutions/NN/     the solution as run.py, and as solution.hoc where the model is hoc
"""

from gbar.agent.result.hold import Condition, Group, HeldOut, Hold, Rate, read_hold, write_hold
from gbar.agent.result.live import (
    LIVE,
    PROGRESS,
    STEER,
    Live,
    LiveFeature,
    Steer,
    is_running,
    read_live,
    read_live_traces,
    read_steer,
    steer,
    write_live,
)
from gbar.agent.result.parts import (
    FREE,
    Accuracy,
    Achieved,
    BatchTiming,
    Candidate,
    Compensation,
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
from gbar.agent.result.traces import Recorded, Traces, read_traces, write_numbered, write_traces

__all__ = [
    "Accuracy", "Achieved", "BatchTiming", "Candidate", "Compensation", "Condition", "Conflict", "Diagnosis", "FREE",
    "FarFromPrior", "FirstBatch", "Group", "HeldOut", "Hold", "LIVE", "Live", "LiveFeature", "Measured", "Misbehaviour",
    "Overturned", "PROGRESS", "Pressing", "Progress", "Range", "Rate", "Recalled", "Recorded", "Result", "STEER",
    "Steer", "Traces", "Uninformative", "Unreachable", "Wall", "is_running", "read_hold", "read_live",
    "read_live_traces", "read_result", "read_steer", "read_traces", "schema", "steer", "write_hold", "write_live",
    "write_numbered", "write_result", "write_traces",
]  # fmt: skip
