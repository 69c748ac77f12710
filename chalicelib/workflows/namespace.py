"""Columns, attributes and conditions share one space of names: texts speak of all of them alike.

Conditions of different messages may have the same name, as no text sees both.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.orm import Session

# The tables belong to three domains, which is why this is plain SQL.
_OWNER = text("""
    SELECT 'A column of the table' AS what, 'c' || id AS reference, name FROM ontask.column
    WHERE workflow_id = :workflow_id AND name = ANY(CAST(:names AS text[])) AND deleted_at IS NULL
    UNION ALL
    SELECT 'An attribute of the workflow', 'a' || id, name FROM ontask.attribute
    WHERE workflow_id = :workflow_id AND name = ANY(CAST(:names AS text[])) AND deleted_at IS NULL
    UNION ALL
    SELECT 'A condition of the message “' || a.name || '”', 'k' || k.id, k.name
    FROM ontask.condition k JOIN ontask.action a ON a.id = k.action_id
    WHERE a.workflow_id = :workflow_id AND a.deleted_at IS NULL AND k.name = ANY(CAST(:names AS text[]))
      AND k.deleted_at IS NULL AND (:action_id = 0 OR a.id = :action_id)
""")


def taken(session: Session, workflow_id: int, name: str, *, but: str = "", action_id: int = 0) -> str:
    """Say what has this name already, as a message for the field; nothing when it is free.

    `but` is the reference of what may have it, such as "c12"; for a condition `action_id` leaves out other messages.
    """
    values = {"workflow_id": workflow_id, "names": [name], "action_id": action_id}
    owner = next((row.what for row in session.execute(_OWNER, values) if row.reference != but), "")
    return _told(owner) if owner else ""


def taken_by_others(session: Session, workflow_id: int, wanted: Collection[str]) -> dict[str, str]:
    """Return those of the names that attributes and conditions have, each with the message for its field."""
    values = {"workflow_id": workflow_id, "names": list(wanted), "action_id": 0}
    found = session.execute(_OWNER, values).all() if wanted else []
    return {row.name: _told(row.what) for row in found if not row.reference.startswith("c")}


def _told(owner: str) -> str:
    return f"{owner} has this name; choose another one."
