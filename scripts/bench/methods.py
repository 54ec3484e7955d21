"""Who takes part in the comparison, and with which settings."""

import importlib
import importlib.util
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gbar.sim import GbarError
from gbar.sim.errors import nearest

if TYPE_CHECKING:
    from gbar.agent.learning import AgentConfig
    from gbar.scripts.bench.trial import Peer


class Arm(NamedTuple):
    """gbar, or gbar with one part taken away."""

    without: str
    change: "Callable[[AgentConfig], AgentConfig]"


class Other(NamedTuple):
    """Somebody else's optimiser: "module:function" of scripts.bench.peers, and the package it needs."""

    search: str
    package: str | None
    retargets: bool = False  # whether it learns from an archive, and does nothing without


ARMS: dict[str, Arm] = {
    "gbar": Arm("nothing: the defaults", lambda agent: agent),
    "gbar-both": Arm("the choice of planner: both of them always", lambda agent: agent._replace(planner="both")),
    "gbar-policy": Arm("gradient planning: the learned policy alone", lambda agent: agent._replace(planner="policy")),
    "gbar-gradient": Arm("the policy: gradient planning alone", lambda agent: agent._replace(planner="gradient")),
    "gbar-untrained": Arm(
        "the policy's training: damped Gauss–Newton steps, with noise",
        lambda agent: agent._replace(planner="policy", trained=False),
    ),
    "gbar-no-validity": Arm(
        "validity heads: an undefined feature is learned as a value 27 SD away",
        lambda agent: agent._replace(validity=False),
    ),
    "gbar-no-trust": Arm(
        "the trust region: candidates from anywhere",
        lambda agent: agent._replace(plan=agent.plan._replace(radius=math.inf)),
    ),
    "gbar-no-local": Arm(
        "the Gaussian process: the ensemble alone judges candidates",
        lambda agent: agent._replace(plan=agent.plan._replace(kriging=False)),
    ),
    "gbar-no-breeding": Arm(
        "breeding: all candidates are planned", lambda agent: agent._replace(plan=agent.plan._replace(bred=0))
    ),
    "gbar-no-refining": Arm(
        "refining: the best candidates are not improved on",
        lambda agent: agent._replace(plan=agent.plan._replace(refined=0)),
    ),
    "gbar-single": Arm(
        "the ensemble: one network instead of six", lambda agent: agent._replace(fit=agent.fit._replace(members=1))
    ),
}
PEERS: dict[str, Other] = {
    "dfo-ls": Other("least_squares:search_from_centre", "dfols"),
    "dfo-ls-own": Other("least_squares:search_from_own", "dfols"),
    "random": Other("plain:search_sobol", None),
    "cma": Other("plain:search_cma", "cma"),
    "cma-max": Other("plain:search_cma_max", "cma"),
    "bluepyopt-ibea": Other("genetic:search_ibea", "bluepyopt"),
    "bluepyopt-cma": Other("genetic:search_cma", "bluepyopt"),
    "optuna-tpe": Other("tpe:search_tpe", "optuna"),
    "botorch-turbo": Other("trust_region:search_turbo", "botorch"),
    "botorch-composite": Other("composite:search_composite", "botorch"),
    "npe": Other("amortised:search_npe", "sbi", retargets=True),
}
METHODS = (*ARMS, *PEERS)
FRESH = tuple(name for name, other in PEERS.items() if not other.retargets)
GROUPS = {"all": (*ARMS, *FRESH), "arms": tuple(ARMS), "peers": FRESH}


def choose_methods(words: Sequence[str]) -> list[str]:
    """Methods by name or by group, each once, in the order given.

    Raises:
        GbarError: no such method, or its package is not installed.
    """
    chosen: dict[str, None] = {}
    for word in words:
        if word not in GROUPS and word not in METHODS:
            raise GbarError(f"no method '{word}'{nearest(word, (*METHODS, *GROUPS))}")
        chosen |= dict.fromkeys(GROUPS.get(word, (word,)))
    for name in chosen:
        package = PEERS[name].package if name in PEERS else None
        if package and importlib.util.find_spec(package) is None:
            raise GbarError(f"method '{name}' needs {package}, which is not installed: pip install 'gbar[bench,peers]'")
    return list(chosen)


def peer(name: str) -> "Peer":
    """The function that searches."""
    module, _, function = PEERS[name].search.partition(":")
    found: Peer = getattr(importlib.import_module(f"gbar.scripts.bench.peers.{module}"), function)
    return found
