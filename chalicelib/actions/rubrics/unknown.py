"""Learners whose value in a criterion is none of its levels: they get no feedback for it, and somebody should know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from chalicelib.actions.rubrics.queries import NAMED, Grid, Line, Unknown
from chalicelib.formulas.check import Columns
from chalicelib.formulas.sql import SQL_TYPES, condition, learners
from chalicelib.tables import cells
from chalicelib.workflows.models import Workflow


def among(
    session: Session, workflow: Workflow, grid: Grid, columns: Columns, who: Any, key_id: int | None,
    row_id: int | None = None,
) -> list[Unknown]:  # fmt: skip
    """Return the criteria in which learners for whom the formula `who` holds have a value that is no level.

    With `row_id` only that learner is looked at. Two statements however many criteria there are, and one for each
    criterion with such values. Raises errors.Invalid when the formula can't be used any more.
    """
    lines = [line for line in grid.lines if line.column is not None and line.levels]
    if workflow.row_count is None or not lines:
        return []
    table = learners(workflow.id, columns)
    chosen = [condition(who, columns, table, workflow.time_zone)]
    if row_id is not None:
        chosen = [table.c.row_id == row_id]
    strange = [_is_strange(line, table) for line in lines]
    counted = sa.select(*(sa.func.count().filter(one) for one in strange)).select_from(table).where(*chosen)
    counts: Sequence[int] = session.execute(counted).one()
    found = []
    for line, which, count in zip(lines, strange, counts, strict=True):
        if count:
            label = table.c[f"c{key_id}"] if key_id in columns else table.c.row_id
            value = table.c[f"c{line.column.id}"]
            first = sa.select(table.c.row_id, label, value).where(*chosen, which).order_by(table.c.row_id).limit(NAMED)
            named = [(row[0], str(row[1]), cells.shown(row[2], cells.UTC_ZONE)) for row in session.execute(first)]
            found.append(Unknown(line.name, count, named))
    return found


def _is_strange(line: Line, table: sa.FromClause) -> sa.ColumnElement[bool]:
    column = line.column
    levels = sa.literal(cells.allowed(column, cells.UTC_ZONE), ARRAY(SQL_TYPES[column.type]))
    value = table.c[f"c{column.id}"]
    return sa.and_(value.is_not(None), sa.not_(value == sa.any_(levels)))
