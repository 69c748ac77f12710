"""Do again what was taken back: a change or deletion of many rows, with what it replaces kept once more."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.audit import service as audit
from chalicelib.tables import cells, queries, rows, store
from chalicelib.tables.columns import keeping
from chalicelib.tables.writing import Undone, add_to_count, record, writing
from chalicelib.workflows.models import Workflow


def redo(session: Session, workflow: Workflow, user_id: int, detail: dict[str, Any]) -> Undone:
    """Change or delete the rows again that an undo brought back, where nobody changed them since."""
    if "of" not in detail:
        raise errors.NotFound
    first = audit.get(session, workflow.id, detail["of"])
    again = _set if first.type == "rows_changed" else _delete
    return again(session, workflow, user_id, {**first.detail, "event_id": first.id})


def _set(session: Session, workflow: Workflow, user_id: int, detail: dict[str, Any]) -> Undone:
    column = queries.column(session, workflow.id, detail["column_id"])
    kind, name = store.TYPES[column.type], f"c{column.id}"
    statement = f"""
        WITH done AS (
            UPDATE {store.table(workflow.id)} t SET {name} = CAST(:new AS {kind}) FROM ontask.row_change r
            WHERE r.event_id = :of AND t.row_id = r.row_id
              AND t.{name} IS NOT DISTINCT FROM CAST(r.old->>'{name}' AS {kind})
            RETURNING t.row_id, r.old)
        INSERT INTO ontask.row_change (event_id, row_id, old) SELECT :event_id, row_id, old FROM done"""

    def work() -> int:
        event_id = record(
            session, workflow, user_id, "rows_changed", column_id=column.id, name=column.name, new=detail["new"]
        )  # fmt: skip
        new = cells.restored(detail["new"], column.type)
        changed = rows.run(session, statement, {"of": detail["event_id"], "event_id": event_id, "new": new})
        keeping.data_changed(session, workflow.id, column_ids=[column.id])
        return rows.finish(session, workflow, event_id, changed)[0]

    changed = writing(session, workflow, {}, {}, work, None)
    return Undone(f"“{column.name}” is changed again for {rows.plural_learners(changed)}.")


def _delete(session: Session, workflow: Workflow, user_id: int, detail: dict[str, Any]) -> Undone:
    statement = f"""
        WITH done AS (
            DELETE FROM {store.table(workflow.id)} d USING ontask.row_change r
            WHERE r.event_id = :of AND d.row_id = r.row_id
            RETURNING d.row_id, to_jsonb(d) - 'row_id' AS old)
        INSERT INTO ontask.row_change (event_id, row_id, old) SELECT :event_id, row_id, old FROM done"""

    def work() -> int:
        event_id = record(session, workflow, user_id, "rows_deleted", name="")
        deleted = rows.run(session, statement, {"of": detail["event_id"], "event_id": event_id})
        add_to_count(session, workflow, -deleted)
        return rows.finish(session, workflow, event_id, deleted, name=rows.plural_learners(deleted))[0]

    deleted = writing(session, workflow, {}, {}, work, None)
    are = "is" if deleted == 1 else "are"
    return Undone(f"{rows.plural_learners(deleted)} {are} not in the table any more.")
