"""Formulas as SQL over `learners.w<workflow id>`. Every rule is true or false, never null: NOT is the complement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from chalicelib import errors
from chalicelib.database.base import LEARNERS
from chalicelib.formulas.check import Columns, typed_values
from chalicelib.formulas.operators import OPERATORS
from chalicelib.formulas.tree import Group, Node, Rule, holds_nothing, parse

SQL_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "integer": sa.BigInteger(), "double": sa.Double(), "boolean": sa.Boolean(),
    "datetime": sa.DateTime(timezone=True), "text": sa.Text(),
}  # fmt: skip

_NOT_A_NUMBER: sa.ColumnElement[float] = sa.literal_column("'NaN'::double precision", sa.Double())

Value = sa.ColumnElement[Any]
Truth = sa.ColumnElement[bool]


def learners(workflow_id: int, columns: Columns) -> sa.TableClause:
    """Return the workflow's table of learners with `row_id` and the given columns."""
    parts = [sa.column(f"c{column.id}", SQL_TYPES[column.type]) for column in columns.values()]
    return sa.table(f"w{workflow_id}", sa.column("row_id", sa.BigInteger), *parts, schema=LEARNERS)


def condition(formula: Any, columns: Columns, table: sa.FromClause, time_zone: str = "UTC") -> Truth:
    """Return the formula as a SQL expression over `table`, whose columns are named `c<id>`.

    An absent or empty formula holds for every row. Raises errors.Invalid as `check` does for what can't be run.
    """
    if holds_nothing(formula):
        return sa.true()
    return _node(parse(formula), columns, table, ZoneInfo(time_zone)).self_group()


def _node(node: Node, columns: Columns, table: sa.FromClause, zone: ZoneInfo) -> Truth:
    if isinstance(node, Rule):
        return _rule(node, columns, table, zone)
    return _group(node, [_node(member, columns, table, zone) for member in node.members])


def _group(group: Group, members: list[Truth]) -> Truth:
    if not members:
        made: Truth = sa.true()
    else:
        made = (sa.and_ if group.every else sa.or_)(*members)
    return sa.not_(made.self_group()) if group.negated else made.self_group()


def _rule(rule: Rule, columns: Columns, table: sa.FromClause, zone: ZoneInfo) -> Truth:
    try:
        typed = typed_values(rule, columns, zone)
    except ValueError as error:
        raise errors.Invalid(f"A rule can't be used any more: {error}. Open the rules and repair it.") from error
    column, operator = columns[rule.column], OPERATORS[rule.operator]
    kind = SQL_TYPES[column.type]
    if operator.operands < 0:  # one parameter, however long the list: a statement has room for 32,767 of them
        values: list[sa.ColumnElement[Any]] = [sa.literal(typed, ARRAY(kind))]
    else:
        values = [sa.literal(value, kind) for value in typed]
    value: Value = table.c[f"c{column.id}"]
    if column.type == "double":
        value = sa.func.nullif(value, _NOT_A_NUMBER, type_=kind)  # counts as missing, like a blank
    if column.type == "text" and operator.operands:
        value = value.collate("C")
    return _OPERATIONS[rule.operator](value, *values)


def _false_when_null(made: Any) -> Truth:
    return sa.func.coalesce(made, sa.false(), type_=sa.Boolean())


def _true_when_null(made: Any) -> Truth:
    return sa.func.coalesce(made, sa.true(), type_=sa.Boolean())


# strpos, left and right know no wildcards, so nothing in the operand has to be escaped.
def _begins(value: Value, text: Value) -> Truth:
    return sa.func.starts_with(value, text, type_=sa.Boolean())


def _contains(value: Value, text: Value) -> Truth:
    return sa.func.strpos(value, text) > 0


def _ends(value: Value, text: Value) -> Truth:
    return sa.func.right(value, sa.func.length(text)) == text


_OPERATIONS: Mapping[str, Callable[..., Truth]] = {
    "equal": lambda value, other: _false_when_null(value == other),
    "not_equal": lambda value, other: _true_when_null(value != other),
    "less": lambda value, other: _false_when_null(value < other),
    "less_or_equal": lambda value, other: _false_when_null(value <= other),
    "greater": lambda value, other: _false_when_null(value > other),
    "greater_or_equal": lambda value, other: _false_when_null(value >= other),
    "between": lambda value, low, high: _false_when_null(sa.and_(value >= low, value <= high)),
    "not_between": lambda value, low, high: _false_when_null(sa.or_(value < low, value > high)),
    "begins_with": lambda value, text: _false_when_null(_begins(value, text)),
    "not_begins_with": lambda value, text: _true_when_null(sa.not_(_begins(value, text))),
    "contains": lambda value, text: _false_when_null(_contains(value, text)),
    "not_contains": lambda value, text: _true_when_null(sa.not_(_contains(value, text))),
    "ends_with": lambda value, text: _false_when_null(_ends(value, text)),
    "not_ends_with": lambda value, text: _true_when_null(sa.not_(_ends(value, text))),
    "is_one_of": lambda value, others: _false_when_null(value == sa.any_(others)),
    "is_none_of": lambda value, others: _true_when_null(value != sa.all_(others)),
    "is_empty": lambda value: sa.or_(value.is_(None), value == ""),
    "is_not_empty": lambda value: _false_when_null(value != ""),
    "is_null": lambda value: value.is_(None),
    "is_not_null": lambda value: value.is_not(None),
}


def flags_select(
    workflow_id: int, columns: Columns, filter_formula: Any, conditions: Mapping[int, Any], time_zone: str = "UTC"
) -> sa.Select[Any]:
    """Return ONE SELECT over all rows: `row_id`, `filter`, one flag `k<id>` per condition, and every `c<id>`."""
    table = learners(workflow_id, columns)
    flags = [
        condition(formula, columns, table, time_zone).label(f"k{key}") for key, formula in conditions.items()
    ]  # fmt: skip
    return sa.select(
        table.c.row_id,
        condition(filter_formula, columns, table, time_zone).label("filter"),
        *flags,
        *(table.c[f"c{column.id}"] for column in columns.values()),
    )


def counts_select(
    workflow_id: int, columns: Columns, filter_formula: Any, conditions: Mapping[int, Any], time_zone: str = "UTC"
) -> sa.Select[Any]:
    """Return ONE SELECT of one row: `total`, `selected` (rows of the filter), `k<id>` (of these, by condition),
    and `none` (of these, those for whom no condition holds).
    """
    table = learners(workflow_id, columns)
    flags = {f"k{key}": condition(formula, columns, table, time_zone) for key, formula in conditions.items()}
    chosen = condition(filter_formula, columns, table, time_zone)
    # OFFSET 0 keeps PostgreSQL from writing each formula out wherever its flag is used, so that each runs once a row.
    inner = sa.select(
        chosen.label("chosen"), *(truth.label(name) for name, truth in flags.items())
    ).select_from(table).offset(sa.literal_column("0")).subquery("flags")  # fmt: skip
    held = [inner.c[name] for name in flags]
    counts: list[Any] = [
        sa.func.count().label("total"),
        sa.func.count().filter(inner.c.chosen).label("selected"),
        *(sa.func.count().filter(sa.and_(inner.c.chosen, truth)).label(truth.name) for truth in held),
    ]
    none_holds = sa.and_(inner.c.chosen, *(sa.not_(truth) for truth in held))
    counts.append((sa.func.count().filter(none_holds) if held else sa.literal(0)).label("none"))
    return sa.select(*counts).select_from(inner)
