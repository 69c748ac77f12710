"""One learner in the table and all that is kept of it: what stands there, where an address stands, and its end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.tables import queries, store
from chalicelib.tables.columns import keeping
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow


def rows_with(session: Session, workflow_id: int, address: str) -> list[int]:
    """Return the learners in whose row the address stands, whatever its case, in a cell of its own."""
    name = store.table(workflow_id)
    if not store.exists(session, name):
        return []
    where = _stands(_texts(session, name))
    statement = f"SELECT row_id FROM {name} t WHERE {where} ORDER BY row_id"
    return list(session.scalars(text(statement), {"addresses": [address.lower()]}))


def values(session: Session, workflow_id: int, row_id: int) -> dict[str, Any]:
    """Return what the row holds, by the names of the columns; nothing when it is gone."""
    name = store.table(workflow_id)
    if not store.exists(session, name):
        return {}
    found = session.scalar(text(f"SELECT to_jsonb(t) FROM {name} t WHERE row_id = :id"), {"id": row_id})
    return {c.name: found.get(f"c{c.id}") for c in queries.columns(session, workflow_id)} if found else {}


def own_values(session: Session, workflow_id: int, column_id: int, row_ids: Collection[int]) -> list[str]:
    """Return, as texts, what these rows hold in the column and no other row does."""
    name, cell = store.table(workflow_id), f"btrim(CAST(c{column_id} AS text))"
    if f"c{column_id}" not in {f"c{one.id}" for one in queries.columns(session, workflow_id)}:
        return []
    statement = f"SELECT {cell} FROM {name} WHERE {cell} <> '' GROUP BY 1 HAVING bool_and(row_id = ANY(:ids))"
    return list(session.scalars(text(statement), {"ids": list(row_ids)}))


def earlier(session: Session, workflow_id: int, row_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return the rows in tables that are kept for Undo, by the names that the columns had."""
    told = []
    for version_id, columns in session.execute(_VERSIONS, {"workflow_id": workflow_id}).all():
        name = store.version_table(version_id)
        if not store.exists(session, name):
            continue
        names = {f"c{column['id']}": column["name"] for column in columns}
        rows = text(f"SELECT to_jsonb(t) - 'row_id' FROM {name} t WHERE row_id = ANY(:ids) ORDER BY row_id")
        for row in session.scalars(rows, {"ids": list(row_ids)}):
            told.append({names.get(key, key): value for key, value in row.items()})
    return told


def erase(session: Session, workflow: Workflow, row_ids: Collection[int], addresses: Collection[str]) -> int:
    """Delete rows, also in the tables that are kept for Undo, where an address finds them too; return how many went.

    What was kept of them for taking back a change of many learners goes as well.
    """
    known = {"workflow_id": workflow.id, "ids": list(row_ids), "addresses": [one.lower() for one in addresses]}
    name, gone = store.table(workflow.id), 0
    if store.exists(session, name):
        store.lock_for_rows(session, workflow.id)
        gone = len(session.scalars(text(f"DELETE FROM {name} WHERE row_id = ANY(:ids) RETURNING row_id"), known).all())
        workflow.row_count = (workflow.row_count or 0) - gone
        keeping.data_changed(session, workflow.id)
        workflows.touch(workflow)
    for version_id, _ in session.execute(_VERSIONS, known).all():
        version = store.version_table(version_id)
        if store.exists(session, version):
            where = f"row_id = ANY(:ids) OR {_stands(_texts(session, version))}"
            kept = session.scalars(text(f"DELETE FROM {version} t WHERE {where} RETURNING row_id"), known).all()
            session.execute(_FEWER, {"id": version_id, "gone": len(kept)})
    session.execute(_CHANGES, known)
    return gone


def _texts(session: Session, name: str) -> list[str]:
    query = """
        SELECT attname FROM pg_attribute
        WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped AND atttypid = 'text'::regtype"""
    return list(session.scalars(text(query), {"name": name}))


def _stands(columns: Sequence[str]) -> str:
    """Return SQL that holds where one of the `addresses` stands in one of the columns, alone but for blanks."""
    return " OR ".join(f"lower(btrim(t.{column})) = ANY(:addresses)" for column in columns) or "false"


_VERSIONS = text("SELECT id, columns FROM ontask.table_version WHERE workflow_id = :workflow_id ORDER BY id DESC")
_FEWER = text("UPDATE ontask.table_version SET row_count = row_count - :gone WHERE id = :id")
_CHANGES = text("""
    DELETE FROM ontask.row_change c USING ontask.event e
    WHERE e.id = c.event_id AND e.workflow_id = :workflow_id AND c.row_id = ANY(:ids)
""")
