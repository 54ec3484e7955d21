"""What a loaded model holds and how it responds: asked of NEURON in a process of its own."""

import time
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from gbar.sim.pool import elsewhere
from gbar.sim.problem import Model

DEFAULT_CELSIUS = 6.3  # NEURON's own
SETTLE_MS, PULSE_MS, AFTER_MS, DT_MS = 100.0, 50.0, 10.0, 0.025
DOUBLINGS, HALVINGS = 6, 4
ENOUGH_S, MOST_S = 20.0, 150.0  # of looking for a current that fires: as long as all its runs take, between these two
START_MV = 10.0  # the first current tried would move a passive cell by this much
THRESHOLD_MV = -20.0


class Section(BaseModel):
    """One section."""

    name: str
    nseg: int
    L: float  # um
    diam: float  # um
    has: list[str]  # density mechanisms


class Variable(BaseModel):
    """A parameter of a mechanism."""

    name: str
    mechanism: str
    unit: str
    where: dict[str, tuple[float, float]]  # section -> the least and the greatest value in it


class Global(BaseModel):
    """A GLOBAL of a mechanism."""

    name: str
    mechanism: str
    unit: str
    value: float


class Response(BaseModel):
    """How the soma responds; currents are None where none made it fire."""

    rest: float  # mV
    resistance: float  # MOhm, passive
    pace: float  # s that simulating a millisecond takes in fixed steps
    rheobase: float | None = None  # nA, of 50 ms
    brief: float | None = None  # nA, of 1 ms
    stopped: float | None = None  # s after which the search for currents was given up


class Survey(BaseModel):
    """What a loaded model holds."""

    sections: list[Section]
    lists: dict[str, list[str]]  # a name that stands for several sections -> these
    soma: str  # how a protocol calls it
    celsius: float  # degC
    v_init: float  # mV
    variables: list[Variable]
    globals: list[Global]
    points: list[str]  # kinds of point processes
    stimuli: list[str]  # that the model brings along
    response: Response
    variable_step: bool  # whether every mechanism works with CVODE

    @property
    def compartments(self) -> int:
        """Segments of all sections."""
        return sum(section.nseg for section in self.sections)


def look(content: dict[str, Any]) -> dict[str, Any]:
    """Load a model and describe it: a `Survey`, as JSON holds it. Raises GbarError where it does not load.

    Args:
        content: "folder", "model", "library"; "celsius", at which it is tried whatever it sets itself, or None.
    """
    from gbar.sim.cell import short_name

    model, built = Model.model_validate(content["model"]), elsewhere.built(content)
    celsius = content["celsius"] or built.stated.get("celsius", model.celsius)
    v_init = built.stated.get("v_init", model.v_init)
    survey = Survey(
        sections=[
            Section(name=short_name(s), nseg=s.nseg, L=s.L, diam=s.diam, has=_inserted(s)) for s in built.sections
        ],
        lists=_lists(built),
        soma=_soma(built),
        celsius=celsius,
        v_init=v_init,
        variables=_variables(built),
        globals=_globals(built),
        points=sorted({p.hname().partition("[")[0] for s in built.sections for x in s for p in x.point_processes()}),
        stimuli=list(built.stimuli),
        response=_response(built, celsius, v_init),
        variable_step=_steps_as_it_likes(),
    )
    return survey.model_dump()


def _steps_as_it_likes() -> bool:
    """Whether every mechanism in the model works with CVODE: those that integrate by themselves do not."""
    from neuron import h

    try:
        h.cvode.active(True)
        h.finitialize()
        h.fadvance()
    except RuntimeError:
        return False
    finally:
        h.cvode.active(False)
    return True


def _inserted(section: Any) -> list[str]:
    return sorted(section.psection()["density_mechs"])


def _lists(built: Any) -> dict[str, list[str]]:
    """Names that stand for several sections, and the sections."""
    from gbar.sim.cell import as_list, attribute, has_sections, short_name

    thing = built.object
    keys = list(thing) if isinstance(thing, dict) else dir(thing)
    if not built.module and thing.__class__.__name__ == "HocObject" and str(thing) == "<TopLevelHocInterpreter>":
        keys = [key for key in keys if key not in {"allsec", "Section"}]
    found = {}
    for key in keys:
        if has_sections(thing, key):
            own = [section for section in as_list(attribute(thing, key)) if section in built.sections]
            found[str(key)] = [short_name(section) for section in own]
    return found


def _soma(built: Any) -> str:
    """How a protocol calls the soma."""
    from gbar.sim.cell import sections, short_name, soma

    here = soma(built)
    for name in ("soma", "soma[0]", short_name(here)):
        try:
            if sections(built, name) == [here]:
                return name
        except Exception:
            continue
    return short_name(here)


def _variables(built: Any) -> list[Variable]:
    """Every parameter of every mechanism: name, unit, and the least and greatest value in each section that has it."""
    from neuron import h

    from gbar.sim.cell import short_name

    found = []
    for mechanism in sorted({name for section in built.sections for name in _inserted(section)}):
        standard, name = h.MechanismStandard(mechanism, 1), h.ref("")
        for i in range(int(standard.count())):
            if standard.name(name, i) != 1:  # arrays
                continue
            key = name[0]
            where = {}
            for section in built.sections:
                if section.has_membrane(mechanism):
                    values = [float(getattr(segment, key)) for segment in section]
                    where[short_name(section)] = min(values), max(values)
            found.append(Variable(name=key, mechanism=mechanism, unit=h.units(key), where=where))
    return found


def _globals(built: Any) -> list[Global]:
    """The GLOBALs of the mechanisms in use."""
    from neuron import h

    from gbar.sim.cell import globals_of

    used = sorted({name for section in built.sections for name in _inserted(section)})
    names = [(mechanism, name) for mechanism in used for name in globals_of(mechanism)]
    found = [(mechanism, name, getattr(h, name)) for mechanism, name in names if not name.startswith("usetable")]
    return [
        Global(name=name, mechanism=mechanism, unit=h.units(name), value=float(value))
        for mechanism, name, value in found
        if isinstance(value, float | int)
    ]


def _response(built: Any, celsius: float, v_init: float) -> Response:
    """Rest, passive input resistance, and the currents that make the soma fire."""
    from neuron import h

    from gbar.sim.cell import initialise, integrate, soma

    at = soma(built)(0.5)
    integrator = {"engine": "fixed", "dt": DT_MS}
    since = time.perf_counter()

    def start() -> None:
        initialise(celsius, v_init, integrator)

    start()
    integrate(SETTLE_MS, integrator)
    pace = (time.perf_counter() - since) / SETTLE_MS
    enough = min(max(ENOUGH_S, 2 * (DOUBLINGS + HALVINGS) * (SETTLE_MS + PULSE_MS + AFTER_MS) * pace), MOST_S)
    rest = float(at.v)
    impedance = h.Impedance()
    impedance.loc(at.x, sec=at.sec)
    impedance.compute(0)
    resistance = float(impedance.input(at.x, sec=at.sec))

    def least(duration: float, first: float) -> float | None:
        return _least(lambda current: _fires(at, current, duration, start), first, since + enough)

    rheobase = least(PULSE_MS, START_MV / resistance)
    brief = None if rheobase is None else least(1.0, 8 * START_MV / resistance)
    late = None in (rheobase, brief) and time.perf_counter() > since + enough
    return Response(
        rest=rest,
        resistance=resistance,
        pace=pace,
        rheobase=rheobase,
        brief=brief,
        stopped=enough if late else None,
    )


def _fires(at: Any, current: float, duration: float, start: Callable[[], None]) -> bool:
    """Whether a square current after SETTLE_MS makes a segment cross THRESHOLD_MV.

    During a long one it has to come down again: a passive cell only charges.
    """
    from neuron import h

    clamp, counter = h.IClamp(at), h.APCount(at)
    clamp.amp, clamp.delay, clamp.dur, counter.thresh = current, SETTLE_MS, duration, THRESHOLD_MV
    start()
    while h.t < SETTLE_MS:
        h.fadvance()
    spontaneous = counter.n
    while h.t < SETTLE_MS + duration + AFTER_MS and counter.n == spontaneous:
        h.fadvance()
    crossed = counter.n > spontaneous
    while duration == PULSE_MS and crossed and at.v > THRESHOLD_MV:
        h.fadvance()
        crossed = h.t < SETTLE_MS + duration
    return bool(crossed)


def _least(fires: Callable[[float], bool], high: float, deadline: float) -> float | None:
    """Roughly the least current that fires: doubled until it does, then bisected; None where none did in time."""
    low = 0.0
    for _ in range(DOUBLINGS):
        if time.perf_counter() > deadline:
            return None
        if fires(high):
            break
        low, high = high, 2 * high
    else:
        return None
    for _ in range(HALVINGS):
        if time.perf_counter() < deadline:
            middle = (low + high) / 2
            low, high = (low, middle) if fires(middle) else (middle, high)
    return high
