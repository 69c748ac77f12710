"""Earlier tables: kept when a bulk change replaces them, brought back by one click."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.audit import service as audit
from chalicelib.tables import queries, store
from chalicelib.tables.history.models import TableVersion
from chalicelib.tables.models import Column
from chalicelib.workflows.models import Workflow

#: How many earlier tables of a workflow are kept, and how many bytes they may have together.
KEPT = 5
KEPT_BYTES = 1 << 30
_SNAPSHOT = (
    "id", "name", "type", "is_key", "position", "description", "allowed_values", "active_from", "active_until",
    "in_charts", "recipe",
)  # fmt: skip
_MOMENTS = {"active_from", "active_until"}


def snapshot(found: Iterable[Column]) -> list[dict[str, Any]]:
    """Return the columns as they are kept with a version."""
    return [{name: _kept(getattr(column, name)) for name in _SNAPSHOT} for column in found]


def _kept(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def keep(
    session: Session,
    workflow: Workflow,
    user_id: int | None,
    reason: str,
    *,
    existing: list[dict[str, Any]] | None = None,
) -> TableVersion:
    """Put the table as it is now away under a name of its own; afterwards the workflow has none.

    `existing` are the snapshots of its columns, when more have been added for the next table already.
    Needs the lock of `store.lock_for_bulk` when there is a table.
    """
    kept = snapshot(queries.columns(session, workflow.id)) if existing is None else existing
    version = TableVersion(
        workflow_id=workflow.id, user_id=user_id, reason=reason, columns=kept, created_at=clock.now(),
        row_count=workflow.row_count if store.exists(session, store.table(workflow.id)) else None,
    )  # fmt: skip
    session.add(version)
    session.flush()
    if version.row_count is not None:
        store.rename(session, store.table(workflow.id), store.version_table(version.id))
    _forget_oldest(session, workflow.id)
    return version


def _forget_oldest(session: Session, workflow_id: int) -> None:
    total = 0
    for position, version in enumerate(listed(session, workflow_id)):
        name = store.version_table(version.id)
        total += session.scalar(text("SELECT pg_total_relation_size(to_regclass(:name))"), {"name": name}) or 0
        if position and (position >= KEPT or total > KEPT_BYTES):
            store.drop(session, name)
            session.delete(version)
    session.flush()


def listed(session: Session, workflow_id: int) -> list[TableVersion]:
    """Return the kept versions, the latest first."""
    query = select(TableVersion).where(TableVersion.workflow_id == workflow_id).order_by(TableVersion.id.desc())
    return list(session.scalars(query))


def restore(session: Session, workflow: Workflow, version_id: int, user_id: int | None) -> TableVersion:
    """Bring an earlier table and its columns back; what there was until now is kept, and returned.

    Raises errors.NotFound when the version is not kept any more.
    """
    version = session.scalar(
        select(TableVersion)
        .where(TableVersion.id == version_id, TableVersion.workflow_id == workflow.id)
        .with_for_update()
    )
    if version is None:
        raise errors.NotFound("This earlier table is not kept any more.")
    if store.exists(session, store.table(workflow.id)):
        store.lock_for_bulk(session, workflow.id)
    wanted, rows = version.columns, version.row_count
    if rows is not None:
        # Out of the way of `keep`, which may forget the oldest version.
        store.rename(session, store.version_table(version_id), f"learners.r{version_id}")
    session.delete(version)
    session.flush()
    before = keep(session, workflow, user_id, "Before an earlier table was brought back")
    if rows is not None:
        store.rename(session, f"learners.r{version_id}", store.table(workflow.id))
    _bring_columns_back(session, workflow.id, wanted)
    workflow.row_count, workflow.updated_at = rows, clock.now()
    audit.record(session, "data_restored", workflow_id=workflow.id, user_id=user_id, rows=rows)
    session.flush()
    return before


def _bring_columns_back(session: Session, workflow_id: int, kept: list[dict[str, Any]]) -> None:
    now = clock.now()
    for column in queries.columns(session, workflow_id):
        column.deleted_at = now
    session.flush()  # frees the names before they are taken again
    for values in kept:
        column = session.get(Column, values["id"]) or Column(workflow_id=workflow_id, created_at=now)
        for name, value in values.items():
            setattr(column, name, datetime.fromisoformat(value) if value and name in _MOMENTS else value)
        column.deleted_at = None
        session.add(column)
    session.flush()
