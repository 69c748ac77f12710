"""What the pages show beside the runs themselves: the name of a run's message, the workflow's time line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

PAGE_SIZE = 40


def action_name(session: Session, action_id: int) -> str:
    """Return what a run's message is called; "" when it is gone."""
    return session.scalar(sa.text("SELECT name FROM ontask.action WHERE id = :id"), {"id": action_id}) or ""


@dataclass(frozen=True)
class Happening:
    """A line of the time line."""

    id: int
    at: datetime
    type: str
    who: str
    detail: dict[str, Any]
    action_id: int | None
    run_id: int | None
    action_name: str
    kind: str


@dataclass(frozen=True)
class HappeningPage:
    """A page of the time line; `before` leads to older lines, None at the end."""

    rows: list[Happening]
    before: int | None


#: The filters of the time line, in the order of the page.
KINDS = {"mail": "Sending", "data": "Learners and data", "texts": "Messages", "people": "Workflow and people"}

# The kind follows from what an event speaks of; only those about data are told by their type.
_HAPPENINGS = sa.text(r"""
    SELECT * FROM (
        SELECT e.id, e.at, e.type, coalesce(nullif(u.name, ''), u.email, '') AS who, e.detail,
               a.id AS action_id, r.id AS run_id, coalesce(a.name, '') AS action_name,
               CASE WHEN e.run_id IS NOT NULL THEN 'mail'
                    WHEN e.action_id IS NOT NULL THEN 'texts'
                    WHEN e.type ~ '^(workflow|member|person|people|invitation)_' THEN 'people'
                    WHEN e.type ~ '^(action|condition|message)_' THEN 'texts'
                    ELSE 'data' END AS kind
        FROM ontask.event e
        LEFT JOIN ontask."user" u ON u.id = e.user_id
        LEFT JOIN ontask.action a ON a.id = e.action_id AND a.deleted_at IS NULL
        LEFT JOIN ontask.run r ON r.id = e.run_id
        WHERE e.workflow_id = :workflow_id
          AND (:before = 0 OR (e.at, e.id) < (SELECT b.at, b.id FROM ontask.event b WHERE b.id = :before))
    ) AS line
    WHERE :kind = '' OR kind = :kind
    ORDER BY at DESC, id DESC LIMIT :limit
""")


def happenings(session: Session, workflow_id: int, *, kind: str = "", before: int = 0) -> HappeningPage:
    """Return 40 lines of the workflow's time line, newest first, from the one after the event `before`."""
    values = {"workflow_id": workflow_id, "kind": kind, "before": before, "limit": PAGE_SIZE + 1}
    found = [Happening(*row) for row in session.execute(_HAPPENINGS, values)]
    return HappeningPage(found[:PAGE_SIZE], found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None)
