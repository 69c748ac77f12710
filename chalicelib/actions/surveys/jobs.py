"""Work on answers that nobody waits for: into the table, into a file."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from chalicelib.actions.surveys import answers, applying
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import store
from chalicelib.workflows.models import Workflow


@job(answers.APPLY)
def apply_answers(task: Task) -> dict[str, Any]:
    """Put the workflow's waiting answers into its table. Result: `answers`, their number."""

    def work(session: Session) -> int:
        workflow = session.get(Workflow, task.workflow_id)
        return 0 if workflow is None else applying.apply(session, workflow, answers.APPLY)

    return {"answers": store.in_bulk(work)}
