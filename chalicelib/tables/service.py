"""Changes that people make by hand: one cell, one learner. Bulk changes are in `uploads`, columns in `columns`.

What was there before is kept in the event of the change, so each of them can be taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, NoReturn, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.audit import service as audit
from chalicelib.tables import cells, queries, store
from chalicelib.tables.columns import keeping, recipes, remove, settings
from chalicelib.tables.models import Column
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

UNIQUE_VIOLATION = "23505"
GONE = "This learner is not in the table any more."
Result = TypeVar("Result")


class Changed(errors.Conflict):
    """Raised when a cell no longer has the value that was shown; `now` is what it has."""

    def __init__(self, now: Any) -> None:
        super().__init__("Somebody changed this value meanwhile.")
        self.now = now


def value(session: Session, workflow_id: int, row_id: int, column: Column) -> Any:
    """Return one cell.

    Raises errors.NotFound when there is no such row.
    """
    return _value(session, workflow_id, row_id, column, "")


def _value(session: Session, workflow_id: int, row_id: int, column: Column, lock: str) -> Any:
    statement = f"SELECT c{column.id} FROM {store.table(workflow_id)} WHERE row_id = :row_id {lock}"
    found = session.execute(text(statement), {"row_id": row_id}).one_or_none()
    if found is None:
        raise errors.NotFound(GONE)
    return found[0]


def row(session: Session, workflow: Workflow, row_id: int, columns: list[Column]) -> dict[int, Any]:
    """Return all values of a learner by column id.

    Raises errors.NotFound when there is no such row.
    """
    if workflow.row_count is None:
        raise errors.NotFound
    names_of = ", ".join(["row_id", *(f"c{column.id}" for column in columns)])
    statement = f"SELECT {names_of} FROM {store.table(workflow.id)} WHERE row_id = :row_id"
    found = session.execute(text(statement), {"row_id": row_id}).one_or_none()
    if found is None:
        raise errors.NotFound(GONE)
    return {column.id: item for column, item in zip(columns, found[1:], strict=True)}


def change_cell(
    session: Session, workflow: Workflow, user_id: int, row_id: int, column: Column, new: Any, *, seen: str
) -> int | None:
    """Give one cell a value of its column's type; `seen` is the seal of the value that was on the screen.

    Returns the id of the event by which it can be taken back; None when the cell has this value already.
    Raises Changed when the cell has another value by now, errors.Invalid (field `value`) when a key is taken,
    errors.Conflict when the table is locked for more than 3 s, errors.NotFound when the row is gone. A column that a
    formula keeps up to date takes no value by hand.
    """
    recipe = recipes.formula(column.recipe)
    if recipe is not None and recipe.keep:
        message = "This value is worked out from other columns. Change those, or stop that on the column’s page."
        raise errors.Invalid(message, {"value": message})

    def change() -> int | None:
        old = _value(session, workflow.id, row_id, column, "FOR UPDATE")
        if old == new and (old is None) == (new is None):
            return None
        if cells.seal(old) != seen:
            raise Changed(old)
        session.execute(
            text(f"UPDATE {store.table(workflow.id)} SET c{column.id} = :new WHERE row_id = :row_id"),
            {"new": new, "row_id": row_id},
        )
        keeping.data_changed(session, workflow.id, column_ids=[column.id], row_ids=[row_id])
        return _record(
            session, workflow, user_id, "cell_changed", row_id=row_id, column_id=column.id, name=column.name,
            old=_kept(old), new=_kept(new),
        )  # fmt: skip

    return _writing(session, workflow, {column.id: column}, {column.id: new}, change, "value")


def add_row(
    session: Session, workflow: Workflow, user_id: int, columns: list[Column], values: Mapping[int, Any],
    *, row_id: int | None = None,
) -> int:  # fmt: skip
    """Add a learner with these values by column id and return the row's id.

    `row_id` is for one that comes back. Raises errors.Invalid (fields `c<id>`) when a key is taken or missing,
    errors.Conflict when the table is locked for more than 3 s.
    """
    missing = {f"c{c.id}": "This column tells learners apart, so it needs a value." for c in columns
               if c.is_key and values.get(c.id) is None}  # fmt: skip
    if missing:
        raise errors.Invalid("A learner needs a value in every key column.", missing)
    given = {f"c{column.id}": values.get(column.id) for column in columns}
    if row_id is not None:
        given["row_id"] = row_id

    def add() -> int:
        statement = f"""INSERT INTO {store.table(workflow.id)} ({", ".join(given)})
            VALUES ({", ".join(f":{name}" for name in given)}) RETURNING row_id"""
        added = int(session.scalar(text(statement), given) or 0)
        keeping.data_changed(session, workflow.id, row_ids=[added])
        _count(session, workflow, 1)
        _record(session, workflow, user_id, "row_added", row_id=added, name=_label(columns, values))
        return added

    return _writing(session, workflow, {c.id: c for c in columns}, values, add, None)


def delete_row(session: Session, workflow: Workflow, user_id: int, row_id: int, columns: list[Column]) -> int:
    """Delete a learner and return the id of the event by which they can be brought back.

    Raises errors.NotFound when there is no such row, errors.Conflict when the table is locked for more than 3 s.
    """

    def delete() -> int:
        values = row(session, workflow, row_id, columns)
        session.execute(
            text(f"DELETE FROM {store.table(workflow.id)} WHERE row_id = :row_id"), {"row_id": row_id}
        )  # fmt: skip
        _count(session, workflow, -1)
        kept = {str(column_id): _kept(item) for column_id, item in values.items() if item is not None}
        return _record(
            session, workflow, user_id, "row_deleted", row_id=row_id, name=_label(columns, values), values=kept
        )

    return _writing(session, workflow, {}, {}, delete, None)


@dataclass(frozen=True)
class Undone:
    """What was taken back, in words, and the learner it was about when there is one."""

    message: str
    row_id: int | None = None


def take_back(session: Session, workflow: Workflow, user_id: int, event_id: int) -> Undone:
    """Undo a change of a cell or a column's settings, or the deletion of a learner or a column.

    Raises errors.NotFound for other events, Changed when the cell was changed again, errors.Invalid when a value
    does not fit the column any more, errors.Conflict when what comes back is there already.
    """
    event = audit.get(session, workflow.id, event_id)
    if undo := _UNDO.get(event.type):
        return undo(session, workflow, user_id, event.detail)
    if undo_column := _UNDO_COLUMN.get(event.type):
        return Undone(undo_column(session, workflow, user_id, event.detail))
    raise errors.NotFound


def _undo_cell(session: Session, workflow: Workflow, user_id: int, detail: dict[str, Any]) -> Undone:
    column = queries.column(session, workflow.id, detail["column_id"])
    old, new = cells.restored(detail["old"], column.type), cells.restored(detail["new"], column.type)
    change_cell(session, workflow, user_id, detail["row_id"], column, old, seen=cells.seal(new))
    return Undone(f"“{column.name}” is what it was before.", detail["row_id"])


def _undo_row(session: Session, workflow: Workflow, user_id: int, detail: dict[str, Any]) -> Undone:
    columns, row_id = queries.columns(session, workflow.id), int(detail["row_id"])
    values = {c.id: cells.restored(detail["values"].get(str(c.id)), c.type) for c in columns}
    statement = f"SELECT 1 FROM {store.table(workflow.id)} WHERE row_id = :row_id"
    if session.scalar(text(statement), {"row_id": row_id}) is not None:
        raise errors.Conflict("This learner is in the table again.")
    add_row(session, workflow, user_id, columns, values, row_id=row_id)
    return Undone(f"“{detail['name']}” is back.", row_id)


_UNDO: Mapping[str, Callable[[Session, Workflow, int, dict[str, Any]], Undone]] = {
    "cell_changed": _undo_cell, "row_deleted": _undo_row,
}  # fmt: skip
_UNDO_COLUMN: Mapping[str, Callable[[Session, Workflow, int, dict[str, Any]], str]] = {
    "column_deleted": remove.bring_back, "column_changed": settings.take_back, "column_renamed": settings.take_back,
}  # fmt: skip


def add_counter(session: Session, workflow_id: int, prefix: str, description: str) -> int:
    """Add a column of whole numbers, all 0, named by the prefix and the first free number; return its id.

    It changes the table's shape: call it from a job, inside `store.in_bulk`.
    """
    existing = queries.columns(session, workflow_id)
    taken = {column.name for column in existing}
    name = next(name for n in count(1) if (name := f"{prefix}{n}") not in taken)
    column = Column(
        workflow_id=workflow_id, name=name, type="integer", is_key=False, description=description,
        position=max((column.position for column in existing), default=0) + 1, created_at=clock.now(),
    )  # fmt: skip
    session.add(column)
    session.flush()
    store.add_counter(session, workflow_id, column.id)
    audit.record(session, "column_added", workflow_id=workflow_id, name=name)
    return column.id


def _writing(
    session: Session, workflow: Workflow, columns: Mapping[int, Column], values: Mapping[int, Any],
    work: Callable[[], Result], field: str | None,
) -> Result:  # fmt: skip
    """Do `work` under the lock for rows, and put what PostgreSQL refuses into words."""
    if workflow.row_count is None:
        raise errors.NotFound
    store.lock_for_rows(session, workflow.id)
    try:
        with session.begin_nested():
            return work()
    except DBAPIError as error:
        state = store.sqlstate(error)
        if state == UNIQUE_VIOLATION:
            _refuse_taken(session, workflow, columns, values, field, error)
        if state in {store.LOCK_NOT_AVAILABLE, store.DEADLOCK}:
            message = "Somebody else is changing this learner just now. Nothing was changed; please try again."
            raise errors.Conflict(message) from error
        raise


def _refuse_taken(
    session: Session, workflow: Workflow, columns: Mapping[int, Column], values: Mapping[int, Any],
    field: str | None, error: Exception,
) -> NoReturn:  # fmt: skip
    """Say which key belongs to another learner."""
    for column in columns.values():
        if not column.is_key or values.get(column.id) is None:
            continue
        statement = f"SELECT 1 FROM {store.table(workflow.id)} WHERE c{column.id} = :value"
        if session.scalar(text(statement), {"value": values[column.id]}) is not None:
            taken = cells.shown(values[column.id], cells.UTC_ZONE)[: cells.MAX_SHOWN]
            message = f"Another learner already has “{taken}” in “{column.name}”."
            raise errors.Invalid(message, {field or f"c{column.id}": message}) from error
    raise errors.Conflict("Somebody added this learner meanwhile.") from error


def _count(session: Session, workflow: Workflow, step: int) -> None:
    # Not from what this session read: somebody else may have added a row meanwhile.
    workflow.row_count = session.scalar(
        text("UPDATE ontask.workflow SET row_count = row_count + :step WHERE id = :id RETURNING row_count"),
        {"step": step, "id": workflow.id},
    )


def _record(session: Session, workflow: Workflow, user_id: int, event_type: str, **detail: Any) -> int:
    workflows.touch(workflow)
    event = audit.record(session, event_type, workflow_id=workflow.id, user_id=user_id, **detail)
    session.flush()
    return event.id


def _kept(item: Any) -> str | None:
    if isinstance(item, datetime):
        item = item.astimezone(UTC)
    return None if item is None else cells.stored(item)


def _label(columns: list[Column], values: Mapping[int, Any]) -> str:
    """Return what a learner is called: the first key's value."""
    key = next((column for column in columns if column.is_key), None)
    found = values.get(key.id) if key else None
    return "" if found is None else cells.shown(found, cells.UTC_ZONE)[: cells.MAX_SHOWN]
