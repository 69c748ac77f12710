"""The long work of workflows: copying one, and keeping the accounts of learners up to date."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.schedules import service as schedules
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import store
from chalicelib.workflows import cloning, learners, service, trash


@job(cloning.CLONE)
def clone_workflow(task: Task) -> dict[str, Any]:
    """Copy the workflow. Payload: `shares`, `learners`. Result: `workflow`, the id of the copy."""
    task.report(10, "Copying the learners and messages")
    workflow_id, user_id = task.workflow_id or 0, task.user_id or 0

    def work(session: Session) -> dict[str, Any]:
        # Noted in the same transaction: a worker that was killed right after it does not copy twice.
        if made := schedules.remembered(session, task.job_id, "made"):
            return {"workflow": int(made)}
        origin, _ = service.reach(session, user_id, workflow_id, WorkflowRole.EDITOR)
        wish = cloning.Wish(shares=task.payload["shares"], learners=task.payload["learners"])
        twin = cloning.clone(session, origin, user_id, wish)
        schedules.remember(session, task.job_id, made=twin.id)
        return {"workflow": twin.id}

    try:
        return store.in_bulk(work)
    except (errors.NotFound, errors.Forbidden) as error:
        raise errors.Invalid("The workflow was deleted, or is not shared with you any more.") from error


@job(learners.REFRESH)
def refresh_learners(task: Task) -> dict[str, Any] | None:
    """Make accounts for new addresses, and let go those that are not in the column any more."""
    return store.in_bulk(lambda session: learners.refresh_by_id(session, task.workflow_id or 0))


@job(trash.PURGE)
def purge_workflow(task: Task) -> dict[str, Any]:
    """Delete a workflow whose time in the trash is over; the row of this job goes with it."""
    return {"purged": store.in_bulk(lambda session: trash.purge(session, task.workflow_id or 0))}
