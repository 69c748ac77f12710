"""The values that several columns share, such as the levels of a rubric: renamed, added and taken out in all at once.

What the table holds follows: a renamed value is renamed in every row, one that is taken out leaves a gap, which the
event keeps so that it can be filled again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.tables import store
from chalicelib.tables.columns import keeping, shape
from chalicelib.tables.models import Column
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

#: Old and new value, as stored with the column; None is a value that is new, or one that goes.
Step = tuple[Any, Any]


def holders(session: Session, workflow: Workflow, columns: Iterable[Column], value: Any) -> dict[int, int]:
    """Return how many learners have the value, by column; those without any are left out."""
    found = {}
    for column in columns:
        query = f"SELECT count(*) FROM {store.table(workflow.id)} WHERE c{column.id} = {_cast(':value', column)}"
        if count := session.scalar(sa.text(query), {"value": _text(value)}):
            found[column.id] = int(count)
    return found


def change(
    session: Session, workflow: Workflow, columns: Sequence[Column], steps: Sequence[Step], event_id: int
) -> None:
    """Give the columns the new values in the order of the steps, and their cells with them.

    `event_id` is the event with which values that go are kept. Raises errors.Conflict when the table is in use.
    """
    with shape.locked(session, workflow):
        gone = [_text(old) for old, new in steps if new is None]
        if gone:
            _keep(session, workflow, columns, gone, event_id)
        changes = [{"old": _text(old), "new": _text(new)} for old, new in steps if old is not None and old != new]
        if changes:
            for column in columns:
                _rewrite(session, workflow, column, changes)
        for column in columns:
            column.allowed_values = [new for _, new in steps if new is not None]
        _finish(session, workflow, columns)


def bring_back(session: Session, workflow: Workflow, columns: Sequence[Column], event_id: int) -> int:
    """Fill the gaps that values left which went with the event, where nobody filled them; return how many."""
    filled = 0
    with shape.locked(session, workflow):
        for column in columns:
            name = f"c{column.id}"
            statement = f"""
                UPDATE {store.table(workflow.id)} t SET {name} = {_cast(f"r.old->>'{name}'", column)}
                FROM ontask.row_change r
                WHERE r.event_id = :event_id AND t.row_id = r.row_id AND r.old ? '{name}' AND t.{name} IS NULL"""
            done: Any = session.execute(sa.text(statement), {"event_id": event_id})
            filled += int(done.rowcount)
        _finish(session, workflow, columns)
    return filled


def _keep(
    session: Session, workflow: Workflow, columns: Sequence[Column], gone: Sequence[str | None], event_id: int
) -> None:
    holds = {column.id: f"CAST(c{column.id} AS text) = ANY(:gone)" for column in columns}
    if any(column.type not in {"text", "integer"} for column in columns):
        # Other types have several texts for one value.
        holds = {column.id: f"c{column.id} = ANY(CAST(:gone AS {store.TYPES[column.type]}[]))" for column in columns}
    pairs = ", ".join(f"'c{key}', CASE WHEN {which} THEN c{key} END" for key, which in holds.items())
    statement = f"""
        INSERT INTO ontask.row_change (event_id, row_id, old)
        SELECT :event_id, row_id, jsonb_strip_nulls(jsonb_build_object({pairs})) FROM {store.table(workflow.id)}
        WHERE {" OR ".join(holds.values())}"""
    session.execute(sa.text(statement), {"event_id": event_id, "gone": list(gone)})


def _rewrite(session: Session, workflow: Workflow, column: Column, changes: Sequence[Mapping[str, Any]]) -> None:
    statement = f"""
        UPDATE {store.table(workflow.id)} t SET c{column.id} = {_cast("s.new", column)}
        FROM jsonb_to_recordset(CAST(:steps AS jsonb)) AS s(old text, new text)
        WHERE t.c{column.id} = {_cast("s.old", column)}"""
    session.execute(sa.text(statement), {"steps": json.dumps(list(changes))})


def _finish(session: Session, workflow: Workflow, columns: Sequence[Column]) -> None:
    session.flush()
    keeping.data_changed(session, workflow.id, column_ids=[column.id for column in columns])
    workflows.touch(workflow)


def _cast(value: str, column: Column) -> str:
    return f"CAST({value} AS {store.TYPES[column.type]})"


def _text(value: Any) -> str | None:
    """Return a value as PostgreSQL reads it."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else repr(value)
