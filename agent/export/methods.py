"""methods.txt: how the parameter sets were found, as a paper says it, with every version."""

from pathlib import Path

from gbar.agent.result import Result
from gbar.sim import GbarError, Integrator, Problem, load_problem

FIRST = "gbar", "neuron", "efel"  # are named in the text


def methods(result: Result) -> str:
    """A paragraph for a methods section. What only the problem's folder says is left out where that is gone."""
    measured, sets = len(result.measurements), len(result.solutions)
    protocols = len({m.protocol for m in result.measurements})
    log = sum(p.scale == "log" for p in result.parameters)
    free = len(result.parameters)
    version = result.versions.get
    scale = " on a logarithmic scale" if log == free else f", {log} of them on a logarithmic scale" if log else ""
    found = (
        f"{_count(sets, 'parameter set')} {'was' if sets == 1 else 'were'} accepted"
        if sets
        else f"no parameter set was accepted; the nearest is reported, with a largest |z| of {_nearest(result)}"
    )
    return " ".join(
        [
            f"{_model(result)} was fitted to {_count(measured, 'measurement')} (mean ± SD; "
            f"{Path(result.measurements_file).name}) under {_count(protocols, 'stimulus protocol')} with gbar "
            f"{version('gbar', '?')}.",
            f"{_count(free, 'parameter')} {'was' if free == 1 else 'were'} varied within bounds{scale}.",
            "gbar alternates between simulating candidates and training a surrogate on all simulations so far (an "
            "ensemble of neural networks, and Gaussian processes on the nearest), on which the next candidates are "
            "planned.",
            f"Candidates were simulated in NEURON {version('neuron', '?')} ({_engine(result.engine)}) and confirmed at "
            f"higher accuracy ({_engine(result.confirmed_by)}). Features were computed with eFEL "
            f"{version('efel', '?')}.",
            f"A parameter set was accepted if every feature was defined and lay within {result.tolerance:g} SD of its "
            "measured mean; two sets counted as different if at least one parameter differed by 5 % of its range.",
            f"After {_count(result.evaluations, 'evaluation')} (all protocols simulated once; at most "
            f"{result.budget:,}; random seed {result.seed}) {found}.",
            f"Versions: {', '.join(f'{name} {text}' for name, text in result.versions.items() if name not in FIRST)}.",
        ]
    )


def _nearest(result: Result) -> str:
    worst = result.nearest.max_abs_z if result.nearest else None
    return "unknown" if worst is None else f"{worst:.2f}"


def _model(result: Result) -> str:
    problem = _problem(result)
    if problem is None:
        return f"The model {result.problem}"
    return f"The model {result.problem} ({problem.model.load}; {problem.model.celsius:g} °C)"


def _problem(result: Result) -> Problem | None:
    try:
        return load_problem(result.problem_folder, measured=False)
    except (GbarError, OSError):
        return None


def _engine(text: str) -> str:
    """An integrator as a paper names it."""
    try:
        found = Integrator.parse(text)
    except GbarError:
        return text
    if found.engine == "cvode":
        return f"CVODE, absolute tolerance {found.atol:g}"
    name = {"coreneuron": "CoreNEURON, fixed", "neuron": "many copies at once, fixed", "fixed": "fixed"}[found.engine]
    return f"{name} time step of {found.dt:g} ms"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
