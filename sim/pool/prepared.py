"""What an engine needs of a problem, built: without the MOD files that only CoreNEURON refuses and no section uses."""

import json
from pathlib import Path

from gbar.sim import mechanisms
from gbar.sim.errors import GbarError, MachineError
from gbar.sim.files import cache_folder, write_whole
from gbar.sim.pool import elsewhere
from gbar.sim.pool.isolated import START_LIMIT_S, ask
from gbar.sim.problem import Integrator, Problem


def prepared(problem: Problem, integrator: Integrator) -> mechanisms.Setup:
    """Build what an engine needs, or find it built.

    Which mechanisms a model has is asked of NEURON once, where CoreNEURON does not take all of its MOD files.

    Raises:
        GbarError: as `mechanisms.prepare`; of MOD files that the model uses where others are left out.
    """
    folders, free = problem.mechanism_folders, problem.globals
    if integrator.engine != "coreneuron" or not folders:
        return mechanisms.prepare(folders, integrator, free)
    memory = cache_folder() / "used" / f"{problem.identity()}.json"
    used = _remembered(memory)
    if used is not None:
        return mechanisms.prepare(folders, integrator, free, used)
    try:
        return mechanisms.prepare(folders, integrator, free)
    except MachineError:
        raise
    except GbarError:
        used = ask(elsewhere.mechanisms_of, elsewhere.packed(problem), START_LIMIT_S)
        if not mechanisms.unused(folders, used):
            raise
    setup = mechanisms.prepare(folders, integrator, free, used)
    memory.parent.mkdir(parents=True, exist_ok=True)
    write_whole(memory, json.dumps(used))
    return setup


def _remembered(file: Path) -> list[str] | None:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, list) and all(isinstance(name, str) for name in found) else None
