"""A cell as SVG: its sections as a tree, by length and thickness, and its traced shape."""

from collections import Counter
from dataclasses import dataclass

from gbar.sim.setup import Branch, Outline

WIDTH, ROW, LEAST_ROW, TALLEST = 720.0, 40.0, 3.0, 560.0
LABELLED = 26  # sections up to which each is named
THICKEST = 12.0  # px
SHAPE = 420.0  # px, the longer side of a shape
KINDS = {  # by what a name holds
    "soma": ("soma",),
    "axon": ("axon", "hillock", "iseg", "ais", "node", "myelin", "is["),
    "apical": ("apic",),
}


@dataclass(frozen=True)
class Piece:
    """One section as a line of the tree, px."""

    name: str
    title: str
    kind: str
    x1: float
    x2: float
    y: float
    width: float
    from_y: float | None  # of the parent's line, where it joins
    label: str
    label_x: float
    label_y: float


@dataclass(frozen=True)
class Tree:
    """The sections, from the root on the left."""

    pieces: list[Piece]
    height: float
    scale: tuple[float, str]  # px, and the length that they stand for


def kind_of(name: str) -> str:
    """What a section is, by its name."""
    low = name.lower()
    return next((kind for kind, words in KINDS.items() if any(word in low for word in words)), "dendrite")


def tree(outline: Outline) -> Tree:
    """Every section as a line: as long as it is, as thick as it is, where it joins its parent."""
    branches = outline.branches
    children: dict[int | None, list[int]] = {}
    for index, branch in enumerate(branches):
        children.setdefault(branch.parent, []).append(index)
    order, start = _order(branches, children)
    leaves = sum(1 for index in order if not children.get(index))
    row = max(LEAST_ROW, min(ROW, TALLEST / max(1, leaves)))
    y = _rows(order, children, row)
    longest = max((start[i] + branches[i].L for i in order), default=1.0) or 1.0
    scale = (WIDTH - 150.0 if len(branches) <= LABELLED else WIDTH - 12) / longest
    thick = max((branch.diam for branch in branches), default=1.0)
    pieces = []
    for i in order:
        branch = branches[i]
        x1, x2 = start[i] * scale + 4, (start[i] + branch.L) * scale + 4
        below = x2 - x1 > 8 * len(branch.name)  # else beside it
        pieces.append(
            Piece(
                branch.name,
                _title(branch),
                kind_of(branch.name),
                round(x1, 1),
                round(max(x2, x1 + 2), 1),
                round(y[i], 1),
                round(max(1.4, min(THICKEST, row * 0.8) * (branch.diam / thick) ** 0.5), 1),
                None if branch.parent is None else round(y[branch.parent], 1),
                branch.name if len(branches) <= LABELLED else "",
                round(x1 + 4 if below else x2 + 7, 1),
                round(y[i] + 18 if below else y[i] + 4, 1),
            )
        )
    unit = _round_length(longest / 5)
    return Tree(pieces, round(max(y.values(), default=0.0) + row, 1), (round(unit * scale, 1), f"{unit:g} µm"))


def _order(branches: list[Branch], children: dict[int | None, list[int]]) -> tuple[list[int], list[float]]:
    """Parents before children, and where each begins, um from the root's end."""
    order: list[int] = []
    start = [0.0] * len(branches)
    waiting = list(reversed(children.get(None, [])))
    while waiting:
        index = waiting.pop()
        branch = branches[index]
        order.append(index)
        if branch.parent is not None:
            start[index] = start[branch.parent] + branch.at * branches[branch.parent].L
        waiting += reversed(children.get(index, []))
    return order, start


def _rows(order: list[int], children: dict[int | None, list[int]], row: float) -> dict[int, float]:
    """Leaves one below the other, parents in the middle of their children."""
    y: dict[int, float] = {}
    at = row / 2 + 4
    for index in order:
        if not children.get(index):
            y[index] = at
            at += row
    for index in reversed(order):
        if index not in y:
            of = [y[child] for child in children[index]]
            y[index] = (min(of) + max(of)) / 2
    return y


def _title(branch: Branch) -> str:
    has = ", ".join(branch.has) or "no mechanism"
    return f"{branch.name}: {branch.L:.3g} × {branch.diam:.3g} µm, {branch.nseg} segments; {has}"


def _round_length(length: float) -> float:
    power = 10.0
    while power > length and power > 0.01:
        power /= 10
    while power * 10 <= length:
        power *= 10
    return max(m * power for m in (1, 2, 5) if m * power <= max(length, power))


@dataclass(frozen=True)
class Shape:
    """A traced cell from the side, px."""

    width: float
    height: float
    lines: list[tuple[str, str, float, str]]  # path, kind, thickness, title


def shape(outline: Outline) -> Shape | None:
    """The cell as it was traced, looked at along its shallowest axis; None where it was not traced."""
    if not outline.traced:
        return None
    points = [point for branch in outline.branches for point in branch.points]
    low = [min(p[k] for p in points) for k in range(3)]
    span = [max(p[k] for p in points) - low[k] for k in range(3)]
    across, up = sorted(sorted(range(3), key=lambda k: -span[k])[:2])
    scale = SHAPE / max(span[across], span[up], 1e-9)
    lines = []
    for branch in outline.branches:
        if len(branch.points) > 1:
            at = [
                (10 + (p[across] - low[across]) * scale, 10 + (span[up] - p[up] + low[up]) * scale)
                for p in branch.points
            ]
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
            thick = sum(p[3] for p in branch.points) / len(branch.points)
            lines.append((path, kind_of(branch.name), round(max(0.9, thick * scale), 1), _title(branch)))
    return Shape(round(span[across] * scale + 20, 1), round(span[up] * scale + 20, 1), lines)


@dataclass(frozen=True)
class Group:
    """Sections of one name."""

    name: str
    sections: int
    segments: int
    length: float  # um, of all
    mechanisms: str
    kind: str


def groups(outline: Outline) -> list[Group]:
    """Sections by the name before the bracket, with what is in them."""
    found: dict[str, list[Branch]] = {}
    for branch in outline.branches:
        found.setdefault(branch.name.partition("[")[0], []).append(branch)
    out = []
    for name, members in found.items():
        counts = Counter(mechanism for member in members for mechanism in member.has)
        words = [m if n == len(members) else f"{m} (in {n})" for m, n in sorted(counts.items())]
        length, segments = sum(b.L for b in members), sum(b.nseg for b in members)
        out.append(Group(name, len(members), segments, length, ", ".join(words) or "none", kind_of(name)))
    return out
