"""The forms of learners: a new one, one that is there, many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.tables import cells
from chalicelib.tables.columns import recipes
from chalicelib.tables.models import Column
from chalicelib.web.request import Values


def in_order(columns: Sequence[Column]) -> list[Column]:
    """Return the columns as the table shows them: keys first, as they stay in sight."""
    return sorted(columns, key=lambda column: not column.is_key)


def new_row(form: Values, columns: Sequence[Column], zone: ZoneInfo) -> dict[int, Any]:
    """Read the form of a new learner: values by column id.

    Raises errors.Invalid with a message for each field `c<id>` that does not fit.
    """
    values: dict[int, Any] = {}
    problems: dict[str, str] = {}
    for column in columns:
        field = f"c{column.id}"
        try:
            values[column.id] = cells.read(form.get(field), column, zone, field=field)
        except errors.Invalid as error:
            problems |= error.fields
    if problems:
        raise errors.Invalid("Some values do not fit.", problems)
    return values


def choices(column: Column, zone: ZoneInfo) -> Mapping[str, str]:
    """Return what a drop-down of the column offers, by what is sent; empty when people type."""
    if column.type == "boolean":
        found: Mapping[str, str] = {"yes": "yes", "no": "no"}
    else:
        found = {cells.written(value, zone): cells.shown(value, zone) for value in cells.allowed(column, zone)}
    return {"": "– no value", **found} if found and not column.is_key else found


@dataclass(frozen=True)
class Field:
    """How a value is asked for: `kind` is select, date, area or text; `is_fixed` can't be changed here."""

    kind: str
    text: str
    choices: Mapping[str, str]
    is_fixed: bool
    why: str = ""


def field(column: Column, value: Any, zone: ZoneInfo) -> Field:
    """Return the field that shows a value in the form of a learner."""
    text, offered = cells.written(value, zone), choices(column, zone)
    recipe = recipes.formula(column.recipe)
    if column.is_key:
        return Field("text", text, {}, True, "It tells learners apart: change it on the learner’s page.")
    if recipe is not None and recipe.keep:
        return Field("text", text, {}, True, "It is worked out from other columns.")
    if offered:
        return Field("select", text, offered if text in offered else {text: text, **offered}, False)
    if column.type == "datetime" and len(text) <= len("2026-12-31 14:30:00"):
        return Field("date", text.replace(" ", "T"), {}, False)
    return Field("area" if "\n" in text or len(text) > 80 else "text", text, {}, False)


def changed_row(
    form: Values, columns: Sequence[Column], now: Mapping[int, Any], zone: ZoneInfo, seen: Mapping[int, str]
) -> dict[Column, Any]:
    """Read the form of a learner: the values that are not those of `now`, nor those that the form showed, by column.

    `seen` are the seals of what it showed. Raises errors.Invalid with a message for each field `c<id>` that does not
    fit.
    """
    new: dict[Column, Any] = {}
    problems: dict[str, str] = {}
    for column in columns:
        name, shown = f"c{column.id}", field(column, now[column.id], zone)
        typed = form.get(name).replace("\r\n", "\n")
        if shown.is_fixed or name not in form or typed == shown.text:
            continue
        try:
            value = cells.read(typed, column, zone, field=name)
        except errors.Invalid as error:
            problems |= error.fields
            continue
        if cells.seal(value) != seen[column.id]:
            new[column] = value
    if problems:
        raise errors.Invalid("Some values do not fit.", problems)
    return new
