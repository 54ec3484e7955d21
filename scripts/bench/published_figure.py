"""Draw docs/published.svg: the original paper's protocol on the bundled motoneuron as it comes."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts.interrupts import as_process

ROOT = Path(__file__).resolve().parents[2]


def published_figure(
    out: Annotated[Path, typer.Option(metavar="FILE", help="SVG or PNG.")] = ROOT / "docs" / "published.svg",
) -> None:
    """Simulate -5 nA for 100 ms at the middle of the soma with the model's own parameters, and plot the voltage."""
    import matplotlib

    from gbar.sim import Integrator, Workers, load_problem

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "gbar"  # the same picture, byte for byte, each time
    from matplotlib import pyplot

    problem = load_problem(ROOT / "models" / "motoneuron", measured=False)
    with Workers(problem, 1) as pool:
        own = pool.found.own
        ((_, done),) = pool.run([own], traces=True, integrator=Integrator.of(problem).tight())
    t, v = done.traces["published"]
    after = t >= 100
    figure, axes = pyplot.subplots(figsize=(6, 2.6), layout="constrained")
    axes.axvspan(150, 250, color="0.93", lw=0)
    axes.plot(t[after], v[after], color="#0b5c8a", lw=1.6)
    axes.set(xlabel="time, ms", ylabel="soma voltage, mV", xlim=(100, 350))
    axes.annotate("−5 nA", (200, axes.get_ylim()[1]), ha="center", va="top", color="0.4")
    axes.spines[["top", "right"]].set_visible(False)
    out.parent.mkdir(exist_ok=True)
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)
    print(f"steady {v[(t > 240) & (t < 250)].mean():.2f} mV, minimum {v.min():.2f} mV; {out}")


if __name__ == "__main__":
    as_process(lambda: typer.run(published_figure))
