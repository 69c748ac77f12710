"""A page of the table: sorted, searched, and found by the last row of the page before it.

A page begins after a row's (value, row id), so the hundredth page costs what the first one does. Rows without a
value come last in both directions. They are read by a statement of their own: that way an index on the column
serves both directions, and no comparison has to speak of NULL.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from chalicelib.tables.cells import MAX_SHOWN
from chalicelib.tables.models import Column
from chalicelib.tables.store import TYPES, table

PAGE_SIZE = 50
#: A value longer than this is not put into a link; it is looked up in the row that had it.
MAX_IN_LINK = 200
MAX_SEARCH_LENGTH = 200
#: Up to so many rows it is told how many a search finds; beyond, counting takes longer than the page.
COUNTED_ROWS = 20_000


@dataclass(frozen=True)
class Cursor:
    """The row next to a page: its id and its value in the column that sorts; None when it has none."""

    row_id: int
    value: str | None = None
    #: The value is too long for a link: look it up.
    is_long: bool = False

    def __str__(self) -> str:
        if self.is_long:
            return f"{self.row_id}^"
        return str(self.row_id) if self.value is None else f"{self.row_id}~{self.value}"

    @classmethod
    def read(cls, written: str) -> Cursor | None:
        """Return the cursor of a link; None for one that is absent or was tampered with."""
        number, mark, value = written.partition("~")
        is_long = not mark and number.endswith("^")
        number = number.removesuffix("^")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        return cls(int(number), value if mark else None, is_long)


@dataclass(frozen=True)
class Order:
    """What the rows are sorted by: a column, or the order in which they came."""

    column: Column | None = None
    descending: bool = False

    def __str__(self) -> str:
        if self.column is None:
            return ""
        return f"{'-' if self.descending else ''}{self.column.id}"


@dataclass(frozen=True)
class Rows:
    """One page. `before` and `after` are the cursors of the pages around it, where there are any."""

    rows: Sequence[RowMapping]
    before: Cursor | None
    after: Cursor | None


def read(
    session: Session,
    workflow_id: int,
    columns: Sequence[Column],
    *,
    order: Order,
    search: str = "",
    time_zone: str = "UTC",
    after: Cursor | None = None,
    before: Cursor | None = None,
) -> Rows:
    """Return the page that follows `after`, or the one that ends before `before`, or the first.

    Rows have `row_id` and `c<id>`; texts are cut to one character more than cells.MAX_SHOWN.
    """
    cursor = _placed(session, workflow_id, order, before or after)
    backwards = cursor is not None and before is not None
    condition, values = matching(columns, search, time_zone)
    found: list[RowMapping] = []
    size = PAGE_SIZE
    for where, ordering, bound in _parts(order, cursor, backwards):
        # The limit is written out: planned without knowing it, PostgreSQL would sort all rows.
        statement = text(f"""
            SELECT row_id{_selected(columns)}{_cursor_value(order)} FROM {table(workflow_id)} t
            WHERE {where} AND {condition} ORDER BY {ordering} LIMIT {size + 1 - len(found)}""")
        found += session.execute(statement, {**values, **bound}).mappings()
        if len(found) > size:
            break
    more, rows = len(found) > size, found[:size]
    if backwards:
        rows.reverse()
    has_next, has_previous = (bool(rows), more) if backwards else (more, cursor is not None and bool(rows))
    return Rows(
        rows,
        _cursor(rows[0], order) if has_previous else None,
        _cursor(rows[-1], order) if has_next else None,
    )


def count(session: Session, workflow_id: int, columns: Sequence[Column], search: str, time_zone: str) -> int:
    """Return how many rows the search finds."""
    condition, values = matching(columns, search, time_zone)
    return session.scalar(text(f"SELECT count(*) FROM {table(workflow_id)} WHERE {condition}"), values) or 0


def _selected(columns: Sequence[Column]) -> str:
    cut = MAX_SHOWN + 1
    return "".join(f", left(c{c.id}, {cut}) AS c{c.id}" if c.type == "text" else f", c{c.id}" for c in columns)


def _cursor_value(order: Order) -> str:
    # As PostgreSQL writes it, which keeps every digit of a number and every microsecond.
    return f", left(CAST({_sortable(order.column)} AS text), {MAX_IN_LINK + 1}) AS place" if order.column else ""


def _cursor(row: RowMapping, order: Order) -> Cursor:
    value = row["place"] if order.column else None
    if value is not None and len(value) > MAX_IN_LINK:
        return Cursor(row["row_id"], is_long=True)
    return Cursor(row["row_id"], value)


def _placed(session: Session, workflow_id: int, order: Order, cursor: Cursor | None) -> Cursor | None:
    """Return the cursor with its value, None when it can't be of this column."""
    if cursor is None or order.column is None:
        return cursor
    if cursor.is_long:
        found = session.execute(
            text(f"SELECT CAST({_sortable(order.column)} AS text) FROM {table(workflow_id)} t WHERE row_id = :row_id"),
            {"row_id": cursor.row_id},
        ).one_or_none()
        return Cursor(cursor.row_id, found[0]) if found else None
    if cursor.value is not None and order.column.type != "text":
        valid = session.scalar(
            text("SELECT pg_input_is_valid(:value, :type)"),
            {"value": cursor.value, "type": TYPES[order.column.type]},
        )
        return cursor if valid else None
    return cursor


Part = tuple[str, str, dict[str, Any]]


def _parts(order: Order, cursor: Cursor | None, backwards: bool) -> list[Part]:
    """Return condition, order and values of the statements that are read one after the other."""
    rising = order.descending == backwards
    sign, way = (">", "ASC") if rising else ("<", "DESC")
    if order.column is None:
        bound: dict[str, Any] = {"row_id": cursor.row_id} if cursor else {}
        return [(f"row_id {sign} :row_id" if cursor else "true", f"row_id {way}", bound)]
    name = _sortable(order.column)
    with_value: Part = (f"c{order.column.id} IS NOT NULL", f"{name} {way}, row_id {way}", {})
    without: Part = (f"c{order.column.id} IS NULL", f"row_id {way}", {})
    parts = [without, with_value] if backwards else [with_value, without]
    if cursor is None:
        return parts
    if cursor.value is None:
        here: Part = (f"{without[0]} AND row_id {sign} :row_id", without[1], {"row_id": cursor.row_id})
        return [here, with_value] if backwards else [here]
    bound = {"row_id": cursor.row_id, "value": cursor.value}
    place = f"({name}, row_id) {sign} (CAST(:value AS {TYPES[order.column.type]}), :row_id)"
    here = (place, with_value[1], bound)
    return [here] if backwards else [here, without]


def whole_order(order: Order) -> str:
    """Return the SQL that sorts the whole table, called `t`, as its pages are."""
    way = "DESC" if order.descending else "ASC"
    return f"{_sortable(order.column)} {way} NULLS LAST, row_id {way}" if order.column else "row_id"


def _sortable(column: Column) -> str:
    """Return what sorts the rows of `t`: for texts without case and accents, but keys in the order of their index."""
    return f"lower(unaccent(t.c{column.id}))" if column.type == "text" and not column.is_key else f"t.c{column.id}"


def matching(columns: Sequence[Column], search: str, time_zone: str) -> tuple[str, dict[str, Any]]:
    """Return a condition, and its values, that holds for rows in which some cell contains the searched text.

    Letters are compared without case and accents; % and _ mean themselves. Numbers and dates are searched as
    they are shown, and only when they can contain the text.
    """
    needle = unicodedata.normalize("NFC", search.strip())[:MAX_SEARCH_LENGTH]
    if not needle:
        return "true", {}
    values: dict[str, Any] = {"needle": needle}
    found = []
    if texts := ", ".join(f"c{column.id}" for column in columns if column.type == "text"):
        # All texts at once: one call is cheaper than one for each cell. Nobody searches for a line's end. The
        # needle is a subquery, as it would be computed for each row otherwise.
        cells = f"lower(unaccent(concat_ws(E'\\n', {texts})))"
        found.append(f"strpos({cells}, (SELECT lower(unaccent(CAST(:needle AS text))))) > 0")
    for column in columns:
        name = f"c{column.id}"
        if column.type in {"integer", "double"} and set(needle) <= set("0123456789.+-e"):
            found.append(f"strpos(CAST({name} AS text), :needle) > 0")
        elif column.type == "datetime" and set(needle) <= set("0123456789-: "):
            shown = f"to_char({name} AT TIME ZONE CAST(:zone AS text), 'YYYY-MM-DD HH24:MI')"
            found.append(f"strpos({shown}, :needle) > 0")
            values["zone"] = time_zone
        elif column.type == "boolean" and needle.lower() in {"yes", "no"}:
            found.append(name if needle.lower() == "yes" else f"NOT {name}")
    return "(" + " OR ".join(found or ["false"]) + ")", values
