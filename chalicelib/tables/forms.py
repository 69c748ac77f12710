"""What the table page is told: the state in its address, and the form of a new learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.tables import cells
from chalicelib.tables.models import Column
from chalicelib.tables.paging import MAX_SEARCH_LENGTH, Cursor, Order
from chalicelib.web.request import Values


@dataclass(frozen=True)
class State:
    """What of the table is on the screen."""

    order: Order
    search: str
    after: Cursor | None
    before: Cursor | None


def state(query: Values, columns: Sequence[Column]) -> State:
    """Read the state from the address.

    Raises errors.NotFound when it sorts by a column that is not one of `columns`.
    """
    return State(
        order(query.get("sort"), columns), " ".join(query.get("search").split())[:MAX_SEARCH_LENGTH],
        Cursor.read(query.get("after")), Cursor.read(query.get("before")),
    )  # fmt: skip


def order(written: str, columns: Sequence[Column]) -> Order:
    """Read `12` (by this column, lowest first), `-12` (highest first) or nothing.

    Raises errors.NotFound for a column that is not one of `columns`.
    """
    if not written:
        return Order()
    found = next((column for column in columns if str(column.id) == written.removeprefix("-")), None)
    if found is None:
        raise errors.NotFound("The table has no such column to sort by.")
    return Order(found, written.startswith("-"))


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
