"""A problem to start from: parameters, bounds and protocols proposed from what a survey found in a model."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gbar.sim import features
from gbar.sim.problem import KINDS
from gbar.sim.setup.survey import Survey

DENSITY = {"S/cm2", "mho/cm2", "mS/cm2", "cm/s", "uS", "pS/um2", "S/m2"}  # units of what is usually free
NO_CONDUCTANCE = re.compile(  # what has a conductance's unit and is its noise: an SD, a correlation, an amplitude
    r"(^|_)(std|stdev|sd|sigma|rms|var|cv|jitter|tau)(_|\d|[ei]?$)|(^|_)[gi]?_?(noise|fluct)|(noise|fluct)(_|$)", re.I
)
HALF_DECADE = math.sqrt(10)
MOST = 24  # parameters proposed as free; more are written as comments
SIGNS = {  # features that tell which stimulus they were measured with, the surest first
    "rheobase": {"rheobase"},
    "fi": {"f_I_gain"},
    "hyperpolarise": {
        *("ohmic_input_resistance", "ohmic_input_resistance_vb_ssse", "time_constant", "membrane_capacitance"),
        *("sag_amplitude", "sag_ratio1", "sag_ratio2", "voltage_deflection", "voltage_deflection_vb_ssse"),
    },
    "fire": {
        "mean_frequency",
        "Spikecount",
        "ISI_CV",
        "adaptation_index2",
        "inv_first_ISI",
        "inv_last_ISI",
        "ISI_values",
    },
    "brief": {"AP_amplitude_from_voltagebase", "AHP_half_decay_time", "AHP_duration", "AHP_depth"},
}


USUAL = {  # what a lab measures, and under which stimuli it is proposed
    "voltage_base": {"hyperpolarise"},
    "ohmic_input_resistance": {"hyperpolarise"},
    "time_constant": {"hyperpolarise"},
    "sag_ratio1": {"hyperpolarise"},
    "rheobase": {"rheobase"},
    "AP_begin_voltage": {"rheobase"},
    "AP_amplitude_from_voltagebase": {"brief"},
    "AP_duration_half_width": {"brief"},
    "AHP_depth": {"brief"},
    "AHP_half_decay_time": {"brief"},
    "mean_frequency": {"fire"},
    "time_to_first_spike": {"fire"},
    "inv_first_ISI": {"fire"},
    "inv_last_ISI": {"fire"},
    "f_I_gain": {"fi"},
}


@dataclass(frozen=True)
class Free:
    """A parameter as proposed."""

    name: str
    set: tuple[str, ...]
    value: float  # the model's own
    unit: str
    mode: str = "set"

    def lines(self, commented: bool = False) -> list[str]:
        """Its [[parameter]] table."""
        low, high = _around(self.value)
        text = ["[[parameter]]", f'name = "{self.name}"']
        text.append(f"set = {quoted(self.set)}")
        if self.mode == "scale":
            text += [
                'mode = "scale"                    # 1 is the model as it is: its shape along the cell stays',
                "bounds = [0.3, 3.0]",
            ]
        else:
            text.append(f"bounds = [{low:g}, {high:g}]".ljust(34) + f"# the model has {self.value:.4g}")
        text.append('scale = "log"')
        if self.unit and self.mode == "set":
            text.append(f'unit = "{self.unit}"')
        return [f"# {line}" if commented else line for line in text] + [""]


@dataclass(frozen=True)
class Protocols:
    """The protocols as proposed: TOML lines, and what can be measured under each."""

    lines: list[str] = field(default_factory=list)
    measured: dict[str, list[str]] = field(default_factory=dict)


def propose_parameters(found: Survey) -> list[Free]:
    """Every conductance that is not zero, one parameter for all sections that share a value; no SDs of noise."""
    free: list[Free] = []
    for variable in found.variables:
        where = {name: spread for name, spread in variable.where.items() if spread[1] > 0}
        is_density = variable.unit in DENSITY or re.match(r"(g|p|perm)(bar|max|_?[a-z]*bar)?_|g_", variable.name)
        own = variable.name.removesuffix(f"_{variable.mechanism}")
        if is_density and where and not NO_CONDUCTANCE.search(own):
            free += _of_variable(variable.name, variable.unit, where, found)
    return free


def _of_variable(name: str, unit: str, where: Mapping[str, tuple[float, float]], found: Survey) -> Iterable[Free]:
    everywhere = len(where) == len(found.sections)
    low, high = min(low for low, _ in where.values()), max(high for _, high in where.values())
    if low == high and (everywhere or len(where) > 1):
        group = "all" if everywhere else _name_of(list(where), found)
        yield Free(name, _places(group, where, name, found), low, unit)
        return
    groups: dict[str, list[str]] = {}
    for section in where:
        groups.setdefault(section.partition("[")[0], []).append(section)
    same: dict[tuple[float, float], list[str]] = {}  # bases with one value each, by that value
    for base, members in groups.items():
        ends = min(where[s][0] for s in members), max(where[s][1] for s in members)
        same.setdefault(ends, []).append(base)
    for (least, most), bases in same.items():
        members = [section for base in bases for section in groups[base]]
        group = _name_of(members, found) or "_".join(bases[:3])
        places = _places(group, members, name, found)
        yield Free(
            f"{name}_{group}", places, least if least == most else most, unit, "set" if least == most else "scale"
        )


def _name_of(members: Sequence[str], found: Survey) -> str:
    """The section, array or list that has exactly these sections; empty where nothing has."""
    if len(members) == 1:
        return members[0].replace("[", "_").rstrip("]")
    for name, listed in found.lists.items():
        if sorted(listed) == sorted(members):
            return str(name)
    bases = {section.partition("[")[0] for section in members}
    (base, *others) = sorted(bases)
    array = [s.name for s in found.sections if s.name.partition("[")[0] == base]
    return base if not others and sorted(array) == sorted(members) else ""


def _places(group: str, members: Iterable[str], variable: str, found: Survey) -> tuple[str, ...]:
    names = {"all", *found.lists, *(s.name.partition("[")[0] for s in found.sections)}
    members = list(members)
    single = len(members) == 1
    return (f"{group}.{variable}",) if group in names and not single else tuple(f"{s}.{variable}" for s in members)


def propose_protocols(found: Survey, measured: Mapping[str, set[str]]) -> Protocols:
    """Stimuli sized by how the model responds: for the names of a table of measurements, else a usual set."""
    wanted = {name: _kind_for(features_) for name, features_ in measured.items()}
    if not wanted:
        wanted = {"hyperpolarise": "hyperpolarise"}
        if found.response.rheobase:
            wanted |= {"threshold": "rheobase", "fire": "fire"}
        if found.response.brief:
            wanted |= {"brief": "brief"}
    out = Protocols()
    at = f"{found.soma}(0.5)"
    place = [] if found.soma == "soma" else [f'at = "{at}"', f'record = "{at}.v"']
    for name, kind in sorted(wanted.items(), key=lambda item: item[1] == "fi"):
        if kind == "fi":
            for step, times in ((f"{name}_low", 1.3), (f"{name}_high", 2.0)):
                _add(out, step, _step(found, times, place))
            steps = [f"{name}_low", f"{name}_high"]
            _add(out, name, ['kind = "fi"', f"steps = {quoted(steps)}"])
        else:
            _add(out, name, _stimulus(kind, found, place))
        toml_kind = {"hyperpolarise": "step", "fire": "step", "brief": "pulse"}.get(kind, kind)
        known = features.catalogue(toml_kind, -1.0 if kind == "hyperpolarise" else 1.0)
        out.measured[name] = [feature for feature in USUAL if feature in known and kind in USUAL[feature]]
    return out


def _add(out: Protocols, name: str, lines: list[str]) -> None:
    key = name if re.fullmatch(r"[\w-]+", name) else f'"{name}"'
    out.lines.extend([f"[protocol.{key}]", *lines, ""])


def _kind_for(measured: set[str]) -> str:
    """Which stimulus a set of features was most likely measured with."""
    toml = {"hyperpolarise": "step", "fire": "step", "brief": "pulse"}
    for kind, signs in SIGNS.items():
        known = set(features.known_features(toml.get(kind, kind))) if toml.get(kind, kind) in KINDS else set()
        if measured & signs and measured <= known:
            return kind
    return "fire"


def _stimulus(kind: str, found: Survey, place: list[str]) -> list[str]:
    response = found.response
    if kind == "hyperpolarise":
        return [
            'kind = "step"',
            *place,
            _amplitude(-5.0 / response.resistance, "about 5 mV below rest in a passive cell"),
            *_times(300, 300, 700),
        ]
    if kind == "rheobase":
        high = 4 * (response.rheobase or 100.0 / response.resistance)
        bounds = f"bounds = [0.0, {_rounded(high):g}]".ljust(34) + "# nA, between which it is looked for"
        precision = f"precision = {_rounded(high / 400):g}"
        return ['kind = "rheobase"', *place, bounds, precision, *_times(300, 50, 450)]
    if kind == "brief":
        strong = 1.5 * (response.brief or 400.0 / response.resistance)
        return ['kind = "pulse"', *place, _amplitude(strong, "for one spike"), *_times(300, 1, 600)]
    return _step(found, 1.5, place)


def _step(found: Survey, times: float, place: list[str]) -> list[str]:
    rheobase = found.response.rheobase
    current = times * (rheobase or 20.0 / found.response.resistance)
    why = f"{times:g} times what makes the model fire" if rheobase else "the model did not fire at what was tried"
    return ['kind = "step"', *place, _amplitude(current, why), *_times(300, 500, 900)]


def _amplitude(current: float, why: str) -> str:
    return f"amplitude = {_rounded(current):g}".ljust(34) + f"# nA: {why}"


def _times(delay: float, duration: float, total: float) -> list[str]:
    return [f"delay = {delay:.1f}".ljust(34) + "# ms", f"duration = {duration:.1f}", f"total = {total:.1f}"]


def quoted(words: Iterable[str]) -> str:
    """A list of texts in TOML, which writes it as JSON does."""
    return json.dumps(list(words), ensure_ascii=False)


def _around(value: float) -> tuple[float, float]:
    """A decade around a value, to two digits, the value inside."""
    return _rounded(value / HALF_DECADE), _rounded(value * HALF_DECADE)


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")
