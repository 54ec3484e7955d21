"""Public problems with real or published targets: a loader each, which says where its files come from.

None of the files is part of gbar: fetch the repository yourself, and name its folder.
"""

from gbar.scripts.bench.problems import allen, bluepyopt, corticospinal, neuroptimus
from gbar.scripts.bench.problems.published import Published, hide, published_fit, write_problem

__all__ = ["PROBLEMS", "Published", "hide", "published_fit", "write_problem"]

PROBLEMS = {
    "corticospinal": Published(
        corticospinal.SOURCE, "Neymotin et al. 2017: six sections, fourteen recorded sweeps", corticospinal.whole
    ),
    "corticospinal-few": Published(
        corticospinal.SOURCE, "Neymotin et al. 2017: six sections, four of fourteen recorded sweeps", corticospinal.few
    ),
    "ca1-simplified": Published(
        neuroptimus.SOURCE, "Neuroptimus' case 4: six sections that fire as a detailed CA1 cell", neuroptimus.simplified
    ),
    "ca1-detailed": Published(
        neuroptimus.SOURCE,
        "Neuroptimus' case 6: a detailed CA1 cell, means and SDs of recorded cells",
        neuroptimus.detailed,
    ),
    "l5pc": Published(bluepyopt.SOURCE, "BluePyOpt's layer 5 pyramidal cell, 20 parameters", bluepyopt.pyramidal),
    "l5pc-cheap": Published(
        bluepyopt.SOURCE,
        "the same, one segment a section, CVODE at 1e-2: seconds",
        lambda source: bluepyopt.cheap(bluepyopt.pyramidal(source)),
    ),
    "thalamocortical": Published(
        bluepyopt.SOURCE, "BluePyOpt's thalamocortical cell (Iavarone et al. 2019)", bluepyopt.thalamocortical
    ),
    "thalamocortical-cheap": Published(
        bluepyopt.SOURCE,
        "the same, one segment a section, CVODE at 1e-2",
        lambda source: bluepyopt.cheap(bluepyopt.thalamocortical(source)),
    ),
    "allen-sst": Published(
        allen.SOURCE, "an Allen perisomatic model of a somatostatin cell, features of its sweeps", allen.perisomatic
    ),
}
