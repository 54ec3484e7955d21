"""The tables of the reference pages, made from the code.

A page has marks, `<!--Model-->`; the block after one, up to the next empty line, is made here. Words and units come
from the fields' own descriptions, so that a key is described once, where it is defined.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from gbar.agent import Result
from gbar.sim.features import SETTINGS, catalogue, known_settings, unit_of
from gbar.sim.problem import Problem, unit_in

Schema = dict[str, Any]  # a piece of a JSON schema

MARK = re.compile(r"(<!--(\w+)-->\n\n)(?:.+\n)*")
KINDS = {"step < 0": ("step", -1.0), "step ≥ 0": ("step", 1.0), "pulse": ("pulse", 1.0), "rheobase": ("rheobase", 0.0)}
KINDS["fi"] = ("fi", 0.0)
WORDS = {"string": "text", "number": "number", "integer": "whole number", "boolean": "`true` or `false`"}


def filled(page: str) -> str:
    """A page with the table after every mark made anew."""
    return MARK.sub(lambda found: f"{found[1]}{_block(found[2])}\n", page)


def _block(name: str) -> str:
    if name in OTHERS:
        return OTHERS[name]()
    return _keys(next(model for model in _models() if model.__name__ == name))


def _models(base: type[BaseModel] = BaseModel) -> Iterator[type[BaseModel]]:
    """Every model of ours: those of problem.toml and of result.json, and what they are made from."""
    for model in base.__subclasses__():
        if model.__module__.startswith((_package(Problem), _package(Result))):
            yield model
        yield from _models(model)


def _package(model: type[BaseModel]) -> str:
    return model.__module__.rpartition(".")[0]


def _keys(model: type[BaseModel]) -> str:
    """The keys that a class itself defines, those of its bases left to them."""
    schema = model.model_json_schema()
    own = {name: key for name, key in schema["properties"].items() if name in model.__annotations__ and _ours(key)}
    if _package(model) == _package(Result):
        rows = [[f"`{name}`", _linked(key) or unit_in(key), key["description"]] for name, key in own.items()]
        return _rows(["key", "unit", "meaning"], rows)
    required = schema.get("required", [])
    rows = [[f"`{name}`", _type(key), _default(key, name in required), key["description"]] for name, key in own.items()]
    return _rows(["key", "type", "default", "meaning"], rows)


def _ours(key: Schema) -> bool:
    """Whether a field is the user's: one that gbar fills in itself has no description."""
    return "description" in key


def _type(key: Schema) -> str:
    """What is written in problem.toml, with its unit."""
    unit = unit_in(key)
    return key.get("written") or (f"{_written(key)}, {unit}" if unit else _written(key))


def _written(key: Schema) -> str:
    match key:
        case {"anyOf": choices}:
            kinds = list(dict.fromkeys(_written(choice) for choice in choices if choice.get("type") != "null"))
            return " or ".join(kind for kind in kinds if kind != WORDS["integer"] or WORDS["number"] not in kinds)
        case {"enum": values}:
            return ", ".join(f'`"{value}"`' for value in values)
        case {"prefixItems": _}:
            return "`[low, high]`"
        case {"type": "array", "items": item}:
            return f"list of {_written(item)}"
        case {"type": str(name)}:
            return WORDS.get(name, "table")
    return "table"


def _default(key: Schema, required: bool) -> str:
    if "unless given" in key:
        return str(key["unless given"])
    if required:
        return "required"
    return "none" if key.get("default") in (None, {}) else f"`{json.dumps(key['default'])}`"


def _linked(key: Schema) -> str:
    """The objects in a key of result.json, as links to their own tables."""
    match key:
        case {"$ref": str(name)}:
            name = name.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": [first, *_]}:
            return _linked(first)
        case {"type": "array", "items": item}:
            return _linked(item) and f"list of {_linked(item).removeprefix('list of ')}"
        case {"type": "object", "additionalProperties": dict(item)}:
            return _linked(item) and f"name → {_linked(item)}"
    return ""


def _catalogue() -> str:
    """Features that are computed unasked, those of the same kinds in one row."""
    under: dict[str, list[str]] = {}
    for label, (kind, amplitude) in KINDS.items():
        for name in catalogue(kind, amplitude):
            under.setdefault(name, []).append(label)
    groups: dict[str, dict[str, list[str]]] = {}
    for name, labels in under.items():
        groups.setdefault(", ".join(labels), {}).setdefault(unit_of(name) or "", []).append(f"`{name}`")
    rows = [
        [labels, "; ".join(f"{unit}: {', '.join(names)}" for unit, names in units.items())]
        for labels, units in groups.items()
    ]
    return _rows(["under", "unit: features"], rows)


def _settings() -> str:
    """eFEL's settings and the defaults in force, as TOML writes them."""
    known = {**known_settings(), **SETTINGS}
    return ", ".join(f"`{name}={json.dumps(value)}`" for name, value in known.items())


def _rows(heading: list[str], rows: list[list[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("|" + "|".join(cell.replace("|", "\\|") for cell in line) + "|" for line in lines)


OTHERS = {"catalogue": _catalogue, "settings": _settings}
