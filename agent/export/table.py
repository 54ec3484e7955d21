"""All solutions of a run as one table, CSV or Parquet: a row a solution, numbers to the last digit."""

from pathlib import Path
from typing import Any

from gbar.agent.result import Result
from gbar.sim import GbarError
from gbar.sim.files import as_csv, beside, write_whole

Columns = dict[str, list[Any]]  # name -> a value for every solution; None where a feature is not defined


def columns(result: Result) -> Columns:
    """The solutions: their number, parameters, "feature:" and "z:" of every measurement, and what they are worth."""
    keys = [m.key for m in result.measurements]
    rows = result.solutions
    table: Columns = {"solution": list(range(1, len(rows) + 1))}
    table |= {p.name: [row.parameters[p.name] for row in rows] for p in result.parameters}
    table |= {f"feature:{key}": [row.features[key] for row in rows] for key in keys}
    table |= {f"z:{key}": [row.z[key] for row in rows] for key in keys}
    table |= {name: [getattr(row, name) for row in rows] for name in ("max_abs_z", "proposer", "evaluation")}
    return table


def write_csv(result: Result, file: Path) -> None:
    """Write the table as CSV, an empty field where a feature is not defined."""
    table = columns(result)
    write_whole(file, as_csv([list(table), *zip(*table.values(), strict=True)]))


def write_parquet(result: Result, file: Path) -> None:
    """Write the table as Parquet, null where a feature is not defined. Raises GbarError without pyarrow."""
    arrow, parquet = _pyarrow()
    with beside(file) as new:
        parquet.write_table(arrow.table(columns(result)), new)
        new.replace(file)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise GbarError("Parquet needs pyarrow: pip install 'gbar[parquet]', or export to csv instead") from None
    return pyarrow, pyarrow.parquet


def check(form: str) -> None:
    """Refuse a form that cannot be written here, before anything is. Raises GbarError."""
    if form == "parquet":
        _pyarrow()
