"""Rows for programs, which know learners by the value of a key and not by our numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.tables import cells, rows, service, store
from chalicelib.tables.models import Column
from chalicelib.tables.writing import writing
from chalicelib.workflows.models import Workflow


def find(session: Session, workflow: Workflow, key: Column, value: Any, *, lock: bool = False) -> int:
    """Return the id of the row with this value of the key; with `lock` nobody changes it in the meantime.

    Raises errors.NotFound when there is none.
    """
    row_id = _find(session, workflow, key, value, lock=lock)
    if row_id is None:
        raise errors.NotFound(rows.GONE)
    return row_id


def _find(session: Session, workflow: Workflow, key: Column, value: Any, *, lock: bool) -> int | None:
    ending = " FOR UPDATE" if lock else ""
    statement = text(f"SELECT row_id FROM {store.table(workflow.id)} WHERE c{key.id} = :value{ending}")

    def look() -> int | None:
        found: int | None = session.scalar(statement, {"value": value})
        return found

    return writing(session, workflow, {}, {}, look, None) if lock else look()


def put(
    session: Session, workflow: Workflow, user_id: int, columns: Sequence[Column], key: Column, value: Any,
    given: Mapping[Column, Any],
) -> tuple[int, bool]:  # fmt: skip
    """Give the row with this key these values, or add it; return its id and whether it was added.

    Two who add the same row at once: the second finds the first one's row and changes it. Raises what `change` and
    `service.add_row` do.
    """
    row_id = _find(session, workflow, key, value, lock=True)
    if row_id is None:
        values = {column.id: given.get(column) for column in columns} | {key.id: value}
        try:
            return service.add_row(session, workflow, user_id, list(columns), values), True
        except errors.Invalid:
            row_id = _find(session, workflow, key, value, lock=True)
            if row_id is None:
                raise
    change(session, workflow, user_id, row_id, columns, given)
    return row_id, False


def change(
    session: Session, workflow: Workflow, user_id: int, row_id: int, columns: Sequence[Column],
    given: Mapping[Column, Any],
) -> None:  # fmt: skip
    """Give a row, which must be locked, these values and leave the others.

    Raises errors.Invalid for a key that is taken or missing, and for what a formula keeps up to date.
    """
    now = service.row(session, workflow, row_id, list(columns))
    new = {column: value for column, value in given.items() if cells.seal(value) != cells.seal(now[column.id])}
    for column, value in new.items():
        if column.is_key:
            if value is None:
                raise errors.Invalid(f"“{column.name}” can’t be empty.", {column.name: "A key needs a value."})
            seen = cells.seal(now[column.id])
            service.change_cell(session, workflow, user_id, row_id, column, value, seen=seen)
    others = {column: value for column, value in new.items() if not column.is_key}
    if others:
        seals = {column.id: cells.seal(now[column.id]) for column in others}
        rows.change(session, workflow, user_id, row_id, others, seals)
