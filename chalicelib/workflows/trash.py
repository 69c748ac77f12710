"""The end of a deleted workflow: when its time in the trash is over, everything of it goes for good."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.audit import service as audit
from chalicelib.schedules import service as schedules
from chalicelib.tables import store
from chalicelib.workflows import queries
from chalicelib.workflows.models import Workflow
from chalicelib.workflows.service import TRASH

PURGE = "workflows.purge"


def ask_purge(session: Session) -> None:
    """Have every workflow purged whose time in the trash is over."""
    for workflow_id in queries.expired_in_trash(session):
        schedules.enqueue_once(session, PURGE, workflow_id)


def purge(session: Session, workflow_id: int) -> bool:
    """Delete a workflow with its table, its kept versions and all that was sent; tell whether it was there.

    One that was restored meanwhile stays. What is left are the events, for administrators, without what was the
    learners' own.
    """
    workflow = session.scalar(
        select(Workflow).where(Workflow.id == workflow_id, Workflow.deleted_at < clock.now() - TRASH).with_for_update()
    )
    if workflow is None:
        return False
    audit.record(session, "workflow_purged", workflow_id=workflow_id, name=workflow.name, rows=workflow.row_count)
    audit.forget_learners(session, workflow_id)
    store.drop_workflow(session, workflow_id)
    session.execute(delete(Workflow).where(Workflow.id == workflow_id))
    return True
