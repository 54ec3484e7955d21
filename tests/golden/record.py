"""Golden runs, tunings whose solutions are kept to the last digit: `python -m tests.golden.record NAME` keeps one.

A run is worth comparing only with the processor and the versions that it was recorded with (one small difference in a
digit, and a later solution is another one): a record for each kind of processor, with its versions. Where solutions are
meant to change, delete the others, record again, and say in the commit why they do.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gbar.sim import processor
from tests.problems import ROOT

HERE = Path(__file__).parent
ENGINES = {"hh": "cvode atol 0.0001", "motoneuron": "coreneuron dt 0.025"}


def tuned(name: str, out: Path) -> dict[str, Any]:
    """Tune a bundled problem as users do, by the command; what of the result a golden run keeps."""
    asked = ["--seed", "0", "--batch", "8", "--engine", ENGINES[name], "--out", str(out)]
    command = [sys.executable, "-m", "gbar", "tune", str(ROOT / "models" / name), *asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    return {
        "versions": result["versions"],
        "evaluations": result["evaluations"],
        "solutions": [solution["parameters"] for solution in result["solutions"]],
    }


def kept(name: str) -> dict[str, Any]:
    """The golden runs of that name, by processor."""
    return dict(json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")))


if __name__ == "__main__":
    for name in sys.argv[1:] or ENGINES:
        with tempfile.TemporaryDirectory() as folder:
            found = tuned(name, Path(folder))
        content = json.dumps({**kept(name), processor(): found}, indent=1)
        (HERE / f"{name}.json").write_text(content + "\n", encoding="utf-8")
        print(f"{name}: {len(found['solutions'])} solutions in {found['evaluations']} evaluations")
