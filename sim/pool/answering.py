"""The process that answers one question, see `ask`: `python -m gbar.sim.pool.answering MODULE:NAME LIFE`.

A file of its own: Python warns of running what the package has imported already.
"""

import importlib
import json
import os
import sys

from gbar.sim.errors import GbarError
from gbar.sim.pool.life import die_with_parent


def main() -> None:
    """Keep stdout for the answer, send everything that is printed to stderr."""
    die_with_parent(int(sys.argv[2]))
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(module), name)
    sys.dont_write_bytecode = True  # nothing of ours in the user's folder
    sys.argv = sys.argv[:1]
    try:
        answer = ["answer", function(json.load(sys.stdin))]
    except GbarError as error:
        answer = ["refused", str(error)]
    out.write(json.dumps(answer))
    out.flush()
    sys.stdout.flush()
    os._exit(0)  # NEURON's own clean-up can crash after a model that tore down its sections


if __name__ == "__main__":
    main()
