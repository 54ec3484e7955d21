"""A cell from a morphology: sections, lists, segments, and the stub that stands for a cut axon."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.neuron

SWC = """1 1 0 -10 0 10 -1
2 1 0 10 0 10 1
3 3 0 11 0 1 2
4 3 0 120 0 0.5 3
5 2 0 -11 0 1.0 1
6 2 0 -61 0 0.6 5
7 2 30 -91 0 0.4 6
8 2 -30 -91 0 0.2 6
9 4 10 0 0 1.5 2
10 4 210 0 0 1 9
"""
SCRIPT = """
import json, sys
from pathlib import Path
from gbar.sim import cell
from gbar.sim.errors import GbarError
from gbar.sim.problem.problem import Model

out = []
for given in json.loads(sys.argv[2]):
    try:
        c = cell.build(Path(sys.argv[1]), Model(**{"load": "cell.swc", "celsius": 6.3, "v_init": -65, **given}))
    except GbarError as error:
        out.append(str(error))
        continue
    lists = {name: len(getattr(c.object, name)) for name in ("somatic", "basal", "apical", "axonal", "all")}
    axon = [[s.L, round(s.diam, 6), s.parentseg().sec.name()] for s in c.object.axon]
    leak = [round(x.g_pas, 9) for s in c.object.apical for x in s] if c.sections[0].has_membrane("pas") else []
    out.append({"lists": lists, "axon": axon, "nseg": {cell.short_name(s): s.nseg for s in c.sections}, "leak": leak})
print(json.dumps(out))
"""
PAS = {"insert": {"all": ["pas"]}, "values": {"all.g_pas": 1e-4, "apical.g_pas": "1e-4 * exp(distance / 100)"}}
CASES: dict[str, dict[str, Any]] = {
    "as traced": {"segment_length": 40.0},
    "stub": {"axon": "stub", "segment_length": 40.0},
    "none": {"axon": "none"},
    "rule": {"segment_length": 100.0, **PAS},
    "fine": {"d_lambda": 0.02, "insert": {"all": ["pas"]}},
    "unknown mechanism": {"insert": {"all": ["pass"]}},
    "no such file": {"load": "nothing.swc"},
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, fresh: Callable[..., Any]) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("morphology")
    (folder / "cell.swc").write_text(SWC)
    (folder / "nothing.swc").write_text("# no point in it\n")
    return dict(zip(CASES, fresh(SCRIPT, folder, json.dumps(list(CASES.values()))), strict=True))


def test_sections_lists_and_the_axon(built: dict[str, Any]) -> None:
    """The stub: two cylinders of 30 µm, with the axon's diameters at its start and 60 µm from the soma's middle."""
    assert built["as traced"]["lists"] == {"somatic": 1, "basal": 1, "apical": 1, "axonal": 3, "all": 6}
    assert built["stub"]["lists"] == {"somatic": 1, "basal": 1, "apical": 1, "axonal": 2, "all": 5}
    (length, near, parent), (second, far, before) = built["stub"]["axon"]
    assert (length, second, parent, before) == (30.0, 30.0, "cell.soma[0]", "cell.axon[0]")
    assert (near, far) == (pytest.approx(1.608), pytest.approx(1.0))  # the middle of the trunk, of its first branch
    assert built["none"]["lists"]["axonal"] == 0


def test_segments(built: dict[str, Any]) -> None:
    """1 + 2 ⌊L / segment_length⌋, or NEURON's rule, which makes more where it is asked for shorter ones."""
    assert built["as traced"]["nseg"]["dend[0]"] == 1 + 2 * int(109 / 40)
    assert built["as traced"]["nseg"]["soma[0]"] == 1
    assert built["fine"]["nseg"]["dend[0]"] > built["none"]["nseg"]["dend[0]"]
    assert all(n % 2 for n in built["fine"]["nseg"].values())


def test_fixed_values_with_distance_hold_for_every_segment(built: dict[str, Any]) -> None:
    """Set once before the sections are cut, and again for the segments that this makes."""
    leak = built["rule"]["leak"]
    assert len(leak) == 1 + 2 * int(200 / 100)
    length = 200 + math.hypot(10, 10)  # µm, from the soma's last point on
    assert leak[-1] / leak[0] == pytest.approx(math.exp(0.8 * length / 100), rel=1e-4)


def test_what_cannot_be_read(built: dict[str, Any]) -> None:
    assert "no mechanism 'pass' (nearest: 'pas')" in built["unknown mechanism"]
    assert "nothing.swc" in built["no such file"] and "\n" not in built["no such file"]


def test_types_of_its_own_are_part_of_the_cell(fresh: Callable[..., Any], tmp_path: Path) -> None:
    """An SWC may use types above 4, as published ones do: in no list but `all`, cut and filled as the rest is."""
    (tmp_path / "cell.swc").write_text(SWC + "11 10 0 -10 50 0.5 1\n12 10 0 -10 250 0.5 11\n")
    script = SCRIPT.replace(
        "out.append({", 'out.append({"bare": [s.name() for s in c.sections if not s.has_membrane("pas")], '
    )
    (found,) = fresh(script, tmp_path, json.dumps([{"segment_length": 40.0, "insert": {"all": ["pas"]}}]))
    assert found["bare"] == []
    assert found["lists"] == {"somatic": 1, "basal": 1, "apical": 1, "axonal": 3, "all": 7}
    assert [n for name, n in found["nseg"].items() if name.startswith("dend_10")] == [13]  # from the soma on, 250 µm
