"""Formulas as SQL over one row. A missing value makes the result missing, unless missing values are left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.formulas.columns import ColumnInfo
from chalicelib.tables.columns.recipes import Recipe, result_type
from chalicelib.tables.store import TYPES


def prepare(session: Session, recipe: Recipe, time_zone: str) -> None:
    """Bind the texts that `expression` speaks of: a statement that creates a table takes no values itself."""
    session.execute(
        text("SELECT set_config('ontask.separator', :separator, true), set_config('ontask.zone', :zone, true)"),
        {"separator": recipe.separator, "zone": time_zone},
    )


def expression(recipe: Recipe, columns: Mapping[int, ColumnInfo], row: str = "o") -> str:
    """Return SQL for the result. It fails when a number gets too large for its type. Needs `prepare`."""
    kind = result_type(recipe, columns)
    sources = [f"{row}.c{int(key)}" for key in recipe.sources]
    if recipe.op == "concat":
        values = [_as_text(columns[key], row) for key in recipe.sources]
    elif recipe.operation.result == "boolean":
        values = sources
    else:
        # Whole numbers are summed and multiplied without limits and brought back at the end.
        number = "numeric" if kind == "integer" else "double precision"
        values = [f"CAST({value} AS {number})" for value in sources]
    missing = f"num_nulls({', '.join(sources)}) > 0"
    if recipe.ignore_missing and recipe.operation.may_ignore:
        missing = f"num_nonnulls({', '.join(sources)}) = 0"
    return f"CASE WHEN {missing} THEN NULL ELSE CAST({_OPERATIONS[recipe.op](values, recipe)} AS {TYPES[kind]}) END"


def _as_text(column: ColumnInfo, row: str) -> str:
    value = f"{row}.c{column.id}"
    if column.type == "boolean":
        return f"CASE WHEN {value} THEN 'yes' WHEN NOT {value} THEN 'no' END"
    if column.type == "datetime":
        return f"to_char({value} AT TIME ZONE current_setting('ontask.zone'), 'YYYY-MM-DD HH24:MI')"
    return value if column.type == "text" else f"CAST({value} AS text)"


def _joined(values: Sequence[str], operator: str, nothing: str) -> str:
    """Join values by an operator; missing ones count as what changes nothing."""
    return "(" + f" {operator} ".join(f"coalesce({value}, {nothing})" for value in values) + ")"


def _each(aggregate: str, values: Sequence[str]) -> str:
    """Return SQL for an aggregate over the values of one row; aggregates leave missing ones out."""
    rows = ", ".join(f"({value})" for value in values)
    return f"(SELECT {aggregate} FROM (VALUES {rows}) AS v(x))"


def _sum(values: Sequence[str], _recipe: Recipe) -> str:
    return _joined(values, "+", "0")


def _mean(values: Sequence[str], _recipe: Recipe) -> str:
    return f"{_joined(values, '+', '0')} / num_nonnulls({', '.join(values)})"


def _weighted(values: Sequence[str], recipe: Recipe) -> str:
    # The text of a float that was checked to be finite is a number in SQL too.
    pairs = zip(values, recipe.weights, strict=True)
    return _joined([f"{value} * CAST('{float(weight)!r}' AS double precision)" for value, weight in pairs], "+", "0")


def _concat(values: Sequence[str], _recipe: Recipe) -> str:
    return f"concat_ws(current_setting('ontask.separator'), {', '.join(values)})"


_OPERATIONS: Mapping[str, Callable[[Sequence[str], Recipe], str]] = {
    "sum": _sum,
    "product": lambda values, _: _joined(values, "*", "1"),
    "maximum": lambda values, _: f"greatest({', '.join(values)})",
    "minimum": lambda values, _: f"least({', '.join(values)})",
    "mean": _mean,
    "median": lambda values, _: _each("percentile_cont(0.5) WITHIN GROUP (ORDER BY x)", values),
    "deviation": lambda values, _: _each("stddev_samp(x)", values),
    "all": lambda values, _: _joined(values, "AND", "true"),
    "any": lambda values, _: _joined(values, "OR", "false"),
    "concat": _concat,
    "difference": lambda values, _: f"({values[0]} - {values[1]})",
    "ratio": lambda values, _: f"({values[0]} / nullif({values[1]}, 0))",
    "weighted": _weighted,
}
