"""Columns, attributes and conditions share one space of names: texts speak of all of them alike.

Conditions of different messages may have the same name, as no text sees both.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

# The tables belong to three domains, which is why this is plain SQL.
_OWNER = text("""
    SELECT 'A column of the table' AS what, 'c' || id AS reference FROM ontask.column
    WHERE workflow_id = :workflow_id AND name = :name AND deleted_at IS NULL
    UNION ALL
    SELECT 'An attribute of the workflow', 'a' || id FROM ontask.attribute
    WHERE workflow_id = :workflow_id AND name = :name AND deleted_at IS NULL
    UNION ALL
    SELECT 'A condition of the message “' || a.name || '”', 'k' || k.id
    FROM ontask.condition k JOIN ontask.action a ON a.id = k.action_id
    WHERE a.workflow_id = :workflow_id AND a.deleted_at IS NULL AND k.name = :name AND k.deleted_at IS NULL
      AND (:action_id = 0 OR a.id = :action_id)
""")


def taken(session: Session, workflow_id: int, name: str, *, but: str = "", action_id: int = 0) -> str:
    """Say what has this name already, as a message for the field; nothing when it is free.

    `but` is the reference of what may have it, such as "c12"; for a condition `action_id` leaves out other messages.
    """
    values = {"workflow_id": workflow_id, "name": name, "action_id": action_id}
    owner = next((row.what for row in session.execute(_OWNER, values) if row.reference != but), "")
    return f"{owner} has this name; choose another one." if owner else ""
