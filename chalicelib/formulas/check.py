"""Check a formula against the columns it speaks of, before it is stored or run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.formulas import operands
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.formulas.operators import OPERATORS
from chalicelib.formulas.tree import Node, Rule, dump, parse

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
    return dump(group)


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
    column, operator = columns.get(rule.column), OPERATORS.get(rule.operator)
    if column is None:
        return "choose a column" if not rule.column else "its column was deleted; choose another one"
    if operator is None or column.type not in operator.types:
        return f"“{column.name}” can't be compared like this; choose another comparison"
    wanted = operator.operands
    if (wanted >= 0 and len(rule.values) != wanted) or (wanted < 0 and not rule.values):
        return f"“{column.name}” {operator.words} … needs {'two values' if wanted == 2 else 'a value'}"
    try:
        values = [operands.read(text, column.type, zone) for text in rule.values]
    except ValueError as error:
        return f"“{column.name}” {operator.words} …: {error}"
    if wanted == 2 and values[0] > values[1]:  # type: ignore[operator]
        return f"“{column.name}” {operator.words} …: the first value is larger than the second"
    return ""


def holds_nothing(formula: Any) -> bool:
    """Tell whether a formula selects every row because there is none."""
    return not formula or formula in ({"all": []}, {"any": []})
