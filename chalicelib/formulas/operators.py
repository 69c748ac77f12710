"""The operators: their words, their operands and the columns that have them. The one source of both ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TYPES = ("integer", "double", "boolean", "datetime", "text")
_ORDERED = frozenset({"integer", "double", "datetime"})
_TEXT = frozenset({"text"})
_ALL = frozenset(TYPES)
_LISTABLE = _ALL - {"boolean"}
#: A column with a list of allowed values is compared with these values, not by size or by parts of the text.
_LISTED = frozenset({"equal", "not_equal", "is_one_of", "is_none_of", "is_null", "is_not_null"})


@dataclass(frozen=True)
class Operator:
    """`operands`: 0, 1, 2 or -1 for a list. `words` follow the column's name, in lists and in sentences.

    `date_words` replace them for dates. `keeps_missing`: true for a learner without a value, though the words
    alone don't say so.
    """

    name: str
    words: str
    operands: int
    types: frozenset[str]
    date_words: str = ""
    keeps_missing: bool = False

    def said(self, column_type: str) -> str:
        """Return the words for a column of this type."""
        return self.date_words if column_type == "datetime" and self.date_words else self.words


OPERATORS = {
    operator.name: operator
    for operator in (
        Operator("equal", "is", 1, _ALL),
        Operator("not_equal", "is not", 1, _ALL, keeps_missing=True),
        Operator("less", "is less than", 1, _ORDERED, "is before"),
        Operator("less_or_equal", "is at most", 1, _ORDERED, "is at or before"),
        Operator("greater", "is more than", 1, _ORDERED, "is after"),
        Operator("greater_or_equal", "is at least", 1, _ORDERED, "is at or after"),
        Operator("between", "is between", 2, _ORDERED),
        Operator("not_between", "is not between", 2, _ORDERED),
        Operator("begins_with", "begins with", 1, _TEXT),
        Operator("not_begins_with", "does not begin with", 1, _TEXT, keeps_missing=True),
        Operator("contains", "contains", 1, _TEXT),
        Operator("not_contains", "does not contain", 1, _TEXT, keeps_missing=True),
        Operator("ends_with", "ends with", 1, _TEXT),
        Operator("not_ends_with", "does not end with", 1, _TEXT, keeps_missing=True),
        Operator("is_one_of", "is one of", -1, _LISTABLE),
        Operator("is_none_of", "is none of", -1, _LISTABLE, keeps_missing=True),
        Operator("is_empty", "is empty", 0, _TEXT),
        Operator("is_not_empty", "is not empty", 0, _TEXT),
        Operator("is_null", "is missing", 0, _ALL),
        Operator("is_not_null", "is not missing", 0, _ALL),
    )
}


def for_type(column_type: str, *, listed: bool = False) -> list[Operator]:
    """Return the operators that columns of this type have; `listed`: those with a list of allowed values."""
    return [
        operator for operator in OPERATORS.values()
        if column_type in operator.types and (not listed or operator.name in _LISTED)
    ]  # fmt: skip


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """Return what the rule builder offers, as JSON: by type, and by "type listed" for columns with a list."""
    return {
        kind + (" listed" if listed else ""): [
            {
                "name": operator.name, "words": operator.said(kind), "operands": operator.operands,
                "keepsMissing": operator.keeps_missing,
            }
            for operator in for_type(kind, listed=listed)
        ]
        for kind in TYPES for listed in (False, True)
    }  # fmt: skip
