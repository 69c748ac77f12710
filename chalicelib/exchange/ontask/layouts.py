"""The layouts that OnTask's exports have had over the years, brought to the latest one."""

from __future__ import annotations

from typing import Any

from chalicelib import errors

Item = dict[str, Any]


def items(value: Any, where: str) -> list[Item]:
    """Return a list of objects; nothing is an empty one.

    Raises errors.Invalid when it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list) or any(not isinstance(item, dict) for item in value):
        raise errors.Invalid(f"{where} is no list of objects.")
    return value


def text(item: Item, name: str, where: str) -> str:
    """Return a text; nothing is an empty one.

    Raises errors.Invalid when it is something else.
    """
    value = item.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise errors.Invalid(f"{where}: “{name}” is no text.")
    return value


def name_of(item: Any, where: str) -> str:
    """Return the name in `{"name": …}`.

    Raises errors.Invalid when there is none.
    """
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]:
        raise errors.Invalid(f"{where} has no name.")
    return str(item["name"])


def formula_of(item: Item) -> Any:
    """Return the formula, under its present or its earlier name."""
    return item["_formula"] if item.get("_formula") else item.get("formula")


def view_filter(view: Item) -> Item | None:
    """Return the filter of a view; older files have the formula on the view itself."""
    if isinstance(view.get("filter"), dict) and view["filter"]:
        return dict(view["filter"])
    if not formula_of(view):
        return None
    return {"_formula": formula_of(view), "description_text": view.get("description_text") or ""}


def action_filter(action: Item, where: str) -> Item | None:
    """Return the filter of a message in whatever shape it comes, or the condition that is marked as one."""
    found = action.get("filter")
    if isinstance(found, list):
        if len(found) > 1:
            raise errors.Invalid(f"{where} has more than one filter.")
        found = found[0] if found else None
    if isinstance(found, dict) and found:
        return found
    marked = [one for one in items(action.get("conditions"), f"{where}: “conditions”") if one.get("is_filter") is True]
    if len(marked) > 1:
        raise errors.Invalid(f"{where} has more than one filter.")
    return marked[0] if marked else None


def conditions(action: Item, where: str) -> list[Item]:
    """Return the conditions of a message without the one that is its filter."""
    found = items(action.get("conditions"), f"{where}: “conditions”")
    return [one for one in found if one.get("is_filter") is not True]


def content(action: Item, where: str) -> str:
    """Return the text of a message, under its present or its earlier name."""
    return text(action, "text_content", where) or text(action, "content", where)


def kind(action: Item) -> str:
    """Return the kind of a message; the oldest files only say whether it goes out."""
    if isinstance(action.get("action_type"), str):
        return str(action["action_type"])
    return "survey" if action.get("is_out") is False else "personalized_text"


def questions(action: Item, where: str) -> list[Item]:
    """Return the columns of a message with their conditions; the oldest files have bare columns."""
    pairs = items(action.get("column_condition_pair"), f"{where}: “column_condition_pair”")
    return pairs or [{"column": column} for column in items(action.get("columns"), f"{where}: “columns”")]
