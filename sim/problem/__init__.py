"""What the user wrote, frozen and validated: model, parameters, protocols, measurements, how it is integrated."""

from gbar.sim.problem.formats.bluepyopt import content, is_folder
from gbar.sim.problem.formats.toml import written
from gbar.sim.problem.formula import Formula
from gbar.sim.problem.integrator import CONFIRM_DT, LANES, Accuracy
from gbar.sim.problem.kinds import KINDS, MAIN, Clamp, FiCurve, Rheobase, Step, Stimulus, Waveform
from gbar.sim.problem.loading import load_problem, read_measurements
from gbar.sim.problem.parameter import Parameter
from gbar.sim.problem.problem import NO_MODEL, RESULTS, TABLES, Measurement, Model, Problem, files_in, model_files
from gbar.sim.problem.stimuli import named, searched, stimulated
from gbar.sim.problem.tables import COLUMNS, add_rows, beside
from gbar.sim.problem.typed import interview
from gbar.sim.problem.typical import SD_SHARE, typical_sd

__all__ = [
    "Accuracy",
    "COLUMNS",
    "CONFIRM_DT",
    "Clamp",
    "FiCurve",
    "Formula",
    "KINDS",
    "LANES",
    "MAIN",
    "Measurement",
    "Model",
    "NO_MODEL",
    "Parameter",
    "Problem",
    "RESULTS",
    "Rheobase",
    "SD_SHARE",
    "Step",
    "Stimulus",
    "TABLES",
    "Waveform",
    "add_rows",
    "beside",
    "content",
    "files_in",
    "interview",
    "is_folder",
    "load_problem",
    "model_files",
    "named",
    "read_measurements",
    "searched",
    "stimulated",
    "typical_sd",
    "written",
]
