"""The rows that make up a workflow, as plain values: read them, and put them in again with ids of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from chalicelib.actions.language.syntax import Reference
from chalicelib.database.base import SCHEMA, Base
from chalicelib.workflows.references import PARTS, Part, changed, found

_NEXT_IDS = sa.text("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)")
#: Rows by table; every row has its `id`.
Rows = dict[str, list[dict[str, Any]]]


def read(session: Session, workflow_id: int) -> Rows:
    """Return the workflow's rows: the live ones, and deleted ones that a live one still refers to.

    Raises TemplateError when a text can't be read.
    """
    kept, aside = _apart(session, workflow_id)
    used = {reference for table, rows in kept.items() for row in rows for reference in found(table, row)}
    while wanted := [item for item in aside if f"{item[0].letter}{item[1]['id']}" in used]:
        aside = [item for item in aside if item not in wanted]
        for part, row in wanted:
            kept[part.table].append(row)
            used |= found(part.table, row)
    return {table: sorted(rows, key=lambda row: row["id"]) for table, rows in kept.items()}


def live(session: Session, workflow_id: int) -> Rows:
    """Return the workflow's rows without deleted ones."""
    return _apart(session, workflow_id)[0]


def _apart(session: Session, workflow_id: int) -> tuple[Rows, list[tuple[Part, dict[str, Any]]]]:
    kept: Rows = {part.table: [] for part in PARTS}
    aside: list[tuple[Part, dict[str, Any]]] = []
    for part in PARTS:
        for row in _rows(session, part, _parents(part, workflow_id, kept)):
            if row.get("deleted_at") is None:
                kept[part.table].append(row)
            else:
                aside.append((part, row))
    return kept, aside


def _parents(part: Part, workflow_id: int, kept: Rows) -> list[int]:
    if part.parent_letter == "w":
        return [workflow_id]
    table = next(one.table for one in PARTS if one.letter == part.parent_letter)
    return [row["id"] for row in kept[table]]


def _rows(session: Session, part: Part, parents: list[int]) -> list[dict[str, Any]]:
    table = table_of(part)
    query = sa.select(table).where(table.c[part.parent].in_(parents)).order_by(table.c.id)
    return [dict(row._mapping) for row in session.execute(query)]


def table_of(part: Part) -> sa.Table:
    """Return the table of schema `ontask` that holds the part's rows."""
    return Base.metadata.tables[f"{SCHEMA}.{part.table}"]


def insert(session: Session, rows: Rows, workflow: Mapping[Reference, Reference]) -> dict[Reference, Reference]:
    """Insert the rows with new ids, so that every reference leads to the new rows; return the new references by old.

    `workflow` maps what is there already, at least the workflow itself ("w3" to "w8"). A reference to something that
    is in no row gets an id that nobody has: it stays a reference to what is gone.
    """
    new = _New(session, workflow)
    for part in PARTS:
        new.add(part, [row["id"] for row in rows.get(part.table, [])])
    for part in PARTS:
        made = [
            changed(part.table, row, new.__getitem__) | {"id": int(new[f"{part.letter}{row['id']}"][1:])}
            for row in rows.get(part.table, [])
        ]
        for row in made:
            session.execute(sa.insert(table_of(part)).values(_without_json_null(part, row)))
    return dict(new.references)


def _without_json_null(part: Part, row: dict[str, Any]) -> dict[str, Any]:
    # None would be written as the JSON value null, which is not what SQL calls null.
    table = table_of(part)
    return {
        name: sa.null() if value is None and isinstance(table.c[name].type, JSONB) else value
        for name, value in row.items()
    }


class _New:
    """New references by old ones; ids come from the tables' own sequences."""

    def __init__(self, session: Session, known: Mapping[Reference, Reference]) -> None:
        self._session = session
        self.references = dict(known)

    def add(self, part: Part, old_ids: list[int]) -> None:
        ids = self._session.scalars(_NEXT_IDS, {"table": f'{SCHEMA}."{part.table}"', "count": len(old_ids)}).all()
        for old, made in zip(old_ids, ids, strict=True):
            self.references[f"{part.letter}{old}"] = f"{part.letter}{made}"

    def __getitem__(self, reference: Reference) -> Reference:
        if reference not in self.references:
            self.add(next(part for part in PARTS if part.letter == reference[0]), [int(reference[1:])])
        return self.references[reference]
