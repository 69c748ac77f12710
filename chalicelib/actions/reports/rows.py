"""The rows of the tables in a report: the learners it is about, in the columns and the order of each table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.actions.language.rows import Rows
from chalicelib.actions.language.syntax import Table
from chalicelib.formulas.check import Columns
from chalicelib.formulas.sql import condition, learners


def read(
    session: Session, workflow_id: int, columns: Columns, tables: Sequence[Table], who: Any, time_zone: str
) -> dict[str, Rows]:
    """Return what each table shows of the learners for whom the formula `who` holds, by the table's key.

    All columns of the tables must be there. Raises errors.Invalid when the formula can't be used any more.
    """
    source = learners(workflow_id, columns)
    chosen = condition(who, columns, source, time_zone)
    return {table.key: _rows(session, source, columns, table, chosen) for table in tables}


def _rows(
    session: Session, source: sa.TableClause, columns: Columns, table: Table, chosen: sa.ColumnElement[bool]
) -> Rows:
    query = sa.select(*(source.c[name] for name in table.columns)).where(chosen)
    if table.sort:
        by = source.c[table.sort]
        query = query.order_by((by.desc() if table.is_descending else by.asc()).nulls_last())
    query = query.order_by(source.c.row_id).limit(table.most)
    names = [columns[int(name[1:])].name for name in table.columns]
    return Rows(names, [tuple(row) for row in session.execute(query)])


def count(session: Session, workflow_id: int, columns: Columns, who: Any, time_zone: str) -> int:
    """Return for how many learners the formula holds."""
    source = learners(workflow_id, columns)
    chosen = condition(who, columns, source, time_zone)
    return session.scalar(sa.select(sa.func.count()).select_from(source).where(chosen)) or 0


def frozen(rows: Mapping[str, Rows]) -> dict[str, list[list[Any]]]:
    """Return the rows as JSON holds them; `thawed` makes rows of them again."""
    return {key: [[_plain(value) for value in row] for row in one.rows] for key, one in rows.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, datetime) else value


def thawed(rows: Sequence[Sequence[Any]], names: Sequence[str], types: Sequence[str]) -> Rows:
    """Return frozen rows as they were; `types` are those of the columns."""
    made = [[_typed(value, kind) for value, kind in zip(row, types, strict=True)] for row in rows]
    return Rows(names, made)


def _typed(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "datetime":
        return datetime.fromisoformat(value)
    return float(value) if kind == "double" else value
