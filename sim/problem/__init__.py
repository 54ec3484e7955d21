"""What the user wrote, frozen and validated: model, parameters, protocols, measurements, how it is integrated."""

from gbar.sim.problem.editing import EditableTable, ReadRow, TypedRow, editable, pasted, read_rows, rewritten
from gbar.sim.problem.formats.bluepyopt import content, is_folder
from gbar.sim.problem.formats.toml import written
from gbar.sim.problem.formula import Formula
from gbar.sim.problem.integrator import CONFIRM_DT, LANES, Integrator
from gbar.sim.problem.kinds import KINDS, MAIN, Clamp, CurrentStimulus, FiCurve, Rheobase, Step, Stimulus, Waveform
from gbar.sim.problem.loading import load_problem, read_measurements
from gbar.sim.problem.modelfiles import (
    MODEL_SOURCES,
    NO_MODEL,
    RESULTS,
    TABLES,
    file_digest,
    file_stamp,
    files_in,
    model_files,
)
from gbar.sim.problem.parameter import FACTOR, PURE, Parameter, Prior
from gbar.sim.problem.plausible import doubtful_sign, doubts, of_measurements
from gbar.sim.problem.problem import Measurement, Model, Problem, demanded, within
from gbar.sim.problem.quantity import Numerals
from gbar.sim.problem.responsekey import ResponseKey
from gbar.sim.problem.sheet import Cell, Sheet, decoded, folded, read_sheet
from gbar.sim.problem.synonyms import feature_of
from gbar.sim.problem.tables import COLUMNS, DEMANDS, SUFFIXES, add_rows, numerals_of, rows_of, written_table
from gbar.sim.problem.typed import interview
from gbar.sim.problem.typical import SD_FLOORS, SD_SHARE, sd_floor, typical_sd
from gbar.sim.problem.units import unit, unit_in

__all__ = [
    "Integrator",
    "COLUMNS",
    "CONFIRM_DT",
    "Cell",
    "EditableTable",
    "ReadRow",
    "TypedRow",
    "doubts",
    "editable",
    "pasted",
    "read_rows",
    "rewritten",
    "Clamp",
    "DEMANDS",
    "CurrentStimulus",
    "FACTOR",
    "FiCurve",
    "Formula",
    "KINDS",
    "LANES",
    "MAIN",
    "MODEL_SOURCES",
    "Measurement",
    "Model",
    "NO_MODEL",
    "Numerals",
    "PURE",
    "Parameter",
    "Prior",
    "Problem",
    "RESULTS",
    "ResponseKey",
    "Rheobase",
    "SD_FLOORS",
    "SD_SHARE",
    "SUFFIXES",
    "Sheet",
    "Step",
    "Stimulus",
    "TABLES",
    "Waveform",
    "add_rows",
    "content",
    "decoded",
    "demanded",
    "doubtful_sign",
    "feature_of",
    "file_digest",
    "file_stamp",
    "files_in",
    "folded",
    "interview",
    "is_folder",
    "load_problem",
    "model_files",
    "numerals_of",
    "of_measurements",
    "read_measurements",
    "read_sheet",
    "rows_of",
    "sd_floor",
    "typical_sd",
    "unit",
    "unit_in",
    "within",
    "written",
    "written_table",
]
