"""The comparison as a figure: the share of runs solved against evaluations and against wall clock."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gbar.scripts.bench.methods import ARMS, METHODS
from gbar.scripts.bench.score import Score
from gbar.sim import GbarError

KINDS = (".svg", ".png", ".pdf")
AXES = {"evaluations": "evaluations to the first solution", "total_s": "wall clock to the first solution, s"}


def check_figure(file: Path) -> None:
    """Raises GbarError when a figure of that name could not be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise GbarError("a figure needs matplotlib, which is not installed: pip install 'gbar[bench]'")
    if file.suffix not in KINDS:
        raise GbarError(f"--figure {file}: expected a name that ends in {', '.join(KINDS)}")


def draw(scores: Sequence[Score], file: Path) -> None:
    """Write the figure. A run that is not solved never counts as solved. Raises GbarError as `check_figure` does."""
    check_figure(file)
    from matplotlib.figure import Figure

    problems = list(dict.fromkeys(score.problem for score in scores))
    figure = Figure(figsize=(10.0, 0.8 + 3.4 * len(problems)), layout="constrained")
    axes = figure.subplots(len(problems), len(AXES), squeeze=False, sharey=True)
    for row, problem in zip(axes, problems, strict=True):
        for ax, (field, label) in zip(row, AXES.items(), strict=True):
            _panel(ax, [score for score in scores if score.problem == problem], field)
            ax.set_xlabel(label)
        row[0].set_title(problem, loc="left", fontweight="bold")
        row[0].set_ylabel("share of runs solved")
    handles = {line.get_label(): line for ax in axes.flat for line in ax.get_lines()}
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", frameon=False, fontsize="small")
    file.resolve().parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=150)


def _panel(ax: Any, scores: Sequence[Score], field: str) -> None:
    end = max(getattr(score, field) for score in scores)
    for method in METHODS:
        runs = [score for score in scores if score.method == method]
        if not runs:
            continue
        at = np.sort([getattr(score, field) for score in runs if score.solved])
        share = np.arange(len(at) + 1) / len(runs)
        places = np.concatenate([[0.0], at, [end]])
        ax.step(places, np.append(share, share[-1]), where="post", label=method, **_style(method))
    ax.set_xscale("symlog", linthresh=10)
    ax.set_xlim(left=1)
    ax.set_ylim(-0.02, 1.02)
    ax.grid(alpha=0.25)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _style(method: str) -> dict[str, Any]:
    """gbar in one colour, solid and strong where it is whole; everybody else in a colour of their own."""
    if method in ARMS:
        dashes = [(5, 1, 1, 1, 1, 1), (1, 3), (8, 2), (2, 5), (8, 2, 2, 2), (3, 1)]
        styles = ["-", "--", "-.", ":", *((0, each) for each in dashes)]
        style = styles[list(ARMS).index(method) % len(styles)]
        return {"color": "#1f4e9c", "ls": style, "lw": 2.4 if method == "gbar" else 1.3}
    others = [name for name in METHODS if name not in ARMS]
    palette = ["#777777", "#d1495b", "#edae49", "#00798c", "#66a182", "#8d5a97", "#b5651d", "#e07a5f", "#a3b18a"]
    palette += ["#222222", "#c9a0dc"]
    return {"color": palette[others.index(method) % len(palette)], "lw": 1.5}
