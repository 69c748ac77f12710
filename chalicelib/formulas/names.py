"""Formulas as programs write and read them: with the names of columns where the stored ones have ids."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from chalicelib import errors
from chalicelib.formulas import tree
from chalicelib.formulas.check import Columns


def with_names(formula: Any, columns: Columns) -> dict[str, Any] | None:
    """Return a stored formula with names; a column that was deleted has null, no rules at all are None."""
    if tree.holds_nothing(formula):
        return None
    return _named(tree.dump(tree.parse(formula)), columns)


def _named(node: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    if "op" in node:
        column = columns.get(node["column"])
        return {**node, "column": column.name if column else None}
    return {name: [_named(one, columns) for one in held] if isinstance(held, list) else held
            for name, held in node.items()}  # fmt: skip


def from_names(formula: Any, columns: Columns) -> Any:
    """Return the formula with ids, to be checked as any other.

    Raises errors.Invalid (field `filter`) for a name that no column has and for groups that are nested too deep.
    """
    return _with_ids(formula, columns, 1)


def _with_ids(node: Any, columns: Columns, depth: int) -> Any:
    if depth > tree.MAX_DEPTH + 1:
        message = f"Groups can be nested at most {tree.MAX_DEPTH} deep."
        raise errors.Invalid(message, {"filter": message})
    if not isinstance(node, dict):
        return node
    if "column" in node:
        return {**node, "column": id_of(node["column"], columns, "filter")}
    return {name: [_with_ids(one, columns, depth + 1) for one in held] if isinstance(held, list) else held
            for name, held in node.items()}  # fmt: skip


def id_of(name: Any, columns: Columns, field: str) -> int:
    """Return the id of the column of this name.

    Raises errors.Invalid, with the nearest name for `field`, when there is none.
    """
    ids = {column.name: key for key, column in columns.items()}
    if isinstance(name, str) and name in ids:
        return ids[name]
    near = get_close_matches(str(name), ids, n=1)
    message = f"There is no column “{name}”." + (f" Did you mean “{near[0]}”?" if near else "")
    raise errors.Invalid(message, {field: message})
