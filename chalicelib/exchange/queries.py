"""Reads for the pages of exports and imports."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.exchange.document import Document
from chalicelib.exchange.models import Import
from chalicelib.formulas.words import words


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    state: str
    percent: int
    message: str


@dataclass(frozen=True)
class Message:
    """A message of the workflow, to be ticked."""

    id: int
    name: str
    description: str


@dataclass(frozen=True)
class Line:
    """An import that waits for its user."""

    id: int
    filename: str
    state: str


_PROGRESS = text("SELECT state, progress, message FROM ontask.job WHERE id = :job_id")
# Messages are another domain's, which is why this is plain SQL.
_MESSAGES = text("""
    SELECT id, name, description FROM ontask.action
    WHERE workflow_id = :workflow_id AND deleted_at IS NULL ORDER BY name, id
""")
_OPEN = text("""
    SELECT id, filename, state FROM ontask.import
    WHERE user_id = :user_id AND state IN ('reading', 'read', 'creating')
      AND workflow_id IS NOT DISTINCT FROM CAST(:workflow_id AS bigint)
    ORDER BY id DESC LIMIT 10
""")


def progress(session: Session, imported: Import) -> Progress:
    """Return how far the import's job is."""
    row = session.execute(_PROGRESS, {"job_id": imported.job_id}).one_or_none()
    return Progress(*row) if row else Progress("queued", 0, "")


def messages(session: Session, workflow_id: int) -> list[Message]:
    """Return the workflow's messages by name."""
    return [Message(*row) for row in session.execute(_MESSAGES, {"workflow_id": workflow_id})]


def unfinished(session: Session, user_id: int, workflow_id: int | None) -> list[Line]:
    """Return the user's imports that wait or are being worked on, the latest first."""
    values = {"user_id": user_id, "workflow_id": workflow_id}
    return [Line(*row) for row in session.execute(_OPEN, values)]


@dataclass(frozen=True)
class Coming:
    """A message as the page shows it before it is there."""

    name: str
    description: str
    has_filter: str
    conditions: list[tuple[str, str]]


def coming(document: Document) -> list[Coming]:
    """Return the messages of a file, with their rules in words."""
    infos = document.infos
    return [
        Coming(
            row["name"], row["description"], words(row["filter"], infos),
            [(one["name"], words(one["formula"], infos)) for one in document.conditions_of(row)],
        )
        for row in document.rows["action"]
    ]  # fmt: skip
