"""Check a formula against the columns it speaks of, before it is stored or run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.formulas import operands
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.formulas.operands import Operand
from chalicelib.formulas.operators import OPERATORS, for_type
from chalicelib.formulas.tree import Group, Node, Rule, dump, parse

Columns = Mapping[int, ColumnInfo]


def check(formula: Any, columns: Columns, time_zone: str = "UTC") -> dict[str, Any]:
    """Return the formula as it is stored.

    Raises errors.Invalid naming the rule by its place ("rule 2", "rule 2.1" in a group) and what to do.
    """
    group = parse(formula)
    zone = ZoneInfo(time_zone)
    problems: dict[str, str] = {}
    _check(group, columns, zone, "", problems)
    if problems:
        first = next(iter(problems.values()))
        raise errors.Invalid(first, problems)
    return dump(_tidy(group, columns))


def typed_values(rule: Rule, columns: Columns, zone: ZoneInfo) -> list[Operand]:
    """Return the operands of a rule as values of the column's type.

    Raises ValueError that says in words why the rule can't be used.
    """
    column, operator = columns.get(rule.column), OPERATORS.get(rule.operator)
    if column is None:
        raise ValueError("its column was deleted; choose another one" if rule.column else "choose a column")
    if operator is None or column.type not in operator.types:
        raise ValueError(f"“{column.name}” can't be compared like this; choose another comparison")
    start = f"“{column.name}” {operator.said(column.type)}"
    wanted = operator.operands
    if (wanted >= 0 and len(rule.values) != wanted) or (wanted < 0 and not rule.values):
        raise ValueError(f"{start}{' …' if wanted else ''} needs {_HOW_MANY[wanted]}")
    try:
        values = [operands.read(text, column.type, zone) for text in rule.values]
    except ValueError as error:
        raise ValueError(f"{start} …: {error}") from error
    if wanted == 2 and values[0] > values[1]:  # type: ignore[operator]
        raise ValueError(f"{start} …: the first value is larger than the second")
    return values


_HOW_MANY = {0: "no value", 1: "a value", 2: "two values", -1: "a value"}


def _check(node: Node, columns: Columns, zone: ZoneInfo, place: str, problems: dict[str, str]) -> None:
    if isinstance(node, Rule):
        if problem := _problem(node, columns, zone):
            problems[f"rule {place}"] = f"Rule {place}: {problem}."
        return
    if not node.members:
        what = f"Group {place} is" if place else "There are no rules: the rule set is"
        problems[f"group {place}".strip()] = f"{what} empty. Add a rule or remove it."
    for number, member in enumerate(node.members, 1):
        _check(member, columns, zone, f"{place}.{number}" if place else str(number), problems)


def _problem(rule: Rule, columns: Columns, zone: ZoneInfo) -> str:
    try:
        typed_values(rule, columns, zone)
    except ValueError as error:
        return str(error)
    column = columns[rule.column]
    if column.allowed_values and OPERATORS[rule.operator] not in for_type(column.type, listed=True):
        return f"“{column.name}” has a list of values and can't be compared like this; choose another comparison"
    if "" in rule.values:
        return f"“{column.name}” {OPERATORS[rule.operator].said(column.type)} … needs a value"
    return ""


def _tidy(group: Group, columns: Columns) -> Group:
    return replace(group, members=tuple(_tidy_member(member, columns) for member in group.members))


def _tidy_member(node: Node, columns: Columns) -> Node:
    if isinstance(node, Group):
        return _tidy(node, columns)
    kind = columns[node.column].type
    return replace(node, values=tuple(operands.tidy(value, kind) for value in node.values))
