"""A page of the table: sorted, and found by the last row of the page before it.

A page begins after a row's values in the columns that sort, and its id, so the hundredth page costs what the first
one does. Rows without a value come last in both directions. A column that tells learners apart has a value in every
row and an index, so nothing but this value is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from chalicelib.formulas import sql
from chalicelib.tables.cells import MAX_SHOWN
from chalicelib.tables.models import Column
from chalicelib.tables.scope import Scope
from chalicelib.tables.store import TYPES, table

PAGE_SIZE = 50
#: What people can choose.
SIZES = (10, 25, 50, 100)
#: Sorting by more columns than this tells nobody anything.
MAX_SORTED = 5
#: A value longer than this is not put into a link; it is looked up in the row that had it.
MAX_IN_LINK = 200
#: Up to so many rows it is told at once how many there are; beyond, counting takes longer than the page.
COUNTED_ROWS = 20_000


@dataclass(frozen=True)
class Cursor:
    """The row next to a page: its id and its values in the columns that sort, None where it has none."""

    row_id: int
    values: tuple[str | None, ...] = ()
    #: The values are too long for a link: look them up.
    is_long: bool = False

    def __str__(self) -> str:
        if self.is_long:
            return f"{self.row_id}^"
        return f"{self.row_id}~{json.dumps(self.values, ensure_ascii=False)}" if self.values else str(self.row_id)

    @classmethod
    def read(cls, written: str) -> Cursor | None:
        """Return the cursor of a link; None for one that is absent or was tampered with."""
        number, mark, value = written.partition("~")
        is_long = not mark and number.endswith("^")
        number = number.removesuffix("^")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        values = _texts(value) if mark else ()
        return None if values is None else cls(int(number), values, is_long)


def _texts(written: str) -> tuple[str | None, ...] | None:
    try:
        values = json.loads(written)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, list) or any(item is not None and not isinstance(item, str) for item in values):
        return None
    return tuple(values)


@dataclass(frozen=True)
class By:
    """A column that sorts, and which way."""

    column: Column
    descending: bool = False

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.column.id}"

    @property
    def expression(self) -> str:
        """What sorts the rows of `t`: for texts without case and accents, but keys in the order of their index."""
        name = f"t.c{self.column.id}"
        return f"lower(unaccent({name}))" if self.column.type == "text" and not self.column.is_key else name


@dataclass(frozen=True)
class Order:
    """What the rows are sorted by: the first column, within equal values the next; without any, as they came."""

    by: tuple[By, ...] = ()

    def __str__(self) -> str:
        return ",".join(str(one) for one in self.by)

    @property
    def deciding(self) -> tuple[By, ...]:
        """The columns up to the first in which no two rows are equal."""
        for position, one in enumerate(self.by, 1):
            if one.column.is_key:
                return self.by[:position]
        return self.by

    def sql(self, *, backwards: bool = False) -> str:
        """Return what stands behind ORDER BY for rows of `t`."""
        parts = [_way(one, backwards) for one in self.deciding]
        if not any(one.column.is_key for one in self.by):
            parts.append(f"t.row_id {'DESC' if backwards else 'ASC'}")
        return ", ".join(parts)


def _way(one: By, backwards: bool) -> str:
    way = "DESC" if one.descending != backwards else "ASC"
    if one.column.is_key:  # said without NULLS, so that the index serves both directions
        return f"{one.expression} {way}"
    return f"{one.expression} {way} NULLS {'FIRST' if backwards else 'LAST'}"


@dataclass(frozen=True)
class Rows:
    """One page. `before` and `after` are the cursors of the pages around it, where there are any."""

    rows: Sequence[RowMapping]
    before: Cursor | None
    after: Cursor | None


def read(
    session: Session,
    scope: Scope,
    columns: Sequence[Column],
    *,
    order: Order,
    size: int = 0,
    after: Cursor | None = None,
    before: Cursor | None = None,
    flags: Mapping[str, Any] | None = None,
    is_whole: bool = False,
) -> Rows:
    """Return the page that follows `after`, or the one that ends before `before`, or the first.

    Rows have `row_id`, `c<id>` and, by name, whether each formula in `flags` holds; texts are cut to one character
    more than cells.MAX_SHOWN, unless `is_whole`. Raises errors.Invalid when a rule of the scope can't be used any more.
    """
    size = size or PAGE_SIZE
    cursor = _placed(session, scope.workflow_id, order, before or after)
    backwards = cursor is not None and before is not None
    learners = scope.table()
    parts = {"row_id": "t.row_id", **_cells(columns, is_whole=is_whole), **_places(order)}
    wanted: list[Any] = [sa.literal_column(part).label(name) for name, part in parts.items()]
    for name, formula in (flags or {}).items():
        wanted.append(sql.condition(formula, scope.columns, learners, scope.rules_zone).label(name))
    query = sa.select(*wanted).select_from(learners).where(*scope.where(learners))
    if cursor is not None:
        query = query.where(_beyond(order, cursor, backwards))
    # The limit is written out: planned without knowing it, PostgreSQL would sort all rows.
    query = query.order_by(text(order.sql(backwards=backwards))).limit(sa.literal_column(str(size + 1)))
    found = session.execute(query).mappings().all()
    more, rows = len(found) > size, list(found[:size])
    if backwards:
        rows.reverse()
    has_next, has_previous = (bool(rows), more) if backwards else (more, cursor is not None and bool(rows))
    return Rows(
        rows,
        _cursor(rows[0], order) if has_previous else None,
        _cursor(rows[-1], order) if has_next else None,
    )


def _cells(columns: Sequence[Column], *, is_whole: bool) -> dict[str, str]:
    cut = MAX_SHOWN + 1
    is_cut = {column.id for column in columns if column.type == "text" and not is_whole}
    return {f"c{c.id}": f"left(t.c{c.id}, {cut})" if c.id in is_cut else f"t.c{c.id}" for c in columns}


def _places(order: Order) -> dict[str, str]:
    # As PostgreSQL writes them, which keeps every digit of a number and every microsecond.
    return {
        f"place{at}": f"left(CAST({one.expression} AS text), {MAX_IN_LINK + 1})"
        for at, one in enumerate(order.deciding)
    }


def _cursor(row: RowMapping, order: Order) -> Cursor:
    values = tuple(row[f"place{at}"] for at in range(len(order.deciding)))
    if any(value is not None and len(value) > MAX_IN_LINK for value in values):
        return Cursor(row["row_id"], is_long=True)
    return Cursor(row["row_id"], values)


def _placed(session: Session, workflow_id: int, order: Order, cursor: Cursor | None) -> Cursor | None:
    """Return the cursor with its values, None when they can't be of these columns."""
    by = order.deciding
    if cursor is None or not by:
        return Cursor(cursor.row_id) if cursor else None
    if cursor.is_long:
        values = ", ".join(f"CAST({one.expression} AS text)" for one in by)
        statement = f"SELECT {values} FROM {table(workflow_id)} t WHERE row_id = :row_id"
        found = session.execute(text(statement), {"row_id": cursor.row_id}).one_or_none()
        return Cursor(cursor.row_id, tuple(found)) if found else None
    if len(cursor.values) != len(by) or any(
        value is None and one.column.is_key for value, one in zip(cursor.values, by, strict=True)
    ):
        return None
    checked = {
        f"v{at}": value for at, (value, one) in enumerate(zip(cursor.values, by, strict=True))
        if value is not None and one.column.type != "text"
    }  # fmt: skip
    if checked:
        kinds = {name: TYPES[by[int(name[1:])].column.type] for name in checked}
        valid = " AND ".join(f"pg_input_is_valid(:{name}, '{kind}')" for name, kind in kinds.items())
        if not session.scalar(text(f"SELECT {valid}"), checked):
            return None
    return cursor


def _beyond(order: Order, cursor: Cursor, backwards: bool) -> sa.TextClause:
    """Return what holds for the rows after the cursor's, or before it: larger in the first column that differs."""
    bound: dict[str, Any] = {"row_id": cursor.row_id}
    cases: list[str] = []
    equal: list[str] = []
    for at, (one, value) in enumerate(zip(order.deciding, cursor.values, strict=True)):
        name, there = one.expression, f"CAST(:v{at} AS {TYPES[one.column.type]})"
        sign = ">" if one.descending == backwards else "<"
        if value is None:  # missing ones are last: nothing follows them, and everything comes before
            further, same = (f"{name} IS NOT NULL" if backwards else "false"), f"{name} IS NULL"
        else:
            bound[f"v{at}"] = value
            further, same = f"{name} {sign} {there}", f"{name} = {there}"
            if not backwards and not one.column.is_key:
                further = f"({further} OR {name} IS NULL)"
        cases.append(" AND ".join([*equal, further]))
        equal.append(same)
    if not any(one.column.is_key for one in order.by):
        cases.append(" AND ".join([*equal, f"t.row_id {'<' if backwards else '>'} :row_id"]))
    condition = "(" + " OR ".join(f"({case})" for case in cases) + ")"
    return text(condition).bindparams(**{name: bound[name] for name in bound if f":{name}" in condition})
