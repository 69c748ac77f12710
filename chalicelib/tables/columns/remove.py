"""Take a column out of the table, and put it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.actions import uses as actions
from chalicelib.actions.rubrics import queries as rubrics
from chalicelib.audit import service as audit
from chalicelib.schedules import needs
from chalicelib.tables import queries, store
from chalicelib.tables.columns import keeping, naming, shape, uses
from chalicelib.tables.models import Column
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow


def refusal(session: Session, column: Column) -> str:
    """Say why the column has to stay; empty when it can go."""
    keys = [other for other in queries.columns(session, column.workflow_id) if other.is_key]
    if column.is_key and len(keys) == 1:
        return "This is the only column that tells learners apart, so it has to stay. Make another column a key first."
    return rubrics.refusal(session, column.id)


def delete(session: Session, workflow: Workflow, user_id: int, column: Column) -> int:
    """Take the column out and return the event by which it comes back; its values stay until it can't any more.

    What speaks of it is blocked, not widened: see `uses`. Raises errors.Invalid when it has to stay.
    """
    with shape.locked(session, workflow, rows=False):
        if found := refusal(session, column):
            raise errors.Invalid(found)
        wanted = uses.wanted(column, actions.of_column(session, workflow.id, column.id))
        needs.lose(session, workflow.id, wanted, _gone(column))
        column.deleted_at = clock.now()
        session.flush()
        naming.number(queries.columns(session, workflow.id))
        return _record(session, workflow, user_id, "column_deleted", column)


def bring_back(session: Session, workflow: Workflow, user_id: int, detail: Mapping[str, Any]) -> str:
    """Undo a deletion; return the words for what happened.

    Raises errors.NotFound for another workflow's column, errors.Conflict when it can't come back.
    """
    column = session.get(Column, detail["column_id"])
    if column is None or column.workflow_id != workflow.id:
        raise errors.NotFound
    with shape.locked(session, workflow):
        if column.deleted_at is None or column.name in {c.name for c in queries.columns(session, workflow.id)}:
            raise errors.Conflict(f"There is a column called “{column.name}” again.")
        statement = "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attname = :column"
        found = session.scalar(text(statement), {"name": store.table(workflow.id), "column": f"c{column.id}"})
        if found is None:
            raise errors.Conflict("The data were replaced meanwhile; this column can't come back.")
        column.deleted_at = None
        session.flush()
        naming.place(session, workflow.id, column, column.position)
        if column.is_key and _has_gaps(session, workflow.id, column):
            column.is_key = False
            store.drop_key(session, workflow.id, column.id)
        keeping.data_changed(session, workflow.id)
        needs.regain(session, workflow.id, _gone(column))
        _record(session, workflow, user_id, "column_restored", column)
    return f"“{column.name}” is back."


def _gone(column: Column) -> str:
    return f"The column “{column.name}” was deleted."


def _has_gaps(session: Session, workflow_id: int, column: Column) -> bool:
    """Whether learners were added while the column was away, who have no value in it."""
    query = f"SELECT EXISTS (SELECT 1 FROM {store.table(workflow_id)} WHERE c{column.id} IS NULL)"
    return bool(session.scalar(text(query)))


def _record(session: Session, workflow: Workflow, user_id: int, event_type: str, column: Column) -> int:
    workflows.touch(workflow)
    event = audit.record(
        session, event_type, workflow_id=workflow.id, user_id=user_id, column_id=column.id, name=column.name
    )
    session.flush()
    return event.id
