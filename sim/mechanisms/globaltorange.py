"""A private copy of a MOD file in which a GLOBAL parameter is RANGE, so that copies of a cell can differ in it.

Text in, text out: the user's file stays as it is. The GLOBAL stays too, for the code that sets it; the equations read a
new RANGE parameter instead. Nothing here needs NEURON.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from gbar.sim.errors import GbarError

TOKEN = re.compile(
    r"""(?P<verbatim>\bVERBATIM\b.*?\bENDVERBATIM\b)
    |(?P<skip>\bCOMMENT\b.*?\bENDCOMMENT\b | \bTITLE\b[^\n]* | [:?][^\n]*)
    |(?P<string>"[^"\n]*")
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<space>\s+)
    |(?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)
DECLARING = {"NEURON", "PARAMETER", "UNITS", "ASSIGNED", "STATE", "CONSTANT", "INDEPENDENT", "DEPENDENT"}
NAMED = {"FUNCTION", "PROCEDURE", "DERIVATIVE", "KINETIC", "LINEAR", "NONLINEAR", "DISCRETE", "FUNCTION_TABLE"}
UNNAMED = {"INITIAL", "BREAKPOINT", "NET_RECEIVE", "CONSTRUCTOR", "DESTRUCTOR", "BEFORE", "AFTER"}
BLOCKS = DECLARING | NAMED | UNNAMED
KINDS = {"SUFFIX", "POINT_PROCESS", "ARTIFICIAL_CELL"}


class GlobalToRange(NamedTuple):
    """A GLOBAL that has become RANGE."""

    variable: str  # what hoc calls the GLOBAL, such as vhalf_kdr
    mechanism: str
    name: str  # of the RANGE parameter that takes its place, without the mechanism's
    point: bool  # whether the mechanism is a point process

    @property
    def attribute(self) -> str:
        """What hoc calls the RANGE parameter, on a segment or on a point process."""
        return self.name if self.point else f"{self.name}_{self.mechanism}"


class Token(NamedTuple):
    """A piece of a MOD file, with the block that it stands in."""

    kind: str
    text: str
    block: int = -1  # which of the outermost blocks; -1 outside of all
    head: str = ""  # the keyword of that block, such as PARAMETER
    opening: bool = False  # whether it comes before the block's brace


def spread(texts: Mapping[str, str], variables: Iterable[str]) -> tuple[dict[str, str], tuple[GlobalToRange, ...]]:
    """Make GLOBAL parameters of MOD files RANGE.

    Args:
        texts: of MOD files and of what they include, by file name.
        variables: as hoc calls them, such as vhalf_kdr. What belongs to none of the files is left out.

    Returns:
        The new texts of the files that change, and what was done.

    Raises:
        GbarError: a file uses the parameter in a way that only a GLOBAL allows.
    """
    changed: dict[str, str] = {}
    done: list[GlobalToRange] = []
    for variable in dict.fromkeys(variables):
        for file in (name for name in texts if name.endswith(".mod")):
            text = changed.get(file) or _inlined(texts[file], texts)
            tokens = list(_tokens(text))
            kind, mechanism = _mechanism(tokens)
            name = variable.removesuffix(f"_{mechanism}")
            if not mechanism or name == variable or not _is_global(tokens, name):
                continue
            where = f"{file}: '{name}' cannot differ between copies of the cell: "
            if kind == "ARTIFICIAL_CELL":
                raise GbarError(f"{where}an ARTIFICIAL_CELL lies in no cell")
            _check_others(texts, file, variable, where)
            _check(tokens, name, where)
            new = f"{name}_gbar"
            while any(token.text == new for token in tokens):
                new += "_"
            changed[file] = _rewritten(tokens, name, new, where)
            done.append(GlobalToRange(variable, mechanism, new, kind == "POINT_PROCESS"))
            break
    return changed, tuple(done)


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of every piece, from the first character to the last."""
    for found in TOKEN.finditer(text):
        yield str(found.lastgroup), found[0]


def _inlined(text: str, texts: Mapping[str, str], depth: int = 0) -> str:
    """The text with what it INCLUDEs in place. Raises GbarError where that is not beside it."""
    out: list[str] = []
    including = False
    for kind, piece in _pieces(text):
        if including and kind == "string":
            name = piece.strip('"')
            if name not in texts or depth > 9:
                raise GbarError(f"INCLUDE {piece}: no such file beside the MOD files: put it there")
            out[-1] = _inlined(texts[name], texts, depth + 1)
            including = False
        elif not (including and kind == "space"):
            including = kind == "word" and piece == "INCLUDE"
            out.append(piece)
    return "".join(out)


def _tokens(text: str) -> Iterator[Token]:
    """Every piece with its block: outermost blocks are numbered in their order."""
    block, depth, head = -1, 0, ""
    for kind, piece in _pieces(text):
        if kind == "word" and depth == 0 and piece in BLOCKS:
            block, head = block + 1, piece
        depth += (piece == "{") - (piece == "}") if kind == "sign" else 0
        yield Token(kind, piece, block if head else -1, head, bool(head) and depth == 0 and piece != "}")
        if kind == "sign" and piece == "}" and depth == 0:
            head = ""


def _words(tokens: Iterable[Token]) -> list[Token]:
    """What the language itself reads: no white space, no comments."""
    return [token for token in tokens if token.kind not in {"space", "skip"}]


def _mechanism(tokens: list[Token]) -> tuple[str, str]:
    """How a file's mechanism is declared, and its name; ("", "") where it makes none."""
    words = [token for token in _words(tokens) if token.head == "NEURON"]
    for token, following in itertools.pairwise(words):
        if token.text in KINDS:
            return (token.text, following.text) if following.text != "nothing" else ("", "")
    return "", ""


def _is_global(tokens: list[Token], name: str) -> bool:
    """Whether hoc has one value of `name` for the process: a PARAMETER that is not RANGE, or what GLOBAL lists."""
    words = _words(tokens)
    listed = {kind: _listed([t.text for t in words if t.head == "NEURON"], kind) for kind in ("RANGE", "GLOBAL")}
    if name in listed["RANGE"]:
        return False
    return name in listed["GLOBAL"] or _declaration(tokens, name) is not None


def _listed(words: list[str], keyword: str) -> set[str]:
    """The names that stand behind a keyword, with commas between them."""
    found: set[str] = set()
    for i in (i for i, word in enumerate(words) if word == keyword):
        found.add(words[i + 1])
        while words[i + 2] == ",":
            i += 2
            found.add(words[i + 1])
    return found


def _declaration(tokens: list[Token], name: str) -> str | None:
    """What PARAMETER says of a name, from behind it to its unit: " = -35 (mV)". None where it is not declared there."""
    inside = [token for token in tokens if token.head == "PARAMETER" and token.kind != "skip"]
    words = [i for i, token in enumerate(inside) if token.kind != "space"]
    texts = [inside[i].text for i in words]
    for k, text in enumerate(texts):
        if text != name or texts[k - 1] == "(":  # the unit of that name
            continue
        end = k + 1  # the first word that belongs to the next declaration
        if texts[end] == "[":
            return "["
        if texts[end] == "=":
            end += 3 if texts[end + 1] in {"-", "+"} else 2
        if texts[end] == "(":
            end = texts.index(")", end) + 1
        return "".join(token.text for token in inside[words[k] + 1 : words[end - 1] + 1])
    return None


def _check_others(texts: Mapping[str, str], file: str, variable: str, where: str) -> None:
    """Raises GbarError where another file reads the GLOBAL itself."""
    for other, text in texts.items():
        if other != file and re.search(rf"\b{variable}\b", text):
            raise GbarError(f"{where}{other} reads '{variable}', which has one value")


def _check(tokens: list[Token], name: str, where: str) -> None:
    """Raises GbarError where a RANGE parameter cannot stand for the GLOBAL."""
    words = _words(tokens)
    said = _declaration(tokens, name)
    if said is None:
        raise GbarError(f"{where}it is GLOBAL but no PARAMETER")
    if said == "[":
        raise GbarError(f"{where}it is an array")
    if any(t.kind == "verbatim" and re.search(rf"\b{name}\b", t.text) for t in words):
        raise GbarError(f"{where}VERBATIM code uses it")
    users = _users(words, name)
    for token in words:
        if token.text == "TABLE" and token.block in users:
            raise GbarError(
                f"{where}a TABLE is made with one value of it: take the TABLE out, or an engine for one cell"
            )
        if token.head == "CONSTRUCTOR" and token.block in users:
            raise GbarError(f"{where}CONSTRUCTOR uses it, before any copy has its own value")


def _users(words: list[Token], name: str) -> set[int]:
    """The blocks that use a name, themselves or through what they call."""
    called: dict[str, int] = {}
    for token, following in itertools.pairwise(words):
        if token.opening and token.text in NAMED and following.kind == "word":
            called[following.text] = token.block
    users = {t.block for t in words if t.kind == "word" and t.text == name and t.block >= 0 and t.head not in DECLARING}
    while True:
        more = {t.block for t in words if not t.opening and t.kind == "word" and called.get(t.text) in users} - users
        if not more:
            return users
        users |= more


def _rewritten(tokens: list[Token], name: str, new: str, where: str) -> str:
    """The text in which equations read `new`. Raises GbarError where they set `name`."""
    added = {"NEURON": f" RANGE {new}", "PARAMETER": f" {new}{_declaration(tokens, name)}"}
    uses = set(_uses(tokens, name))
    out: list[str] = []
    for i, token in enumerate(tokens):
        if i in uses:
            after = "".join(t.text for t in _words(tokens[i + 1 :])[:2])
            if after.startswith("=") and after != "==":
                raise GbarError(f"{where}{token.head} sets it")
        out.append(new if i in uses else token.text)
        if token.text == "{":
            out.append(added.pop(token.head, ""))
    return "".join(out)


def _uses(tokens: list[Token], name: str) -> Iterator[int]:
    """Where equations mean the parameter `name`: not a LOCAL or an argument of that name, and not a unit."""
    hidden: list[set[str]] = [set()]  # arguments and LOCAL names, for each brace that is open
    before = Token("", "")
    listing = unit = False  # inside the list of LOCAL, inside the unit of a number or of an argument
    for i, token in enumerate(tokens):
        text = token.text
        if token.kind in {"space", "skip"}:
            continue
        if token.block != before.block:
            hidden = [set()]
        if text == "(" and (before.kind == "number" or (token.opening and before.text in {")", *hidden[-1]})):
            unit = True
        listed = listing and before.text in {"LOCAL", ","}
        if token.kind == "word" and token.head and token.head not in DECLARING and not unit:
            if listed or (token.opening and before.text in {"(", ","}):
                hidden[-1].add(text)
            elif text == name and not any(name in names for names in hidden):
                yield i
        listing = text == "LOCAL" or (listing and (listed or text in {",", "[", "]"} or token.kind == "number"))
        unit = unit and text != ")"
        if text == "{":
            hidden.append(set())
        elif text == "}":
            hidden.pop()
        before = token
