"""Writing rows by hand: under the lock for rows, refusals in words, with the event by which it is taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.audit import service as audit
from chalicelib.tables import cells, store
from chalicelib.tables.models import Column
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

UNIQUE_VIOLATION = "23505"
Result = TypeVar("Result")


class Changed(errors.Conflict):
    """Raised when a cell no longer has the value that was shown; `now` is what it has."""

    def __init__(self, now: Any) -> None:
        super().__init__("Somebody changed this value meanwhile.")
        self.now = now


@dataclass(frozen=True)
class Undone:
    """What was taken back, in words, and the learner it was about when there is one."""

    message: str
    row_id: int | None = None


def writing(
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
            raise store.InUse(message) from error
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


def add_to_count(session: Session, workflow: Workflow, step: int) -> None:
    """Note that there are so many learners more, or fewer."""
    # Not from what this session read: somebody else may have added a row meanwhile.
    workflow.row_count = session.scalar(
        text("UPDATE ontask.workflow SET row_count = row_count + :step WHERE id = :id RETURNING row_count"),
        {"step": step, "id": workflow.id},
    )


def record(session: Session, workflow: Workflow, user_id: int, event_type: str, **detail: Any) -> int:
    """Add an event and return its id."""
    workflows.touch(workflow)
    event = audit.record(session, event_type, workflow_id=workflow.id, user_id=user_id, **detail)
    session.flush()
    return event.id


def kept(item: Any) -> str | None:
    """Return a value as the event keeps it."""
    if isinstance(item, datetime):
        item = item.astimezone(UTC)
    return None if item is None else cells.stored(item)


def label(columns: list[Column], values: Mapping[int, Any]) -> str:
    """Return what a learner is called: the first key's value."""
    key = next((column for column in columns if column.is_key), None)
    found = values.get(key.id) if key else None
    return "" if found is None else cells.shown(found, cells.UTC_ZONE)[: cells.MAX_SHOWN]
