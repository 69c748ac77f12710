"""What one learner has answered, and its end."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

_ANSWERS = text("""
    SELECT m.name, a.created_at, a.values FROM ontask.answer a JOIN ontask.action m ON m.id = a.action_id
    WHERE a.workflow_id = :workflow_id AND a.row_id = ANY(:row_ids) ORDER BY a.id
""")
_NAMES = text("SELECT id, name FROM ontask.column WHERE workflow_id = :workflow_id")


def answers(session: Session, workflow_id: int, row_ids: Collection[int]) -> list[dict[str, Any]]:
    """Return every answer: to which form, when, and what, by the names of the columns."""
    known = {"workflow_id": workflow_id, "row_ids": list(row_ids)}
    names = {f"c{column_id}": name for column_id, name in session.execute(_NAMES, known)}
    return [
        {"form": form, "at": at.isoformat(), "values": {names.get(key, key): value for key, value in given.items()}}
        for form, at, given in session.execute(_ANSWERS, known)
    ]


def erase(session: Session, workflow_id: int, row_ids: Collection[int]) -> int:
    """Delete answers and forms that were begun; return how many answers it was."""
    known = {"workflow_id": workflow_id, "row_ids": list(row_ids)}
    drafts = """
        DELETE FROM ontask.answer_draft d USING ontask.action m
        WHERE m.id = d.action_id AND m.workflow_id = :workflow_id AND d.row_id = ANY(:row_ids)"""
    session.execute(text(drafts), known)
    given = "DELETE FROM ontask.answer WHERE workflow_id = :workflow_id AND row_id = ANY(:row_ids) RETURNING id"
    return len(session.scalars(text(given), known).all())
