"""What a result is made of: result.json, object by object."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gbar.sim import GbarError
from gbar.sim.files import read_json
from gbar.sim.problem import Measurement, demanded, unit

SDs = Annotated[float, unit("SD")]
Seconds = Annotated[float, unit("s")]
Share = Annotated[float, unit("0…1")]
InNeuronsUnit = Annotated[float, unit("NEURON's")]
InItsUnit = Annotated[float, unit("the feature's")]
Evaluations = Annotated[int, unit("evaluations")]

FREE = 0.8  # uncertainty left from which on the measurements do not constrain a parameter


class Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """What a file holds; None where there is none, or another version's."""
        try:
            return cls.model_validate(read_json(file))
        except (GbarError, ValidationError):
            return None


class Candidate(Plain):
    """One parameter set and what NEURON makes of it at the confirming accuracy."""

    parameters: dict[str, InNeuronsUnit] = Field(description="name → value")
    features: dict[str, InItsUnit | None] = Field(description="every computed feature, measured or not")
    z: dict[str, SDs | None] = Field(description="(feature − mean) / SD of every measurement")
    max_abs_z: SDs | None = Field(description="the largest |z|; `null` if a measured feature is undefined")
    undefined: int = Field(default=0, description="measured features that are not defined")
    gives_up: list[str] = Field(
        default_factory=list, description="the measurements that it misses: first what must hold, then the furthest"
    )
    shortfall: SDs | None = Field(
        default=None,
        description="the sum of what |z| exceed the tolerance by, times weights; a |z| counts 20 at most, or if it "
        "is not defined",
    )
    proposer: str = Field(description="`design`, `policy`, `gradient`, `local`, `bred`, or `archive` for another run's")
    evaluation: int = Field(description="its number in the run; 0 for another run's")


class Accuracy(Plain):
    """How well the surrogate predicted one feature before it was simulated."""

    rmse_over_sd: SDs | None = Field(
        description="root mean square error over the whole run; `null` with fewer than two"
    )
    coverage_90: Share | None = Field(
        description="simulated values in the predicted 90 % interval; below 0.9 is over-confident"
    )
    n: int = Field(description="predictions whose simulated value was defined")
    recent_rmse_over_sd: SDs | None = Field(default=None, description="the error over the second half of the run")
    verdict: str = Field(
        description="`good` (recent error ≤ 0.5, coverage ≥ 0.8), `usable` (≤ 1, ≥ 0.6), `do not trust`, `not tested`"
    )


class Wall(Plain):
    """Seconds of wall clock. All but `compile` add up to `total`, less a few that nothing is worth naming for."""

    simulate: Seconds = Field(description="waiting for NEURON")
    fit: Seconds = Field(description="training the surrogate and the policy")
    plan: Seconds = Field(description="proposing candidates")
    total: Seconds = Field(description="this session from beginning to end")
    choose: Seconds = Field(default=0.0, description="trying engines, once for a model")
    start: Seconds = Field(default=0.0, description="building the mechanisms, starting NEURON, loading the model")
    diagnose: Seconds = Field(default=0.0, description="looking for what is in the way")
    earlier: Seconds = Field(default=0.0, description="earlier sessions that left a result")
    write: Seconds = Field(default=0.0, description="summing up, the page and every solution's files")
    compile: Seconds = Field(default=0.0, description="JAX compiling; contained in `fit` and `plan`")

    def parts(self) -> list[tuple[str, int]]:
        """What the time went into, in words and whole seconds that add up to the rounded `total`, in the order of
        doing; what nothing has a name for is last."""
        fit = f"learning ({self.compile:.0f} s of it compiling)" if self.compile >= 1 else "learning"
        named = [
            ("choosing an engine", self.choose),
            ("starting NEURON", self.start),
            ("simulating", self.simulate),
            (fit, self.fit),
            ("planning", self.plan),
            ("looking at what is in the way", self.diagnose),
            ("summing up and writing", self.write),
        ]
        always = {"simulating", fit, "planning"}
        kept = [(word, seconds) for word, seconds in named if word in always or seconds >= 0.5]
        rest = max(0.0, self.total - sum(seconds for _, seconds in kept))
        kept += [("the rest", rest)] if rest >= 0.5 else []
        whole = [int(seconds) for _, seconds in kept]
        lacking = round(self.total) - sum(whole)  # goes to those that were cut most
        most_cut = sorted(range(len(kept)), key=lambda i: whole[i] - kept[i][1])
        return [(word, whole[i] + (i in most_cut[: max(0, lacking)])) for i, (word, _) in enumerate(kept)]


class Measured(Plain):
    protocol: str = Field(description="the table's")
    feature: str = Field(description="the table's")
    mean: InItsUnit = Field(description="the table's")
    sd: InItsUnit = Field(description="the table's")
    unit: str = Field(description="the table's")
    weight: float = Field(default=1.0, description="the table's")
    must_hold: bool = Field(default=False, description="the table's")

    @classmethod
    def of(cls, measurement: Measurement) -> Self:
        """A row of the table, without the notes in its margin."""
        return cls(**measurement.model_dump(include=set(cls.model_fields)))

    @property
    def key(self) -> str:
        """`protocol.feature`, as everywhere."""
        return f"{self.protocol}.{self.feature}"

    @property
    def demand(self) -> str:
        """What it asks for beyond the others, in words."""
        return demanded(self.weight, self.must_hold)


class Range(Plain):
    """A free parameter as the problem defines it, and how much the measurements say about it."""

    name: str = Field(description="of the free parameter")
    low: InNeuronsUnit = Field(description="lower bound")
    high: InNeuronsUnit = Field(description="upper bound")
    scale: Literal["linear", "log"] = Field(description="`linear` or `log`")
    unit: str = Field(description="as NEURON has it; empty where NEURON names none")
    start: InNeuronsUnit | None = Field(default=None, description="as given; `null`: the model's own value")
    prior_mean: InNeuronsUnit | None = Field(default=None, description="as given")
    prior_sd: InNeuronsUnit | None = Field(default=None, description="as given")
    uncertainty_left: Share | None = Field(
        default=None, description="how much of its range the measurements leave open"
    )


class Compensation(Plain):
    """Two parameters of which one makes up for the other: around the solutions, both can move together."""

    first: str = Field(description="name of the one")
    second: str = Field(description="name of the other")
    correlation: float = Field(
        description="−1 to 1, by the surrogate's slopes, on the parameters' own scales; above 0 both rise together"
    )


class BatchTiming(Plain):
    """What the batch was chosen from, measured once for a model and remembered (agent.tuning.batch_size)."""

    batch: Evaluations = Field(description="between two fits")
    think_s: Seconds = Field(description="fitting and planning one batch, once compiled")
    round_s: Seconds = Field(description="simulating `at_once` evaluations")
    at_once: Evaluations = Field(
        description="that take as long as one: one a worker, or eight where copies are simulated together"
    )


class FirstBatch(Plain):
    """How far the first batch came, before anything was learned from this cell."""

    evaluations: int = Field(description="in the batch")
    best_max_abs_z: SDs | None = Field(description="the smallest `max_abs_z`")
    within_3: Evaluations = Field(description="with every |z| ≤ 3")
    within_tolerance: Evaluations = Field(description="with every |z| ≤ the tolerance")


class Recalled(Plain):
    """What the archive had taught before this run."""

    evaluations: int = Field(description="it was learned from")
    digest: str = Field(description="runs with the same digest began with the same surrogate and policy")
    learned_now: bool = Field(description="by this run; `false`: kept")
    why: str = Field(description="it was learned now; empty where kept")


class Pressing(Plain):
    """A parameter that solutions (or compromises) have at a bound: they may lie beyond it."""

    parameter: str = Field(description="its name")
    side: Literal["lower", "upper"] = Field(description="`lower` or `upper`")
    bound: InNeuronsUnit = Field(description="the bound on that side")
    sets: int = Field(description="how many solutions (or compromises) lie there")
    of: int = Field(description="of how many")


class FarFromPrior(Plain):
    """A parameter that solutions (or compromises) have far from what its prior believed."""

    parameter: str = Field(description="its name")
    sds: SDs = Field(description="of the prior, from its middle to the set that lies nearest to it")
    sets: int = Field(description="how many solutions (or compromises) are 2 SD away")
    of: int = Field(description="of how many")


class Achieved(Plain):
    """What NEURON gave for one measurement; null = not defined."""

    feature: str = Field(description="`protocol.feature`")
    value: InItsUnit | None = Field(description="as NEURON simulated it")
    z: SDs | None = Field(description="(value − mean) / SD")


class Unreachable(Plain):
    """A measurement that no parameter set meets, and the nearest to it that NEURON gave."""

    nearest: Achieved = Field(description="the nearest that NEURON gave")
    parameters: dict[str, InNeuronsUnit] = Field(description="name → value, where it gave that")


class Conflict(Plain):
    """Two measurements that can be met one at a time only."""

    together: list[Achieved] = Field(
        description="of the first and of the second, in the simulation where the worse of both is nearest"
    )
    trade_off: list[list[Achieved]] = Field(
        description="such pairs, from the first at its nearest to the second; no simulation beats one in both"
    )


class Overturned(Plain):
    """What an earlier session of the run said cannot be met, and NEURON has met since."""

    before: list[Achieved] = Field(description="the nearest then, of one measurement or of two together")
    since: list[Achieved] = Field(description="the nearest now")


class Uninformative(Plain):
    """A measurement that tells no parameter set from another."""

    feature: str = Field(description="`protocol.feature`")
    reason: Literal["constant", "always met"] = Field(description="`constant` or `always met`")


class Misbehaviour(Plain):
    """What parameter sets do under a protocol without a measurement that a cell should not: see docs/result.md."""

    protocol: str = Field(description="which")
    stimulus: str = Field(description="in words")
    kind: Literal[
        "depolarisation block",
        "no repetitive firing",
        "fires before the stimulus",
        "fires after the stimulus",
        "does not return to rest",
    ] = Field(
        description="`depolarisation block`: no spike in the last 40 % of a current of 200 ms or more, the voltage "
        "above −45 mV; `no repetitive firing`: none there, below that, after a first spike or at 1.5 times the set's "
        "own rheobase; `fires before the stimulus`, later than 20 ms; `fires after the stimulus`, later than 50 ms; "
        "`does not return to rest`: 10 mV away at the end"
    )
    sets: list[int] = Field(description="which solutions (or compromises), from 1")
    of: int = Field(description="of how many")


class Diagnosis(Plain):
    """What limits the answer, see docs/result.md."""

    pressing: list[Pressing] = Field(default_factory=list, description="parameters at a bound")
    far_from_prior: list[FarFromPrior] = Field(
        default_factory=list, description="parameters that most sets have far from their prior"
    )
    unreachable: list[Unreachable] = Field(default_factory=list, description="measurements that no parameter set met")
    conflicts: list[Conflict] = Field(
        default_factory=list, description="pairs that were only met one at a time, the furthest off first"
    )
    overturned: list[Overturned] = Field(
        default_factory=list, description="called unreachable or in conflict by an earlier session, and met since"
    )
    uninformative: list[Uninformative] = Field(
        default_factory=list, description="measurements that tell no parameter set from another"
    )
    unconstrained: list[str] = Field(
        default_factory=list, description="parameters whose `uncertainty_left` is 0.8 or more"
    )
    probed: Evaluations | None = Field(
        default=None,
        description="made outside the budget to find out; `null`: nobody looked, `unreachable` means not met so far",
    )


class Progress(Plain):
    """The state after one batch."""

    evaluations: int = Field(description="after the batch")
    best_max_abs_z: SDs | None = Field(description="the smallest `max_abs_z` so far")
    solutions: int = Field(description="confirmed so far")
    proposers: dict[str, int] = Field(description="who → how many of the batch")
