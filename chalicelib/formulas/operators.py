"""The operators: their words, their operands and the column types that have them. The one source of both ends."""

from __future__ import annotations

from dataclasses import dataclass

TYPES = ("integer", "double", "boolean", "datetime", "text")
_ORDERED = frozenset({"integer", "double", "datetime"})
_TEXT = frozenset({"text"})
_ALL = frozenset(TYPES)


@dataclass(frozen=True)
class Operator:
    """`operands`: 0, 1, 2 or -1 for a list. `words` follow the column's name, in lists and in sentences."""

    name: str
    words: str
    operands: int
    types: frozenset[str]


OPERATORS = {
    operator.name: operator
    for operator in (
        Operator("equal", "is", 1, _ALL),
        Operator("not_equal", "is not", 1, _ALL),
        Operator("less", "is less than", 1, _ORDERED),
        Operator("less_or_equal", "is at most", 1, _ORDERED),
        Operator("greater", "is more than", 1, _ORDERED),
        Operator("greater_or_equal", "is at least", 1, _ORDERED),
        Operator("between", "is between", 2, _ORDERED),
        Operator("not_between", "is not between", 2, _ORDERED),
        Operator("begins_with", "begins with", 1, _TEXT),
        Operator("not_begins_with", "does not begin with", 1, _TEXT),
        Operator("contains", "contains", 1, _TEXT),
        Operator("not_contains", "does not contain", 1, _TEXT),
        Operator("ends_with", "ends with", 1, _TEXT),
        Operator("not_ends_with", "does not end with", 1, _TEXT),
        Operator("is_one_of", "is one of", -1, _ALL - {"boolean"}),
        Operator("is_none_of", "is none of", -1, _ALL - {"boolean"}),
        Operator("is_empty", "is empty", 0, _TEXT),
        Operator("is_not_empty", "is not empty", 0, _TEXT),
        Operator("is_null", "is missing", 0, _ALL),
        Operator("is_not_null", "is not missing", 0, _ALL),
    )
}


def for_type(column_type: str) -> list[Operator]:
    """Return the operators that columns of this type have."""
    return [operator for operator in OPERATORS.values() if column_type in operator.types]
