"""What the commands share: options, errors as one line, tables, progress, the summary of a run."""

from gbar.scripts.terminal.shared import (
    BatchOption,
    DaskOption,
    EngineOption,
    JsonFlag,
    Measurements,
    ProblemArgument,
    RunArgument,
    WorkersOption,
    archiving,
    engaged,
    guarded,
    print_json,
    print_table,
    progress_bar,
    say_how_read,
    waiting,
)
from gbar.scripts.terminal.summary import best_so_far, default_folder, print_cells, print_summary

__all__ = [
    "BatchOption",
    "DaskOption",
    "EngineOption",
    "JsonFlag",
    "Measurements",
    "ProblemArgument",
    "RunArgument",
    "WorkersOption",
    "archiving",
    "best_so_far",
    "default_folder",
    "engaged",
    "guarded",
    "print_cells",
    "print_json",
    "print_summary",
    "print_table",
    "progress_bar",
    "say_how_read",
    "waiting",
]
