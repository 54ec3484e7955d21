"""The user's model inside NEURON: build it unchanged, find where a parameter lives, set it.

The functions take plain arguments, because an exported script carries their source.
"""

import ast
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuron import h, nrn

from gbar.sim.cell.anatomy import Cell, distance, own_code, sections, segment, shape, short_name, tighten
from gbar.sim.cell.leftovers import clamps, described, switched_off
from gbar.sim.cell.loaders import arguments_of, load_flat, load_python, load_template, run_hoc, working_folder
from gbar.sim.cell.morphology import cut, load_morphology
from gbar.sim.cell.placement import PLACE, attribute_of, get_value, mechanism_of, places, set_value
from gbar.sim.errors import GbarError, nearest
from gbar.sim.problem import Formula

__all__ = ["ParameterBinding", "Cell", "assemble", "build", "loader", "places", "sections", "segment", "short_name"]


def build(folder: Path, model: Any, segments: int | None = None) -> Cell:
    """Load the model and make one cell.

    Args:
        folder: the problem's.
        model: [model] of problem.toml.
        segments: the most that a section may have, for a coarser copy; None: as the model has it.

    Raises:
        GbarError: the file, template or function cannot be used, with NEURON's or Python's own reason.
    """
    cell = assemble(folder, model, loader(model))
    if segments is not None:
        coarsen(cell, model, segments)
    return cell


Load = Callable[[Path, Any, Callable[[], None]], tuple[Any, Any, list[Any]]]
ROUNDS = 3  # times that values are set again because the model's own code has changed the cell


def loader(model: Any) -> Load:
    """The function that loads a model of this kind."""
    file = model.load.partition(":")[0].lower()
    if file.endswith((".swc", ".asc")):
        return load_morphology
    if file.endswith(".py"):
        return load_python
    return load_template if model.template else load_flat


def assemble(folder: Path, model: Any, load: Load) -> Cell:
    """Load a model, and give its cell what problem.toml adds: mechanisms, fixed values, no stimuli of its own.

    The model runs as it would by itself: at its own temperature, in its own folder, with no arguments of gbar's and in
    one thread.

    Raises:
        GbarError: the model cannot be loaded, or has no section.
    """
    h.load_file("stdrun.hoc")
    stated: dict[str, float] = {}

    def hold() -> None:
        for name in ("celsius", "v_init"):
            if getattr(h, name) != getattr(model, name):
                stated[name] = float(getattr(h, name))
        h.celsius, h.v_init = model.celsius, model.v_init

    hold()
    stated.clear()  # NEURON's own defaults
    tolerances = tolerance_scales()
    with working_folder(folder), arguments_of(folder / model.load.partition(":")[0]):
        cell = Cell(folder, *load(folder, model, hold))
    hold()
    cell.tolerances = tolerances
    tighten(cell)
    cell.stated = stated
    if not cell.sections:
        raise GbarError(
            f"{model.load} made no section: if it only opens a panel, load the file that makes the cell, or give what "
            'the panel\'s button does, such as setup = ["make_cell()"]'
        )
    for name, mechanisms in model.insert.items():
        for section in sections(cell, name):
            for mechanism in mechanisms:
                insert(section, mechanism)
    fix(cell, model.values)
    if load.__name__ == "load_morphology":
        cut(cell.sections, model.d_lambda, model.segment_length)  # by the Ra and cm just given
        fix(cell, model.values)  # once more, for the segments that this made
    if model.stimuli == "off":
        cell.stimuli = {described(process): process for process in clamps(cell.sections)}
        for process in cell.stimuli.values():
            for name, value in switched_off(process).items():
                set_value(process, name, value)
    return cell


def coarsen(cell: Cell, model: Any, segments: int) -> None:
    """Make a coarser copy of a cell: no section keeps more segments, and rules of distance hold in what is left.

    NEURON gives a new segment what the nearest one had.
    """
    for section in cell.sections:
        if section.nseg > segments:
            section.nseg = segments
    fix(cell, model.values)


def tolerance_scales() -> dict[str, float]:
    """By how much CVODE's tolerance is multiplied for the voltage and for the states of all mechanisms."""
    name, states = h.ref(""), ["v"]
    for kind in (0, 1):
        kinds = h.MechanismType(kind)
        for i in range(int(kinds.count())):
            kinds.select(i)
            kinds.selected(name)
            listed, prefix = h.MechanismStandard(name[0], 3), f"{name[0]}." if kind else ""
            for k in range(int(listed.count())):
                listed.name(name, k)
                states.append(prefix + name[0])
    return {state: h.CVode().atolscale(state) for state in states}


def insert(section: Any, mechanism: str) -> None:
    """Put a mechanism into a section. Raises GbarError where there is none of that name."""
    kinds, name = h.MechanismType(0), h.ref("")
    known = []
    for i in range(int(kinds.count())):
        kinds.select(i)
        kinds.selected(name)
        known.append(name[0])
    if mechanism not in known:
        raise GbarError(f"model.insert: no mechanism '{mechanism}'{nearest(mechanism, known)}")
    section.insert(mechanism)


def fix(cell: Cell, values: Mapping[str, Any]) -> None:
    """Set the fixed values of [model.values], in their order: numbers, or formulas of `distance` and `own`."""
    for target, given in values.items():
        setting = Setting(cell, [target], Formula(str(given)))
        setting.assign({})


def call(cell: Cell, statement: str, values: Mapping[str, float]) -> None:
    """Run what `apply` says: "cell.NAME(…)" or "module.NAME(…)" with parameters as arguments, else a hoc statement.

    Raises:
        GbarError: there is nothing of that name, or it failed.
    """
    if not re.match(r"(cell|module)\.", statement):
        with working_folder(cell.folder), own_code(cell):
            run_hoc(statement, "apply")
        return
    try:
        tree = ast.parse(statement.strip(), mode="eval").body
    except SyntaxError:
        tree = None
    if not isinstance(tree, ast.Call) or tree.keywords:
        raise GbarError(f"apply: '{statement}' is no call: expected such as cell.set_props()")
    owner, name = attribute_of(cell, ast.unparse(tree.func))
    with working_folder(cell.folder), own_code(cell):
        get_value(owner, name)(*(Formula(ast.unparse(part))(values) for part in tree.args))


class Setting:
    """One value that goes to some places of a cell: as it is, through a formula, or multiplied with what is there."""

    def __init__(
        self, cell: Cell, targets: Iterable[str], formula: Formula | None, name: str = "", scaling: bool = False
    ):
        self.cell, self.targets = cell, list(targets)
        self.name, self.formula, self.scaling = name, formula, scaling
        self.reads_own = scaling or (formula is not None and "own" in formula.names)
        self._find()
        self.own = [float(get_value(*at)) for at in self.places] if self.reads_own else []

    def _find(self) -> None:
        self.places = [at for target in self.targets for at in places(self.cell, target)]
        needed = self.formula.names if self.formula else set()
        self.distances = [distance(self.cell, owner) if "distance" in needed else 0.0 for owner, _ in self.places]

    def found_anew(self) -> "Setting":
        """The same in the cell as it is now. What the model had in a place, it had in the segment nearest to it."""
        again = Setting(self.cell, self.targets, self.formula, self.name, self.scaling)
        had: dict[Any, list[tuple[float, float]]] = {}
        for at, own in zip(self.places, self.own, strict=False):
            had.setdefault(_whose(*at), []).append((getattr(at[0], "x", 0.5), own))
        for i, (owner, variable) in enumerate(again.places if had else []):
            near = had.get(_whose(owner, variable), [])
            x = getattr(owner, "x", 0.5)
            again.own[i] = min((abs(at - x), own) for at, own in near)[1] if near else again.own[i]
        return again

    def restore(self) -> None:
        """Put back what the model had, where the value is made from it."""
        for (owner, variable), value in zip(self.places, self.own, strict=False):
            set_value(owner, variable, value)

    def assign(self, values: Mapping[str, float]) -> None:
        """Set every place: `values` holds a number for every parameter. Raises GbarError."""
        known = {**values, "value": values.get(self.name, 1.0)}
        for (owner, variable), at in zip(self.places, self.distances, strict=True):
            own = float(get_value(owner, variable)) if self.reads_own else 0.0
            new = self.formula({**known, "distance": at, "own": own}) if self.formula else known["value"]
            set_value(owner, variable, new * own if self.scaling else new)


def _whose(owner: Any, variable: str) -> tuple[Any, str]:
    """The section, point process or other object that a place belongs to."""
    if hasattr(owner, "sec"):
        return owner.sec, variable
    if isinstance(owner, nrn.Section):
        return owner, variable
    return (owner.hname() if hasattr(owner, "get_segment") else id(owner)), variable


class ParameterBinding:
    """The free parameters of one cell, ready to be set again and again. Several cells may be bound in one process.

    `places` has, for each parameter, the pairs of object and attribute that its `set` names. `process_wide` has, for
    each parameter that several cells in one process cannot have different values of, the mechanism and the GLOBAL
    ("" and a name for what belongs to no mechanism).

    Raises:
        GbarError: a parameter names something that is not in the cell.
    """

    def __init__(
        self, cell: Cell, parameters: Sequence[Any]
    ):  # sim.problem.parameter.Parameter, or the like in a script
        self.cell = cell
        self.names = [parameter.name for parameter in parameters]
        plain: list[Setting] = []
        made: list[Setting] = []
        tied: list[Setting] = []
        self.places: list[list[tuple[Any, Any]]] = []
        self.process_wide: dict[str, list[tuple[str, str]]] = {}
        for p in parameters:
            formula = Formula(p.formula) if p.formula else None
            setting = Setting(cell, p.set, formula, p.name, p.mode == "scale")
            (made if formula or p.mode == "scale" else plain).append(setting)
            tied += [Setting(cell, [place], Formula(text), p.name) for place, text in p.tied.items()]
            self.places.append(setting.places)
            wide = [at.removeprefix("global.") for at in (*p.set, *p.tied) if at.startswith("global.")]
            shared = [mechanism_of(name) for name in wide if name not in cell.ranged]
            shared += [("", at) for at in (*p.set, *p.tied) if at.startswith("module.")]
            shared += [("", statement) for statement in p.apply if not statement.startswith("cell.")]
            if shared:
                self.process_wide[p.name] = shared
        self.settings = [*plain, *made, *tied]
        self.calls = list(dict.fromkeys(statement for p in parameters for statement in p.apply))
        targets = [target for setting in self.settings for target in setting.targets]
        self.live = any(target.startswith(("cell.", "module.")) for target in targets)
        self.kinds = {found[4] for target in targets if (found := PLACE.fullmatch(target)) and found[4]}
        self.shape = self.first_shape = shape(cell, self.kinds)
        self.first_settings = self.settings
        self.values: dict[str, float] = {}

    def assign(self, x: Iterable[float]) -> None:
        """Set every parameter: x [D] in NEURON's units, in the parameters' order.

        In this order: plain values; scaled ones and formulas; what is tied to them; the calls of `apply`. Where that
        changes the cell's sections, segments or mechanisms, everything is set once more in the cell as it is then.

        Raises:
            GbarError: a formula has no finite value, a call failed, or the cell changes every time.
        """
        self.values = dict(zip(self.names, map(float, x), strict=True))
        self.find()
        self.set()

    def set(self) -> None:
        """Set what `assign` was given. Raises GbarError."""
        for _ in range(ROUNDS):
            looked = [words for _, _, *words in self.shape]
            self._put()
            for statement in self.calls:
                call(self.cell, statement, self.values)
            if not self.find():
                return
            if looked == [words for _, _, *words in self.shape]:  # a call makes the same sections anew every time
                self._put()
                return
        raise GbarError(
            "the cell's sections, segments or mechanisms change every time that the parameters are set: expected that "
            f"what apply calls ({', '.join(self.calls) or 'nothing'}) does the same to the same values"
        )

    def _put(self) -> None:
        for setting in self.settings:
            setting.restore()
        for setting in self.settings:
            setting.assign(self.values)

    def settle(self, start: Callable[[], None]) -> None:
        """Start a simulation, and set everything again where the model's own code has changed the cell in it.

        Raises:
            GbarError: as `assign`; or every start changes the cell.
        """
        for _ in range(ROUNDS):
            start()
            if not self.find():
                return
            self.set()
        raise GbarError("the cell's sections, segments or mechanisms change at every start of a simulation")

    def find(self) -> bool:
        """Find the places anew where the cell is no longer as it was when they were found; whether it is not."""
        now = shape(self.cell, self.kinds)
        changed = now != self.shape
        if changed or self.live:  # an attribute may hold another object by now
            there = now == self.first_shape and not self.live
            self.settings = self.first_settings if there else [one.found_anew() for one in self.first_settings]
            self.shape = now
        return changed

    def own(self) -> list[tuple[float, float] | None]:
        """What the model has for each parameter, the least and the greatest of its places; None: cannot be read.

        Of one that scales it is 1; of a coefficient, or of a value that goes through a formula, nobody can say.
        """
        found: list[tuple[float, float] | None] = []
        for name, at in zip(self.names, self.places, strict=True):
            setting = next(s for s in self.first_settings if s.name == name)
            if setting.formula or not at:
                found.append(None)
            elif setting.scaling:
                found.append((1.0, 1.0))
            else:
                listed = [float(get_value(owner, variable)) for owner, variable in at]
                found.append((min(listed), max(listed)))
        return found
