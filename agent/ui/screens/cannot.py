"""It cannot: what stands in the way of a solution, and the nearest that can be had."""

from gbar.agent.report import compromises, findings
from gbar.agent.ui.drawing import z_bars
from gbar.agent.ui.pages import Screen, Visit, render
from gbar.agent.ui.screens.answer import contents_of, needs_sets


def _body(visit: Visit) -> str:
    contents = contents_of(visit)
    result, found = contents.result, findings(contents.result)
    nearest = contents.shown[contents.best] if contents.shown else None
    bars = z_bars(contents.measurements, nearest.z, nearest.features, result.tolerance) if nearest else None
    return render(
        "cannot.html.j2",
        visit=visit,
        result=result,
        state=contents.state,
        obstacles=[finding for finding in found if finding.is_in_the_way],
        others=[finding for finding in found if not finding.is_in_the_way],
        bars=bars,
        compromises=compromises(result),
        missed=[row for row in bars.rows if not row.passes] if bars else [],
    )


CANNOT = Screen("cannot", "It cannot", _body, group="answer", ready=needs_sets)
