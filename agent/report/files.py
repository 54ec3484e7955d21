"""The files of a run that the page links to."""

from gbar.agent.report.contents import Contents

FILES = {
    "solutions.csv": "one row a solution, for a spreadsheet",
    "result.json": "everything, to verify, report, export and repeat the run",
    "predictions.csv": "every measured feature as predicted, and as simulated, less the engine's error",
    "traces.npz": "voltages, for NumPy",
    "archive.sqlite": "every simulation",
    "neuron.log": "what NEURON and the model printed",
}


def files(contents: Contents) -> list[tuple[str, str]]:
    """Those that are there: path from the page, and what is in it; those of the solution in front among them."""
    run, number = contents.run, contents.best + 1
    found = [(name, what) for name, what in FILES.items() if (run / name).is_file()]
    for name, what in (("run.py", "as a stand-alone Python script"), ("solution.hoc", "for NEURON's own window")):
        file = f"solutions/{number:02d}/{name}"
        if contents.result.solutions and (run / file).is_file():
            found.insert(1, (file, f"solution {number} {what}"))
    return found
