"""What every part of a problem.toml is: frozen, without unknown keys, every number finite; and what a name is."""

import re

from pydantic import AfterValidator, BaseModel, ConfigDict

LONGEST_NAME = 100


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def name_of(what: str, *, also: str = "") -> AfterValidator:
    """A check that text is a name: what files, tables and command lines can hold without quotes and surprises."""

    def check(name: str) -> str:
        if not is_name(name, also):
            raise ValueError(
                f"{name[:40]!r} is no name for a {what}: expected up to {LONGEST_NAME} letters, digits and "
                f"_ - + {' '.join(also)}, with single spaces inside at most"
            )
        return name

    return AfterValidator(check)


def is_name(name: str, also: str = "") -> bool:
    """Whether text is made of words: letters, digits, _ - + and what is in `also`."""
    word = rf"[\w\-+{re.escape(also)}]+"
    return len(name) <= LONGEST_NAME and bool(re.fullmatch(rf"{word}( {word})*", name))


PARAMETER_SIGNS = ".[](){}/*^@%:&#"  # g.soma, g[0], a/b, as other tools call them
