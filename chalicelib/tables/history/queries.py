"""Reads for the history: who did what to the data, how much is kept, and how an earlier table differs from today's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.tables import queries, service, store
from chalicelib.tables.history import versions
from chalicelib.tables.history.models import TableVersion
from chalicelib.workflows.models import Workflow

PAGE_SIZE = 50
SHOWN_ROWS = 10
#: What can still be done about a change: bring the table before it back; take it back by itself; that, but after the
#: table of a later change was brought back; or nothing, because it was taken back, is not kept any more, or can't be.
RESTORE, UNDO, LATER, DONE, GONE, NOTHING = "restore", "undo", "later", "done", "gone", ""


@dataclass(frozen=True)
class Line:
    """One change of the data. `way` is one of those above; `version_id` the table before it, when it was kept."""

    id: int
    at: datetime
    type: str
    who: str
    detail: dict[str, Any]
    way: str
    version_id: int | None


@dataclass(frozen=True)
class Kept:
    """What the earlier tables take, in bytes: this workflow's, those of all workflows, and how much they may."""

    here: int
    all: int
    budget: int


@dataclass(frozen=True)
class Difference:
    """What restoring a version would do, in numbers and in the names of columns (see `versions.differences`)."""

    rows_back: int
    rows_away: int
    rows_changed: int
    cells: int
    columns: dict[str, Any]


_LINES = text("""
    SELECT e.id, e.at, e.type, coalesce(nullif(p.name, ''), p.email, '') AS who, e.detail || e.personal AS detail
    FROM ontask.event e LEFT JOIN ontask."user" p ON p.id = e.user_id
    WHERE e.workflow_id = :workflow_id AND e.id < :before
      AND (e.type ~ '^(cell|row|rows|column|columns|data)_' OR e.type = 'workflow_flushed')
    ORDER BY e.id DESC LIMIT :limit
""")
_RESTORED = text("""
    SELECT CAST(detail ->> 'restored' AS bigint) FROM ontask.event
    WHERE workflow_id = :workflow_id AND type = 'data_restored' AND detail -> 'restored' IS NOT NULL
""")


def lines(session: Session, workflow_id: int, before: int | None = None) -> list[Line]:
    """Return a page of changes, the latest first, and one more when there are others; `before` is an event's id."""
    values = {"workflow_id": workflow_id, "before": before or 1 << 62, "limit": PAGE_SIZE + 1}
    kept = {version.id for version in versions.listed(session, workflow_id)}
    back = set(session.scalars(_RESTORED, {"workflow_id": workflow_id}))
    present = set(store.columns_in(session, store.table(workflow_id)))
    elsewhere = {column for one in kept for column in store.columns_in(session, store.version_table(one))}
    found = []
    for row in session.execute(_LINES, values):
        version_id = row.detail.get("version")
        if version_id is None:
            way = _way(row.type, row.detail, present, elsewhere)
        else:
            way = RESTORE if version_id in kept else DONE if version_id in back else GONE
        found.append(Line(row.id, row.at, row.type, row.who, row.detail, way, version_id))
    return found


def _way(
    event_type: str, detail: Mapping[str, Any], present: Collection[str], elsewhere: Collection[str]
) -> str:  # fmt: skip
    if event_type not in service.REVERSIBLE:
        return NOTHING
    if detail.get("taken_back"):
        return DONE
    if event_type == "column_deleted" and f"c{detail['column_id']}" not in present:
        return LATER if f"c{detail['column_id']}" in elsewhere else GONE
    return UNDO


def kept(session: Session, workflow_id: int) -> Kept:
    """Return what the earlier tables take."""
    here = sum(version.bytes for version in versions.listed(session, workflow_id))
    return Kept(here, versions.kept_bytes(session), versions.budget())


_EVENT_OF = text("""
    SELECT id, type, coalesce(jsonb_typeof(detail -> 'gone') = 'object' AND detail -> 'gone' <> '{}', false) AS others
    FROM ontask.event
    WHERE workflow_id = :workflow_id AND detail @> jsonb_build_object('version', CAST(:version_id AS bigint))
    ORDER BY id LIMIT 1
""")


def event_of(session: Session, version: TableVersion) -> tuple[int, str, bool]:
    """Return id and type of the change before which the version was kept, and whether messages or views went with it.

    Id 0 and type "" when the log does not say.
    """
    row = session.execute(_EVENT_OF, {"workflow_id": version.workflow_id, "version_id": version.id}).one_or_none()
    return (row.id, row.type, row.others) if row else (0, "", False)


def was_restored(session: Session, workflow_id: int, version_id: int) -> bool:
    """Tell whether the version was brought back, and so is not kept any more."""
    return version_id in set(session.scalars(_RESTORED, {"workflow_id": workflow_id}))


def first_rows(session: Session, version: TableVersion) -> list[Sequence[Any]]:
    """Return the first rows of a version: values in the order of its columns."""
    if version.row_count is None:
        return []
    cells = ", ".join(["row_id", *(f"c{int(column['id'])}" for column in version.columns)])
    query = f"SELECT {cells} FROM {store.version_table(version.id)} ORDER BY row_id LIMIT {SHOWN_ROWS}"
    return [row[1:] for row in session.execute(text(query))]


def difference(session: Session, workflow: Workflow, version: TableVersion) -> Difference:
    """Compare a version with today's table, row by row, in one statement."""
    now = versions.snapshot(queries.columns(session, workflow.id))
    columns = versions.differences(now, version.columns)
    if version.row_count is None or workflow.row_count is None:
        return Difference(version.row_count or 0, workflow.row_count or 0, 0, 0, columns)
    types = {column["id"]: column["type"] for column in now}
    changed = [
        _differs(int(column["id"]), same_type=types[column["id"]] == column["type"])
        for column in version.columns
        if column["id"] in types
    ]
    cells = " + ".join(f"CAST({one} AS integer)" for one in changed) or "0"
    row = session.execute(
        text(f"""
            SELECT count(*) FILTER (WHERE t.row_id IS NULL) AS back, count(*) FILTER (WHERE v.row_id IS NULL) AS away,
                   count(*) FILTER (WHERE v.row_id IS NOT NULL AND t.row_id IS NOT NULL AND d.cells > 0) AS changed,
                   coalesce(sum(d.cells) FILTER (WHERE v.row_id IS NOT NULL AND t.row_id IS NOT NULL), 0) AS cells
            FROM {store.version_table(version.id)} v FULL JOIN {store.table(workflow.id)} t ON t.row_id = v.row_id
            CROSS JOIN LATERAL (SELECT {cells} AS cells) d""")
    ).one()
    return Difference(row.back, row.away, row.changed, int(row.cells), columns)


def _differs(column_id: int, *, same_type: bool) -> str:
    old, new = f"v.c{column_id}", f"t.c{column_id}"
    if not same_type:
        old, new = f"CAST({old} AS text)", f"CAST({new} AS text)"
    return f"({old} IS DISTINCT FROM {new})"
