"""What `gbar init` writes: the text of problem.toml, and of a table to fill in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gbar.sim import features
from gbar.sim.problem import COLUMNS, ResponseKey, sd_floor
from gbar.sim.setup.candidates import ModelCandidate
from gbar.sim.setup.proposal import MOST, propose_parameters, propose_protocols, quoted
from gbar.sim.setup.survey import DEFAULT_CELSIUS, Section, Survey

LEAK = "it has no more than a leak"


class Warmth(NamedTuple):
    """What is known of the temperature before a model is loaded."""

    given: float | None  # degC, by the user
    said: tuple[float, str] | None  # by a file of the folder, and which

    def comment(self, celsius: float) -> str:
        """Where a temperature comes from, as a question to the user."""
        if self.given is not None:
            return "as given"
        if self.said and celsius == self.said[0]:
            return f"as {self.said[1]} sets it: at which were the measurements made?"
        default = "NEURON's default, the model sets none: " if celsius == DEFAULT_CELSIUS else ""
        return f"{default}at which were the measurements made?"

    def remarks(self, celsius: float) -> list[str]:
        """What to say on the terminal of a temperature that nobody has chosen."""
        if self.given is not None or celsius != DEFAULT_CELSIUS or self.said:
            return []
        return ["celsius is 6.3, NEURON's default, as no file sets one: for a warmer cell begin again with --celsius"]


def problem_text(
    folder: Path,
    chosen: ModelCandidate,
    candidates: Sequence[ModelCandidate],
    sources: list[str],
    found: Survey,
    named: Path,
    measured: Mapping[str, set[str]],
    refused: dict[str, str],
    warmth: Warmth,
) -> tuple[str, dict[str, list[str]], int]:
    """The text of problem.toml, what can be measured under each protocol, and the number of free parameters."""
    free = propose_parameters(found)
    protocols = propose_protocols(found, measured)
    name = named.relative_to(folder).as_posix()
    lines = [
        "# Made by gbar init from what the model holds. Every line is yours to change; docs/problem.md has the keys.",
        f"# {len(found.sections)} sections, {found.compartments} compartments:",
        *_sections(found),
        "#",
        "# Next: gbar check, then gbar measure, then gbar tune.",
        f'measurements = "{name}"',
        "",
        *_model(chosen, sources, found, warmth),
    ]
    for other in candidates:
        if other != chosen:
            why = refused.get(str(other), "")
            why = f" ({why})" if why == LEAK else f" (does not load: {why})" if why else ""
            lines.insert(-1, f"# also here: {other}{why}")
    lines += ["# Free parameters: a decade around what the model has, on a log scale. Take out what is known.", ""]
    for i, parameter in enumerate(free):
        lines += parameter.lines(commented=i >= MOST)
    lines += _also_there(found)
    lines += [
        "# Protocols: what was injected on the rig goes here, amplitudes and times included.",
        "",
        *(f"# {remark}" for remark in stopped(found)),
        *protocols.lines,
    ]
    return "\n".join(lines).rstrip() + "\n", protocols.measured, min(len(free), MOST)


def _sections(found: Survey) -> list[str]:
    bases: dict[str, list[Section]] = {}
    for section in found.sections:
        bases.setdefault(section.name.partition("[")[0], []).append(section)
    lines = []
    for base, members in bases.items():
        count = f"[{len(members)}]" if len(members) > 1 else ""
        mechanisms_ = sorted({name for section in members for name in section.has})
        lines.append(f"#   {base}{count}: {', '.join(mechanisms_) or 'no mechanism'}")
    named = [name for name in found.lists if name not in bases and name != "all"]
    return lines + ([f"# lists of sections: {', '.join(named)}"] if named else [])


def _model(chosen: ModelCandidate, sources: list[str], found: Survey, warmth: Warmth) -> list[str]:
    lines = ["[model]", f'load = "{chosen.load}"']
    if chosen.template:
        lines.append(f'template = "{chosen.template}"')
    if chosen.arguments:
        said = ", ".join(f'"{a}"' if isinstance(a, str) else f"{a:g}" for a in chosen.arguments)
        lines.append(f"arguments = [{said}] ".ljust(34) + "# a guess: what its init wants")
    if chosen.requires:
        lines.append(f"requires = {quoted(chosen.requires)} ".ljust(34) + "# loaded first: templates that it makes")
    if sources:
        lines.append(f"mechanisms = {quoted(sources)}")
    lines.append(f"celsius = {found.celsius:g}".ljust(34) + f"# degC: {warmth.comment(found.celsius)}")
    lines.append(f"v_init = {found.response.rest:.1f}".ljust(34) + "# mV: where the model rests after 100 ms")
    lines += [
        f'# the model brings along {what}: switched off (stimuli = "keep" leaves it on)' for what in found.stimuli
    ]
    if chosen.load.lower().endswith((".swc", ".asc")):
        lines += [
            "",
            "[model.insert]",
            'all = ["pas"]                     # add the mechanisms of each list of sections',
        ]
        lines += ["", "[model.values]", '"all.g_pas" = 1e-4', '"all.e_pas" = -70.0']
    return [*lines, ""]


def stopped(found: Survey) -> list[str]:
    """What the survey did not come to the end of."""
    seconds = found.response.stopped
    if seconds is None:
        return []
    what = "of 1 ms that fires" if found.response.rheobase else "that fires"
    return [f"no current {what} was found within {seconds:.0f} s: add a protocol with one that you know"]


def _also_there(found: Survey) -> list[str]:
    """What else can be free, as comments: the other variables of the mechanisms, RANGE and GLOBAL."""
    taken = {place.rpartition(".")[2] for parameter in propose_parameters(found) for place in parameter.set}
    lines = []
    for variable in (v for v in found.variables if v.name not in taken):
        section, (low, high) = next(iter(variable.where.items()))
        value = f"{low:g}" if low == high else f"{low:g} … {high:g}"
        section = section if len(variable.where) == 1 else "all"
        lines.append(f'#   set = ["{section}.{variable.name}"]'.ljust(44) + f"# {value} {variable.unit}".rstrip())
    for g in found.globals:
        lines.append(f'#   set = ["global.{g.name}"]'.ljust(44) + f"# {g.value:g} {g.unit}".rstrip())
    return ["# Also there to be freed, with the present values:", *lines, ""] if lines else []


def table_text(measured: dict[str, list[str]], own: dict[str, float], why: str) -> str:
    """A table with a commented row for what can be measured, the model's own value in place of the mean.

    Where the model could not be simulated, rows say what to fill in, and a comment says why.
    """
    lines = ["# One row a measurement: take the # away and put in what you measured. SD, not SEM."]
    lines += ["# The means below are the model's own as it is now, for orientation."] if own else []
    lines += [f"# Where MEAN stands, the model's own value is not there: {why}."] if why else []
    lines.append(",".join(COLUMNS))
    simulated = {ResponseKey.parse(key).response for key in own}
    for protocol, names in measured.items():
        unknown = why and protocol not in simulated
        for name in (name for name in names if unknown or f"{protocol}.{name}" in own):
            unit, value = features.unit_of(name) or "", own.get(f"{protocol}.{name}")
            filled = "MEAN,SD" if value is None else f"{value:.4g},{_rough_sd(value, unit):g}"
            lines.append(f"#{protocol},{name},{filled},{unit.replace('MΩ', 'MOhm')}")
    return "\n".join(lines) + "\n"


def _rough_sd(value: float, unit: str) -> float:
    """A tenth, in one digit; no less than recordings leave open."""
    return float(f"{max(abs(value) / 10, sd_floor(unit).recorded):.1g}")
