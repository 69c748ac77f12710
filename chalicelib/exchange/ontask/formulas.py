"""Translates OnTask's formulas, trees of jQuery QueryBuilder, into ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chalicelib import errors
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.formulas.operands import read
from chalicelib.formulas.operators import OPERATORS
from chalicelib.formulas.tree import MAX_DEPTH
from chalicelib.tables.cells import UTC_ZONE

#: What only texts can be asked in ours, and what it means for other columns.
_NULL_TESTS = {"is_empty": "is_null", "is_not_empty": "is_not_null"}
#: What a comparison with the empty text means; ours has no operand for it.
_WITH_NOTHING: dict[str, Any] = {
    "equal": {"all": [{"op": "is_empty"}, {"op": "is_not_null"}]},
    "not_equal": {"any": [{"op": "is_not_empty"}, {"op": "is_null"}]},
    **{name: {"op": "is_not_null"} for name in ("begins_with", "contains", "ends_with")},
    **{name: {"op": "is_null"} for name in ("not_begins_with", "not_contains", "not_ends_with")},
}
_ROUNDED = {
    "less": ("less", math.ceil), "less_or_equal": ("less_or_equal", math.floor), "greater": ("greater", math.floor),
    "greater_or_equal": ("greater_or_equal", math.ceil),
}  # fmt: skip

Columns = Mapping[str, ColumnInfo]


def translate(formula: Any, columns: Columns, where: str) -> dict[str, Any] | None:
    """Return our formula, with the ids of `columns`; None when it has no rules.

    `where` begins the message of errors.Invalid, which names the column and what is wrong.
    """
    if formula is None or formula == {} or (isinstance(formula, dict) and not formula.get("rules")):
        return None
    if not isinstance(formula, dict):
        raise errors.Invalid(f"{where}: its formula can’t be read.")
    return _node(formula, columns, where, 1)


def _node(node: Any, columns: Columns, where: str, depth: int) -> dict[str, Any]:
    if not isinstance(node, dict) or depth > MAX_DEPTH:
        raise errors.Invalid(f"{where}: its formula can’t be read.")
    if "rules" not in node:
        return _rule(node, columns, where)
    if not isinstance(node["rules"], list):
        raise errors.Invalid(f"{where}: its formula can’t be read.")
    members = [_node(member, columns, where, depth + 1) for member in node["rules"]]
    made: dict[str, Any] = {"any" if str(node.get("condition")).upper() == "OR" else "all": members}
    return {**made, "not": True} if node.get("not") is True else made


def _rule(rule: dict[str, Any], columns: Columns, where: str) -> dict[str, Any]:
    name = rule.get("field") or rule.get("id")
    column = columns.get(name) if isinstance(name, str) else None
    if column is None:
        raise errors.Invalid(f"{where}: there is no column “{str(name)[:80]}”.")
    operator = str(rule.get("operator"))
    if operator in _NULL_TESTS and column.type != "text":
        operator = _NULL_TESTS[operator]
    if operator not in OPERATORS:
        raise errors.Invalid(f"{where}: “{column.name}” is compared by “{operator[:40]}”, which is not known.")
    if not OPERATORS[operator].operands:
        return {"column": column.id, "op": operator}
    texts = [_text(value) for value in _values(rule.get("value"))]
    if texts == [""] and column.type == "text" and operator in _WITH_NOTHING:
        return _about(_WITH_NOTHING[operator], column.id)
    if column.type == "integer":
        operator, texts = _whole(operator, texts)
    for text in texts:
        _check(text, column, where)
    return {"column": column.id, "op": operator, "value": texts[0] if len(texts) == 1 else texts}


def _values(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _about(node: dict[str, Any], column_id: int) -> dict[str, Any]:
    if "op" in node:
        return {"column": column_id, **node}
    return {name: [_about(member, column_id) for member in members] for name, members in node.items()}


def _whole(operator: str, texts: list[str]) -> tuple[str, list[str]]:
    """Return the comparison with whole numbers that holds for the same whole numbers."""
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        return operator, texts
    if all(number.is_integer() and "." in text for number, text in zip(numbers, texts, strict=True)):
        return operator, [str(int(number)) for number in numbers]
    if len(numbers) == 1 and math.isfinite(numbers[0]) and operator in _ROUNDED and not numbers[0].is_integer():
        operator, rounded = _ROUNDED[operator]
        return operator, [str(rounded(numbers[0]))]
    return operator, texts


def _check(text: str, column: ColumnInfo, where: str) -> None:
    try:
        read(text, column.type, UTC_ZONE)
    except ValueError as error:
        raise errors.Invalid(
            f"{where}: “{text[:60]}” can’t be compared with the column “{column.name}”: {error}."
        ) from None
