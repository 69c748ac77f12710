"""How the values of a column are worked out: what is remembered of it, and in words.

Stored in `Column.recipe`: {"op": "sum", "sources": [12, 13], …} for a formula, {"op": "groups", "values": …} for
random groups. Sources are ids; a walker over references finds them under `sources` and `within`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.formulas.columns import ColumnInfo
from chalicelib.tables.models import Column

GROUPS = "groups"
NUMBERS = frozenset({"integer", "double"})
_ALL = frozenset({"integer", "double", "boolean", "datetime", "text"})


@dataclass(frozen=True)
class Operation:
    """What can be worked out. `most` limits the number of columns; `whole`: whole numbers stay whole.

    `may_ignore`: missing values can be left out of the calculation.
    """

    name: str
    label: str
    words: str
    sources: frozenset[str]
    result: str
    least: int = 1
    most: int = 100
    whole: bool = False
    may_ignore: bool = True


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("sum", "Sum", "sum of", NUMBERS, "double", whole=True),
        Operation("mean", "Mean", "mean of", NUMBERS, "double"),
        Operation("median", "Median", "median of", NUMBERS, "double"),
        Operation("minimum", "Minimum", "lowest of", NUMBERS, "double", whole=True),
        Operation("maximum", "Maximum", "highest of", NUMBERS, "double", whole=True),
        Operation("deviation", "Standard deviation", "standard deviation of", NUMBERS, "double", least=2),
        Operation("product", "Product", "product of", NUMBERS, "double", whole=True),
        Operation("weighted", "Weighted sum", "weighted sum of", NUMBERS, "double"),
        Operation(
            "difference", "Difference", "difference of", NUMBERS, "double", 2, 2, whole=True, may_ignore=False
        ),
        Operation("ratio", "Ratio", "ratio of", NUMBERS, "double", 2, 2, may_ignore=False),
        Operation("all", "All of them are yes", "whether all are yes:", frozenset({"boolean"}), "boolean"),
        Operation("any", "Any of them is yes", "whether any is yes:", frozenset({"boolean"}), "boolean"),
        Operation("concat", "Texts joined", "joined:", _ALL, "text"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """A formula: the operation over columns in this order. `weights` has one for each column of a weighted sum.

    `problem` says why the last attempt to keep it up to date failed.
    """

    op: str
    sources: tuple[int, ...]
    ignore_missing: bool = False
    keep: bool = True
    weights: tuple[float, ...] = ()
    separator: str = " "
    problem: str = ""

    @property
    def operation(self) -> Operation:
        """What is done with the columns."""
        return OPERATIONS[self.op]

    def stored(self) -> dict[str, Any]:
        """Return it as it is kept with the column."""
        made: dict[str, Any] = {"op": self.op, "sources": list(self.sources), "keep": self.keep}
        if self.ignore_missing:
            made["ignore_missing"] = True
        if self.op == "weighted":
            made["weights"] = list(self.weights)
        if self.op == "concat":
            made["separator"] = self.separator
        if self.problem:
            made["problem"] = self.problem
        return made


def formula(stored: Mapping[str, Any] | None) -> Recipe | None:
    """Return the formula that a column was made by; None for other columns."""
    if not stored or stored.get("op") not in OPERATIONS:
        return None
    return Recipe(
        stored["op"], tuple(stored["sources"]), bool(stored.get("ignore_missing")), bool(stored.get("keep")),
        tuple(stored.get("weights", ())), stored.get("separator", " "), stored.get("problem", ""),
    )  # fmt: skip


def problem(recipe: Recipe, columns: Mapping[int, ColumnInfo]) -> str:
    """Say why the formula can't be worked out with today's columns; empty when it can."""
    operation = recipe.operation
    found = [columns.get(key) for key in recipe.sources]
    if None in found:
        return "One of its columns was deleted."
    if not operation.least <= len(found) <= operation.most:
        how_many = operation.least if operation.least == operation.most else f"{operation.least} or more"
        return f"“{operation.label}” needs {how_many} column{'s' if operation.most != 1 else ''}."
    for column in found:
        if column is not None and column.type not in operation.sources:
            return f"“{operation.label}” can't be worked out of “{column.name}”, which holds {HOLDS[column.type]}."
    return ""


HOLDS = {
    "integer": "whole numbers", "double": "numbers", "boolean": "yes or no", "datetime": "dates", "text": "texts",
}  # fmt: skip


def result_type(recipe: Recipe, columns: Mapping[int, ColumnInfo]) -> str:
    """Return the type of what is worked out: sums of whole numbers are whole."""
    operation = recipe.operation
    whole = operation.whole and all(columns[key].type == "integer" for key in recipe.sources)
    return "integer" if whole else operation.result


def words(stored: Mapping[str, Any] | None, names: Mapping[int, str]) -> str:
    """Say how the column's values came about; empty for columns that people fill."""
    if stored and stored.get("op") == GROUPS:
        within = f", balanced within “{_name(stored['within'], names)}”" if stored.get("within") else ""
        return f"{len(stored['values'])} random groups{within} (seed {stored['seed']})"
    recipe = formula(stored)
    if recipe is None:
        return ""
    parts = [f"“{_name(key, names)}”" for key in recipe.sources]
    if recipe.op == "difference":
        made = " minus ".join(parts)
    elif recipe.op == "ratio":
        made = " divided by ".join(parts)
    elif recipe.op == "weighted":
        pairs = zip(recipe.weights, parts, strict=True)
        made = " + ".join(f"{weight:g} × {part}" for weight, part in pairs)
    else:
        made = f"{recipe.operation.words} {', '.join(parts)}"
    return made + (", leaving out missing values" if recipe.ignore_missing else "")


def _name(key: int, names: Mapping[int, str]) -> str:
    return names.get(key, "a deleted column")


def made_from(columns: Sequence[Column], column_id: int) -> list[Column]:
    """Return the formula columns that are worked out of a column."""
    found = ((column, formula(column.recipe)) for column in columns)
    return [column for column, recipe in found if recipe is not None and column_id in recipe.sources]
