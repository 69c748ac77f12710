"""Filters of single columns, as they stand in the address: `12~contains~jo`, `14~between~3~7`, `15~is_null`.

They are rules of the condition language, but for `contains`: like the search it compares without case and accents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from chalicelib import errors
from chalicelib.formulas import sql, words
from chalicelib.formulas.check import Columns, check
from chalicelib.formulas.operators import OPERATORS
from chalicelib.tables import cells
from chalicelib.tables.models import Column

#: More in one address are nobody's.
MAX_FILTERS = 20
CONTAINS, EQUAL, BETWEEN, MISSING, PRESENT = "contains", "equal", "between", "is_null", "is_not_null"
_AT_LEAST, _AT_MOST = "greater_or_equal", "less_or_equal"
_ORDERED = {"integer", "double", "datetime"}
_KNOWN = {CONTAINS, EQUAL, BETWEEN, MISSING, PRESENT, _AT_LEAST, _AT_MOST}


@dataclass(frozen=True)
class Filter:
    """One column's filter; `values` as people type them."""

    column: Column
    operator: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "~".join([str(self.column.id), self.operator, *self.values])

    @property
    def formula(self) -> dict[str, Any]:
        """The filter as a rule."""
        rule: dict[str, Any] = {"column": self.column.id, "op": self.operator}
        if self.values:
            rule["value"] = list(self.values) if len(self.values) > 1 else self.values[0]
        return rule

    def words(self, columns: Columns) -> str:
        """Say the filter, such as `quiz is between 3 and 7`."""
        return words.words({"all": [self.formula]}, columns)


def offered(column: Column) -> dict[str, str]:
    """Return the operators that the form of a column offers, with their words."""
    names = [EQUAL, MISSING, PRESENT]
    if column.type == "text" and not column.allowed_values:
        names.insert(0, CONTAINS)
    elif column.type in _ORDERED and not column.allowed_values:
        names.insert(1, BETWEEN)
    return {name: OPERATORS[name].said(column.type) for name in names}


def read_all(written: Sequence[str], columns: Mapping[int, Column], infos: Columns, zone: str) -> tuple[Filter, ...]:
    """Return the filters of an address.

    Raises errors.NotFound for a column that is not in the table, errors.Invalid for what can't be compared.
    """
    found = [_read(text, columns) for text in written[:MAX_FILTERS] if text]
    for one in found:
        check({"all": [one.formula]}, infos, zone)
    return tuple(dict.fromkeys(found))


def _read(written: str, columns: Mapping[int, Column]) -> Filter:
    number, _, rest = written.partition("~")
    operator, mark, text = rest.partition("~")
    column = columns.get(int(number)) if number.isascii() and number.isdigit() and len(number) <= 18 else None
    if column is None or operator not in _KNOWN:
        raise errors.NotFound("The table has no such column to filter by.")
    if operator == BETWEEN:
        return Filter(column, operator, tuple(text.split("~")))
    return Filter(column, operator, (text,) if mark else ())


def from_form(column: Column, operator: str, value: str, until: str, infos: Columns, zone: str) -> Filter:
    """Return the filter that the form of a column asks for; of a range one end may be open.

    Raises errors.Invalid (field `value`) that says what is wrong with it.
    """
    if operator not in offered(column):
        raise errors.Invalid("Choose a comparison.", {"value": "Choose a comparison."})
    values: tuple[str, ...] = (value,)
    if operator in {MISSING, PRESENT}:
        values = ()
    elif operator == BETWEEN:
        operator, values = _range(value.strip(), until.strip())
    made = Filter(column, operator, values)
    try:
        check({"all": [made.formula]}, infos, zone)
    except errors.Invalid as error:
        message = error.message.removeprefix("Rule 1: ")
        raise errors.Invalid(message, {"value": message}) from None
    return made


def _range(low: str, high: str) -> tuple[str, tuple[str, ...]]:
    if low and high:
        return BETWEEN, (low, high)
    return (_AT_MOST, (high,)) if high else (_AT_LEAST, (low,))


def to_form(one: Filter) -> dict[str, str]:
    """Return the fields of the form that asks for this filter."""
    operator = BETWEEN if one.operator in {_AT_LEAST, _AT_MOST} else one.operator
    value, until = (*one.values, "", "")[:2]
    if one.operator == _AT_MOST:
        value, until = "", value
    return {"op": operator, "value": value, "until": until}


def condition(one: Filter, columns: Columns, table: sa.FromClause, zone: str) -> sa.ColumnElement[bool]:
    """Return the filter as SQL over `table`."""
    if one.operator != CONTAINS:
        return sql.condition({"all": [one.formula]}, columns, table, zone)
    needle = sa.select(sa.func.lower(sa.func.unaccent(sa.literal(one.values[0], sa.Text())))).scalar_subquery()
    cell = sa.func.lower(sa.func.unaccent(table.c[f"c{one.column.id}"]))
    return sa.func.coalesce(sa.func.strpos(cell, needle) > 0, sa.false(), type_=sa.Boolean())


def choices(column: Column, zone: ZoneInfo) -> Mapping[str, str]:
    """Return what a drop-down of values offers, by what is sent; empty when people type."""
    if column.type == "boolean":
        return {"true": "yes", "false": "no"}
    return {cells.written(value, zone): cells.shown(value, zone) for value in cells.allowed(column, zone)}
