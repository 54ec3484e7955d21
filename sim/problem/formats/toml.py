"""A problem's content as the text of a problem.toml."""

import json
import re
from collections.abc import Mapping
from typing import Any

BARE = re.compile(r"[A-Za-z0-9_-]+")


def written(content: Mapping[str, Any]) -> str:
    """The text that `tomllib.loads` makes `content` of.

    Args:
        content: what a problem.toml holds: numbers, text, lists of them, tables, lists of tables.
    """
    return "\n".join(_table(content, ())).lstrip("\n") + "\n"


def _table(content: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Plain keys first, as TOML asks, then the tables inside."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in content.items() if not _is_table(value)]
    for key, value in content.items():
        name = ".".join(_key(part) for part in (*path, key))
        if isinstance(value, Mapping):
            inner = _table(value, (*path, key))
            only_tables = bool(value) and all(_is_table(v) for v in value.values())
            lines += inner if only_tables else ["", f"[{name}]", *inner]
        elif _is_table(value):
            for entry in value:
                lines += ["", f"[[{name}]]", *_table(entry, (*path, key))]
    return lines


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)
    )


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # TOML's basic strings escape as JSON's do
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)
