"""A formula as a sentence."""

from __future__ import annotations

from typing import Any

from chalicelib.formulas.check import Columns, holds_nothing
from chalicelib.formulas.operators import OPERATORS
from chalicelib.formulas.tree import Group, Node, Rule, parse

#: So many values of a list are named; the rest is counted.
NAMED = 5


def words(formula: Any, columns: Columns) -> str:
    """Return e.g. `Program is “FASS” and Midterm is not missing`; nothing for an empty formula."""
    return "" if holds_nothing(formula) else _node(parse(formula), columns, outermost=True)


def _node(node: Node, columns: Columns, *, outermost: bool = False) -> str:
    if isinstance(node, Rule):
        return _rule(node, columns)
    return _group(node, columns, outermost)


def _group(group: Group, columns: Columns, outermost: bool) -> str:
    parts = [_node(member, columns) for member in group.members]
    text = (" and " if group.every else " or ").join(parts)
    if group.negated:
        return f"not ({text})"
    return text if outermost or len(parts) == 1 else f"({text})"


def _rule(rule: Rule, columns: Columns) -> str:
    column, operator = columns.get(rule.column), OPERATORS.get(rule.operator)
    name = column.name if column else "a deleted column"
    said = operator.words if operator else rule.operator
    values = [_value(value, column.type if column else "text") for value in rule.values]
    if operator and operator.operands == 2 and len(values) == 2:
        return f"{name} {said} {values[0]} and {values[1]}"
    if len(values) > NAMED:
        values = [*values[:NAMED], f"{len(values) - NAMED} more"]
    return f"{name} {said} {', '.join(values)}".rstrip()


def _value(value: str, column_type: str) -> str:
    if column_type == "boolean":
        return "yes" if value.strip().lower() in {"true", "yes", "1"} else "no"
    return f"“{value}”" if column_type == "text" else value.strip()
