"""Changes that people make by hand: one cell, one learner. Bulk changes are in `uploads`, columns in `columns`.

What was there before is kept in the event of the change, so each of them can be taken back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.audit import service as audit
from chalicelib.tables import again, cells, queries, rows, store
from chalicelib.tables.columns import keeping, recipes, remove, settings
from chalicelib.tables.models import Column
from chalicelib.tables.writing import Changed, Undone, add_to_count, kept, label, record, writing
from chalicelib.workflows.models import Workflow

GONE = "This learner is not in the table any more."


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
        return record(
            session, workflow, user_id, "cell_changed", row_id=row_id, column_id=column.id, name=column.name,
            old=kept(old), new=kept(new),
        )  # fmt: skip

    return writing(session, workflow, {column.id: column}, {column.id: new}, change, "value")


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
        add_to_count(session, workflow, 1)
        record(
            session, workflow, user_id, "row_added", row_id=added, name=label(columns, values),
            values={str(column_id): kept(item) for column_id, item in values.items() if item is not None},
        )  # fmt: skip
        return added

    return writing(session, workflow, {c.id: c for c in columns}, values, add, None)


def delete_row(session: Session, workflow: Workflow, user_id: int, row_id: int, columns: list[Column]) -> int:
    """Delete a learner and return the id of the event by which they can be brought back.

    Raises errors.NotFound when there is no such row, errors.Conflict when the table is locked for more than 3 s.
    """

    live = {f"c{column.id}" for column in columns}

    def delete() -> int:
        values = row(session, workflow, row_id, columns)
        statement = f"DELETE FROM {store.table(workflow.id)} d WHERE row_id = :row_id RETURNING to_jsonb(d) - 'row_id'"
        everything = session.scalar(text(statement), {"row_id": row_id})
        # Columns that were deleted but can come back: then this learner's values do, too.
        hidden = {name: item for name, item in everything.items() if name not in live and item is not None}
        add_to_count(session, workflow, -1)
        before = {str(column_id): kept(item) for column_id, item in values.items() if item is not None}
        return record(
            session, workflow, user_id, "row_deleted", row_id=row_id, name=label(columns, values), values=before,
            hidden=hidden,
        )  # fmt: skip

    return writing(session, workflow, {}, {}, delete, None)


def take_back(session: Session, workflow: Workflow, user_id: int, event_id: int) -> Undone:
    """Undo a change of cells or of a column's settings, or that a learner or a column was added or deleted.

    Raises errors.NotFound for other events, Changed when the cell was changed again, errors.Invalid when a value
    does not fit the column any more, errors.Conflict when what comes back is there already.
    """
    event = audit.get(session, workflow.id, event_id)
    if undo := _UNDO.get(event.type):
        undone = undo(session, workflow, user_id, {**event.facts, "event_id": event_id})
    elif undo_column := _UNDO_COLUMN.get(event.type):
        undone = Undone(undo_column(session, workflow, user_id, event.detail))
    else:
        raise errors.NotFound
    event.detail = {**event.detail, "taken_back": True}
    return undone


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
    _fill_hidden(session, workflow.id, row_id, detail.get("hidden", {}))
    return Undone(f"“{detail['name']}” is back.", row_id)


def _fill_hidden(session: Session, workflow_id: int, row_id: int, values: Mapping[str, Any]) -> None:
    """Give a learner who is back the values of columns that are deleted, but can come back."""
    table = store.table(workflow_id)
    still = [name for name in store.columns_in(session, table) if name in values]
    if still:
        cells_of = ", ".join(f"{name} = p.{name}" for name in still)
        statement = f"""
            UPDATE {table} t SET {cells_of} FROM jsonb_populate_record(CAST(NULL AS {table}), CAST(:values AS jsonb)) p
            WHERE t.row_id = :row_id"""
        session.execute(text(statement), {"values": json.dumps(dict(values)), "row_id": row_id})


def _undo_added_row(session: Session, workflow: Workflow, user_id: int, detail: dict[str, Any]) -> Undone:
    columns = queries.columns(session, workflow.id)
    delete_row(session, workflow, user_id, int(detail["row_id"]), columns)
    return Undone(f"“{detail['name']}” is not in the table any more.")


def _undo_added_column(session: Session, workflow: Workflow, user_id: int, detail: Mapping[str, Any]) -> str:
    column = queries.column(session, workflow.id, detail["column_id"])
    remove.delete(session, workflow, user_id, column)
    return f"“{column.name}” is not in the table any more."


_UNDO: Mapping[str, Callable[[Session, Workflow, int, dict[str, Any]], Undone]] = {
    "cell_changed": _undo_cell, "row_deleted": _undo_row, "row_changed": rows.undo_change,
    "rows_changed": rows.undo_set, "rows_deleted": rows.undo_delete, "row_added": _undo_added_row,
    "rows_restored": again.redo,
}  # fmt: skip
_UNDO_COLUMN: Mapping[str, Callable[[Session, Workflow, int, dict[str, Any]], str]] = {
    "column_deleted": remove.bring_back, "column_changed": settings.take_back, "column_renamed": settings.take_back,
    "column_added": _undo_added_column, "column_computed": _undo_added_column, "column_dealt": _undo_added_column,
    "column_copied": _undo_added_column, "column_restored": _undo_added_column,
}  # fmt: skip
#: The types of events that `take_back` knows.
REVERSIBLE = frozenset({*_UNDO, *_UNDO_COLUMN})


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
    audit.record(session, "column_added", workflow_id=workflow_id, column_id=column.id, name=name)
    return column.id
