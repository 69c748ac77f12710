"""A formula as a sentence."""

from __future__ import annotations

from typing import Any

from chalicelib.formulas.check import Columns
from chalicelib.formulas.operators import OPERATORS
from chalicelib.formulas.tree import Group, Node, Rule, holds_nothing, parse

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
    name, kind = (column.name, column.type) if column else ("a deleted column", "text")
    said = operator.said(kind) if operator else rule.operator
    values = _joined([_value(value, kind) for value in rule.values], "and" if "between" in rule.operator else "or")
    sentence = f"{name} {said} {values}".rstrip()
    return f"{sentence} (or missing)" if operator and operator.keeps_missing else sentence


def _joined(values: list[str], word: str) -> str:
    if len(values) > NAMED:
        values = [*values[:NAMED], f"{len(values) - NAMED} more"]
    return f" {word} ".join([", ".join(values[:-1]), values[-1]]) if len(values) > 1 else "".join(values)


def _value(value: str, column_type: str) -> str:
    if column_type == "boolean":
        return "yes" if value.strip().lower() in {"true", "yes", "1"} else "no"
    return f"“{value}”" if column_type == "text" else value.strip().replace("T", " ")
