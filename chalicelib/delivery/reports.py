"""What the pages show beside the runs themselves: the name of a run's message."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session


def action_name(session: Session, action_id: int) -> str:
    """Return what a run's message is called; "" when it is gone."""
    return session.scalar(sa.text("SELECT name FROM ontask.action WHERE id = :id"), {"id": action_id}) or ""
