"""Earlier tables: kept when a bulk change replaces them, brought back by one click, the oldest dropped for room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.audit import service as audit
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings
from chalicelib.tables import queries, store
from chalicelib.tables.history.models import TableVersion
from chalicelib.tables.models import Column
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

#: The job that drops the oldest versions when all workflows together keep more than they may.
TRIM = "tables.trim_versions"
#: How many earlier tables of a workflow are kept.
KEPT = 5
GONE = "This earlier table is not kept any more."
IN_USE = "The table is in use just now. Nothing was changed; please try again in a moment."
_SNAPSHOT = (
    "id", "name", "type", "is_key", "position", "description", "allowed_values", "active_from", "active_until",
    "in_charts", "recipe",
)  # fmt: skip
_MOMENTS = {"active_from", "active_until"}
Snapshot = list[dict[str, Any]]


def snapshot(found: Iterable[Column]) -> Snapshot:
    """Return the columns as they are kept with a version."""
    return [{name: _kept(getattr(column, name)) for name in _SNAPSHOT} for column in found]


def _kept(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def differences(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """Return what became of the columns, in names, as events keep it; without what did not happen."""
    old, new = {column["id"]: column for column in before}, {column["id"]: column for column in after}
    both = [(old[key], new[key]) for key in new if key in old]
    found: dict[str, Any] = {
        "columns_added": [column["name"] for key, column in new.items() if key not in old],
        "columns_removed": [column["name"] for key, column in old.items() if key not in new],
        "columns_renamed": [[a["name"], b["name"]] for a, b in both if a["name"] != b["name"]],
        "columns_retyped": [[b["name"], a["type"], b["type"]] for a, b in both if a["type"] != b["type"]],
    }
    return {name: changed for name, changed in found.items() if changed}


def keep(
    session: Session,
    workflow: Workflow,
    user_id: int | None,
    reason: str,
    *,
    existing: Snapshot | None = None,
) -> TableVersion:
    """Put the table as it is now away under a name of its own; afterwards the workflow has none.

    `existing` are the snapshots of its columns, when more have been added for the next table already. The event of
    the change keeps the version's id as `version`: by that the history finds it. Needs the lock of
    `store.lock_for_bulk` when there is a table.
    """
    kept = snapshot(queries.columns(session, workflow.id)) if existing is None else existing
    there = store.exists(session, store.table(workflow.id))
    version = TableVersion(
        workflow_id=workflow.id, user_id=user_id, reason=reason, columns=kept, created_at=clock.now(),
        row_count=workflow.row_count if there else None,
        bytes=_size(session, store.table(workflow.id)) if there else 0,
    )  # fmt: skip
    session.add(version)
    session.flush()
    if there:
        store.rename(session, store.table(workflow.id), store.version_table(version.id))
    for old in listed(session, workflow.id)[KEPT:]:
        _forget(session, old)
    if kept_bytes(session) > budget():
        schedules.enqueue_once(session, TRIM, workflow.id)
    return version


def _size(session: Session, name: str) -> int:
    return session.scalar(text("SELECT pg_total_relation_size(to_regclass(:name))"), {"name": name}) or 0


def _forget(session: Session, version: TableVersion) -> None:
    store.drop(session, store.version_table(version.id))
    session.delete(version)
    session.flush()


def listed(session: Session, workflow_id: int) -> list[TableVersion]:
    """Return the kept versions, the latest first."""
    query = select(TableVersion).where(TableVersion.workflow_id == workflow_id).order_by(TableVersion.id.desc())
    return list(session.scalars(query))


def get(session: Session, workflow_id: int, version_id: int) -> TableVersion:
    """Return a version that stays until the transaction ends.

    Raises errors.NotFound when it is not kept any more.
    """
    version = session.scalar(
        select(TableVersion)
        .where(TableVersion.id == version_id, TableVersion.workflow_id == workflow_id)
        .with_for_update(read=True, key_share=True)
    )
    if version is None:
        raise errors.NotFound(GONE)
    return version


def budget() -> int:
    """Return the bytes that all earlier tables of the installation may take together."""
    return settings().kept_versions_mb * 1_000_000


def kept_bytes(session: Session) -> int:
    """Return the bytes that they take."""
    return int(session.scalar(select(func.coalesce(func.sum(TableVersion.bytes), 0))) or 0)


_OVER = text("""
    SELECT id, workflow_id FROM (
        SELECT id, workflow_id, bytes, sum(bytes) OVER (ORDER BY id DESC) AS total,
               row_number() OVER (ORDER BY id DESC) AS place FROM ontask.table_version) AS v
    WHERE total > :budget AND place > 1 AND bytes > 0 ORDER BY id
""")
_MEASURE = text("""
    UPDATE ontask.table_version SET bytes = pg_total_relation_size(to_regclass('learners.v' || id))
    WHERE bytes = 0 AND to_regclass('learners.v' || id) IS NOT NULL
""")


def over_budget(session: Session) -> list[tuple[int, int]]:
    """Return ids and workflows of the versions that have to go, the oldest first; the very latest one always stays."""
    session.execute(_MEASURE)  # those that an earlier release kept have no size yet
    return [(row.id, row.workflow_id) for row in session.execute(_OVER, {"budget": budget()})]


def forget(session: Session, workflow_id: int, version_id: int) -> bool:
    """Drop a version; tell whether it was there. Its line in the history stays."""
    session.execute(select(Workflow.id).where(Workflow.id == workflow_id).with_for_update())
    version = session.get(TableVersion, version_id, with_for_update=True)
    if version is None or version.workflow_id != workflow_id:
        return False
    _forget(session, version)
    return True


def restore(session: Session, workflow: Workflow, version_id: int, user_id: int | None) -> TableVersion:
    """Bring an earlier table and its columns back; what there was until now is kept, and returned.

    Raises errors.NotFound when the version is not kept any more, errors.Conflict when the table is in use for more
    than 2 s.
    """
    session.flush()
    session.execute(text(f"SET LOCAL lock_timeout = '{store.DDL_LOCK_SECONDS}s'"))
    try:
        return _restore(session, workflow, version_id, user_id)
    except DBAPIError as error:
        if store.sqlstate(error) not in {store.LOCK_NOT_AVAILABLE, store.DEADLOCK}:
            raise
        raise errors.Conflict(IN_USE) from error


def _restore(session: Session, workflow: Workflow, version_id: int, user_id: int | None) -> TableVersion:
    # The workflow first, as uploads do: two who lock in another order would wait for each other.
    session.refresh(workflow, with_for_update=True)
    version = session.scalar(
        select(TableVersion)
        .where(TableVersion.id == version_id, TableVersion.workflow_id == workflow.id)
        .with_for_update()
    )
    if version is None:
        raise errors.NotFound(GONE)
    if store.exists(session, store.table(workflow.id)):
        store.lock_for_bulk(session, workflow.id)
        session.refresh(workflow)  # somebody may have added a row until now
    wanted, rows = version.columns, version.row_count
    present = snapshot(queries.columns(session, workflow.id))
    if rows is not None:
        # Out of the way of `keep`, which may forget the oldest version.
        store.rename(session, store.version_table(version_id), f"learners.r{version_id}")
    session.delete(version)
    session.flush()
    before = keep(session, workflow, user_id, "Before an earlier table was brought back")
    if rows is not None:
        store.rename(session, f"learners.r{version_id}", store.table(workflow.id))
    _bring_columns_back(session, workflow.id, wanted)
    workflow.row_count = rows
    workflows.touch(workflow)
    audit.record(
        session, "data_restored", workflow_id=workflow.id, user_id=user_id, rows=rows, version=before.id,
        restored=version_id, **differences(present, wanted),
    )  # fmt: skip
    session.flush()
    return before


def _bring_columns_back(session: Session, workflow_id: int, kept: Sequence[Mapping[str, Any]]) -> None:
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
