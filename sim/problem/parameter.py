"""A free parameter as problem.toml describes it."""

import math
from collections import Counter
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from gbar.sim.errors import GbarError, nearest
from gbar.sim.problem.formula import FUNCTIONS, Formula
from gbar.sim.problem.strict import PARAMETER_SIGNS, Strict, name_of
from gbar.sim.problem.units import Bound, Positive

OF_A_PLACE = {"value", "own", "distance"}  # what a formula knows beside the parameters
FACTOR = "× model"  # the unit of a value that multiplies what the model has
PURE = {"", "1", "-", "x", "×", "constant", "dimensionless", "factor", FACTOR}  # units that a factor may be given

Statements = Annotated[tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]
ParameterName = Annotated[str, Field(min_length=1), name_of("parameter", also=PARAMETER_SIGNS)]


class Prior(Strict):
    """What is believed of a parameter before anything is simulated: where to look, and nothing that is demanded."""

    mean: Bound = Field(description="inside the bounds, as NEURON has it")
    sd: Positive = Field(
        description='more than 0, in the same unit; with `scale = "log"` of the log-normal with this mean and SD'
    )

    def __str__(self) -> str:
        return f"{self.mean:.4g} ± {self.sd:.2g}"


class Parameter(Strict):
    """A free parameter: where it is set in the model, how, and between which bounds."""

    name: ParameterName = Field(description="any name, used in every table; names must differ")
    set: tuple[str, ...] = Field(default=(), description="the places where the value goes; all get the same")
    bounds: tuple[Bound, Bound] = Field(description='low < high, as NEURON has it; above 0 with `scale = "log"`')
    scale: Literal["linear", "log"] = Field(
        default="linear", description='how the range is searched; `"log"` for conductances and rates'
    )
    unit: str | None = Field(
        default=None, description="if given, NEURON's own for the variable; a factor has none, shown as `× model`"
    )
    mode: Literal["set", "scale"] = Field(
        default="set", description='`"scale"` multiplies what the model has in each place, and keeps its shape'
    )
    formula: str | None = Field(default=None, description="what goes to each place instead of the value")
    tied: dict[str, str] = Field(
        default_factory=dict, description='places that follow: `"SECTIONS.VARIABLE" = "formula"`'
    )
    apply: Statements = Field(
        default=(),
        description="calls that make the model act on its new values",
        json_schema_extra={"written": "text or list of text"},
    )
    start: Bound | None = Field(
        default=None,
        description="where the search begins, inside the bounds",
        json_schema_extra={"unless given": "the model's own value"},
    )
    prior: Prior | None = Field(default=None, description="what is believed of the value: `{mean = …, sd = …}`")

    @field_validator("set")
    @classmethod
    def _places(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        for place in places:
            check_place(place)
        return places

    @field_validator("formula")
    @classmethod
    def _arithmetic(cls, formula: str | None) -> str | None:
        if formula is not None:
            parsed(formula)
        return formula

    @field_validator("tied")
    @classmethod
    def _ties(cls, tied: dict[str, str]) -> dict[str, str]:
        for place, formula in tied.items():
            check_place(place)
            parsed(formula)
        return tied

    @model_validator(mode="after")
    def _bounds(self) -> "Parameter":
        low, high = self.bounds
        if low >= high:
            raise ValueError(f"bounds [{low:g}, {high:g}] are the wrong way round or empty: expected [low, high]")
        if self.scale == "log" and low <= 0:
            raise ValueError(f'bounds [{low:g}, {high:g}] with scale "log": expected low > 0, or scale "linear"')
        if not self.set and (self.formula is not None or self.mode == "scale"):
            what = "formula" if self.formula is not None else "mode"
            raise ValueError(f'{what} without a place: expected set = ["SECTIONS.VARIABLE"] beside it')
        for what, value in (("start", self.start), ("prior.mean", self.prior.mean if self.prior else None)):
            if value is not None and not low <= value <= high:
                raise ValueError(
                    f"{what} = {value:g} is outside the bounds [{low:g}, {high:g}]: widen them, or correct it"
                )
        return self

    @property
    def middle(self) -> float:
        """The middle of the bounds, on the parameter's own scale."""
        low, high = self.bounds
        return math.sqrt(low * high) if self.scale == "log" else (low + high) / 2

    @property
    def guess(self) -> str:
        """Start and prior, for tables; empty where there is neither."""
        start = "" if self.start is None else f"{self.start:.4g}"
        return ", ".join(filter(None, [start, str(self.prior or "")]))

    def believed(self) -> tuple[float, float] | None:
        """Median and SD of the prior as shares of the range, on the parameter's own scale; None without a prior."""
        if self.prior is None:
            return None
        (low, high), mean, sd = self.bounds, self.prior.mean, self.prior.sd
        if self.scale == "log":  # the normal distribution of the logarithm
            variance = math.log1p((sd / mean) ** 2)
            low, high, mean, sd = math.log(low), math.log(high), math.log(mean) - variance / 2, math.sqrt(variance)
        return (mean - low) / (high - low), sd / (high - low)

    def unit_of_value(self, of_place: str) -> str:
        """The unit of the parameter's own value: its places', unless mode or formula make something else of it.

        Args:
            of_place: NEURON's unit of what is set; empty where it has none.
        """
        powers = self._powers()
        if powers == (1, 1):
            return FACTOR
        return of_place if powers == (1, 0) and of_place else self.unit or ""

    def _powers(self) -> tuple[int, int] | None:
        """How what goes to a place grows with the value and with what the model has; None where neither way simply."""
        scaling = int(self.mode == "scale")
        if self.formula is None:
            return 1, scaling
        formula = Formula(self.formula)
        if formula.names - OF_A_PLACE - {self.name}:
            return None  # the other parameter may carry the unit
        powers = [_power(formula, names) for names in ({"value", self.name}, {"own"})]
        return None if None in powers else (powers[0], powers[1] + scaling)  # type: ignore[operator, return-value]

    def used(self) -> list[str]:
        """The names in its formulas that are parameters, its own among them."""
        formulas = [*([self.formula] if self.formula else []), *self.tied.values()]
        return sorted({name for formula in formulas for name in Formula(formula).names} - OF_A_PLACE)


def _power(formula: Formula, names: set[str]) -> int | None:
    """1 where a formula is proportional to what some names stand for, 0 where it knows none of them, else None."""
    if not formula.names & names:
        return 0
    base = dict.fromkeys(formula.names, 0.37)
    try:
        values = [formula({**base, **dict.fromkeys(formula.names & names, 0.37 * k)}) for k in (1, 2, 5)]
    except GbarError:  # not defined there
        return None
    return (
        1 if all(math.isclose(v, k * values[0], rel_tol=1e-9) for v, k in zip(values, (1, 2, 5), strict=True)) else None
    )


def check_parameters(parameters: tuple[Parameter, ...], where: str) -> None:
    """Names and formulas of a problem's parameters, against one another. Raises GbarError."""
    names = [parameter.name for parameter in parameters]
    for name, count in Counter(names).items():
        if count > 1:
            raise GbarError(f"{where}: two parameters are called '{name}': names must differ")
    known = set(names)
    used = {name: parameter.name for parameter in parameters for name in parameter.used()}
    for name, user in used.items():
        if name not in known:
            raise GbarError(f"{where}: parameter.{user}: no parameter '{name}'{nearest(name, known | OF_A_PLACE)}")
    reserved = OF_A_PLACE | set(FUNCTIONS)
    formulas = any(other.formula or other.tied for other in parameters)
    calls = "\n".join(statement for other in parameters for statement in other.apply)
    for parameter in parameters:
        if formulas and parameter.name in reserved:
            raise GbarError(
                f"{where}: parameter.{parameter.name}: formulas know '{parameter.name}' as something else: rename it"
            )
        called = parameter.name in calls
        if not parameter.set and not parameter.tied and parameter.name not in used and not called:
            raise GbarError(
                f'{where}: parameter.{parameter.name} is set nowhere: give set = ["SECTIONS.VARIABLE"], '
                "or use its name in a formula"
            )


def check_place(place: str) -> None:
    """Raises ValueError where a place cannot be one."""
    if "." not in place.strip("."):
        raise ValueError(f"'{place}' is no place in a model: expected SECTIONS.VARIABLE, such as soma.g_pas")


def parsed(formula: str) -> Formula:
    """A formula, or ValueError as pydantic wants it."""
    try:
        return Formula(formula)
    except GbarError as error:
        raise ValueError(str(error)) from None
