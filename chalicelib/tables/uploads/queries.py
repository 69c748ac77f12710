"""Reads for the upload pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.tables.uploads.kinds import KEY_TYPES, KINDS
from chalicelib.tables.uploads.models import Upload


@dataclass(frozen=True)
class Line:
    """An upload in the list of those that are not finished."""

    id: int
    filename: str
    state: str
    created_at: datetime
    who: str
    rows: int | None


@dataclass(frozen=True)
class Progress:
    """How far the upload's job is."""

    state: str
    percent: int
    message: str


@dataclass(frozen=True)
class Kept:
    """An earlier table that can be brought back."""

    id: int
    reason: str
    row_count: int | None
    column_count: int
    created_at: datetime
    who: str


@dataclass(frozen=True)
class Look:
    """A column of the file as the Look page shows it: what was understood and what is chosen."""

    number: int
    header: str
    name: str
    kind: str
    load: bool
    is_key: bool
    may_be_key: bool
    notes: list[str]
    examples: list[str]


_OPEN = text("""
    SELECT u.id, u.filename, u.state, u.created_at, coalesce(nullif(p.name, ''), p.email, '') AS who,
           CAST(u.understood ->> 'rows' AS bigint) AS rows
    FROM ontask.upload u LEFT JOIN ontask."user" p ON p.id = u.user_id
    WHERE u.workflow_id = :workflow_id AND u.state IN ('reading', 'read', 'importing', 'refused')
    ORDER BY u.id DESC LIMIT 10
""")

_KEPT = text("""
    SELECT v.id, v.reason, v.row_count, jsonb_array_length(v.columns) AS column_count, v.created_at,
           coalesce(nullif(p.name, ''), p.email, '') AS who
    FROM ontask.table_version v LEFT JOIN ontask."user" p ON p.id = v.user_id
    WHERE v.workflow_id = :workflow_id ORDER BY v.id DESC
""")

_PROGRESS = text("SELECT state, progress, message FROM ontask.job WHERE id = :job_id")


def unfinished(session: Session, workflow_id: int) -> list[Line]:
    """Return the uploads that wait for somebody or are being worked on, the latest first."""
    return [Line(*row) for row in session.execute(_OPEN, {"workflow_id": workflow_id})]


def kept(session: Session, workflow_id: int) -> list[Kept]:
    """Return the earlier tables that can be brought back, the latest first."""
    return [Kept(*row) for row in session.execute(_KEPT, {"workflow_id": workflow_id})]


def progress(session: Session, upload: Upload) -> Progress:
    """Return how far the upload's job is."""
    row = session.execute(_PROGRESS, {"job_id": upload.job_id}).one_or_none()
    return Progress(*row) if row else Progress("queued", 0, "")


def look(upload: Upload, choices: dict[str, Any]) -> list[Look]:
    """Return the file's columns with `choices` (those kept, or what was just typed)."""
    sample = upload.understood["sample"]
    lines = []
    for column in upload.understood["columns"]:
        number = column["number"]
        choice = choices.get(str(number), {})
        texts = [row[number - 1] for row in sample if row[number - 1] is not None]
        lines.append(
            Look(
                number, column["header"], choice.get("name", column["name"]), choice.get("kind", column["kind"]),
                bool(choice.get("load")), bool(choice.get("key")),
                column["unique"] or bool(choice.get("key")) or KINDS[column["kind"]].type in KEY_TYPES,
                column["notes"], list(dict.fromkeys(texts))[:3],
            )
        )  # fmt: skip
    return lines
