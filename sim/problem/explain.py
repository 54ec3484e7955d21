"""Pydantic's validation errors in the words of someone who wrote a problem.toml."""

import reprlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from gbar.sim.errors import nearest

EXPECTED = {  # pydantic's error types in the user's words
    "string_type": "text in quotes",
    "string_too_short": "some text",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a number",
    "int_parsing": "a number",
    "bool_type": "a number, true, false or text",
    "bool_parsing": "a number, true, false or text",
    "finite_number": "a finite number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "int_from_float": "a whole number",
    "tuple_type": "a list in square brackets",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "dict_type": "a table of keys",
    "model_type": "a table of keys",
    "model_attributes_type": "a table of keys",
    "literal_error": "{expected}",
}


def explained(
    problem: Any, content: Mapping[str, Any], owner: Callable[[tuple[Any, ...]], list[str]], kinds: Collection[str]
) -> str:
    """One pydantic error in the user's words.

    Args:
        problem: one of `ValidationError.errors()`.
        content: what was validated.
        owner: the keys known at a path.
        kinds: of protocols, which pydantic puts into the path of a protocol.
    """
    path = _path(problem["loc"], content, kinds)
    place, what = ".".join(path), problem["type"]
    if what == "extra_forbidden":
        return f"unknown key '{place}'{nearest(path[-1], owner(problem['loc'][:-1]))}"
    if what == "missing" and isinstance(problem["loc"][-1], int):
        return f"{place}: expected [low, high], got {reprlib.repr(problem['input'])}"
    if what == "missing":
        return f"'{place}' is missing"
    if what == "union_tag_not_found":
        return f"'{place}.kind' is missing (known: {', '.join(sorted(kinds))})"
    if what == "union_tag_invalid":
        word = problem["ctx"]["tag"]
        return f"{place}.kind: '{word}' is no kind of protocol{nearest(word, kinds)}"
    if what == "value_error":
        return f"{place}: {problem['ctx']['error']}" if place else str(problem["ctx"]["error"])
    wanted = EXPECTED.get(what, problem["msg"][0].lower() + problem["msg"][1:]).format(**problem.get("ctx", {}))
    if place == "parameter" and what == "tuple_type":
        wanted = "a list, each entry under its own [[parameter]]"
    return f"{place}: expected {wanted}, got {reprlib.repr(problem['input'])}"


def _path(place: tuple[Any, ...], content: Mapping[str, Any], kinds: Collection[str]) -> list[str]:
    """Where an error is, as the user would say it: a parameter by its name, and nothing that only pydantic knows."""
    path = [str(part) for part in place]
    if len(path) > 1 and path[0] == "parameter":
        entry = _at(content, place[:2])
        name = entry.get("name") if isinstance(entry, Mapping) else None
        path[1] = name if name and isinstance(name, str) else f"number {place[1] + 1}"
    if len(path) > 2 and path[0] == "protocol" and path[2] in kinds:
        del path[2]
    if len(path) > 2 and path[-3] == "efel":  # the kind of value that was tried
        del path[-1]
    return path[:-1] if place and isinstance(place[-1], int) and len(path) > 2 else path


def _at(content: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        content = content[part]
    return content
