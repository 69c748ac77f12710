"""Making room: the oldest earlier tables go when all of them together are too large."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from chalicelib import database
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import store
from chalicelib.tables.history import versions


@job(versions.TRIM)
def trim_versions(task: Task) -> dict[str, Any]:
    """Drop the oldest versions of the installation until the rest fits. Result: `dropped`, their number."""
    with database.scope() as session:
        over = versions.over_budget(session)
    dropped = 0
    for done, (version_id, workflow_id) in enumerate(over):
        task.report(100 * done // len(over), "Making room for newer tables")

        # A transaction for each: nobody waits for more than the drop of one.
        def drop(session: Session, version_id: int = version_id, workflow_id: int = workflow_id) -> bool:
            return versions.forget(session, workflow_id, version_id)

        dropped += store.in_bulk(drop)
    return {"dropped": dropped}
