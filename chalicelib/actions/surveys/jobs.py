"""Work on answers that nobody waits for: into the table, into a file."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from chalicelib import database, errors
from chalicelib.actions import service as actions
from chalicelib.actions.editor import Editor
from chalicelib.actions.surveys import answers, applying, running
from chalicelib.aws import files
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import downloads, store
from chalicelib.web.request import Values
from chalicelib.web.templates import zone
from chalicelib.workflows.models import Workflow

EXPORT = "export_answers"


@job(answers.APPLY)
def apply_answers(task: Task) -> dict[str, Any]:
    """Put the workflow's waiting answers into its table. Result: `answers`, their number."""

    def work(session: Session) -> int:
        workflow = session.get(Workflow, task.workflow_id)
        return 0 if workflow is None else applying.apply(session, workflow, answers.APPLY)

    try:
        return {"answers": store.in_bulk(work)}
    except errors.Unavailable:
        # A merge may hold the table for longer than a job is tried again: this one ends, the next one goes on.
        with database.scope() as session:
            answers.apply_later(session, task.workflow_id or 0)
        return {"answers": 0}


@job(EXPORT)
def export_answers(task: Task) -> dict[str, Any]:
    """Write the answers that the page showed, all pages of them. Payload: `action`, `query`, `format`, `is_safe`,
    `time_zone`.

    Result: `key`, `rows`. Raises errors.NotFound when the action is gone, errors.Invalid when its filter can't be used.
    """
    kind = downloads.FORMATS[task.payload["format"]]
    key = f"exports/{task.workflow_id}/{task.job_id}.{kind.ending}"
    with downloads.temporary() as file:
        with database.scope(statement_timeout_seconds=store.BULK_SECONDS) as session:
            workflow = session.get(Workflow, task.workflow_id)
            if workflow is None or workflow.row_count is None:
                raise errors.NotFound("There is no table any more.")
            applying.apply(session, workflow, answers.APPLY)
            editor = Editor(session, workflow, actions.get(session, workflow.id, task.payload["action"]))
            wish = running.wish(Values({name: [str(value)] for name, value in task.payload["query"].items()}))
            run = running.Run(session, editor, wish, zone(task.payload["time_zone"]))
            rows = downloads.write(
                session, kind.ending, run.scope, {f"c{c.id}": (c.name, c.type) for c in run.shown}, [], run.order,
                file, is_safe=task.payload["is_safe"],
            )  # fmt: skip
        file.seek(0)
        files.put(key, file, kind.content_type)
    return {"key": key, "rows": rows}
