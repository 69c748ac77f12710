"""Building a ZIP, however long it takes."""

from __future__ import annotations

import tempfile
from typing import Any

from chalicelib import database
from chalicelib.actions import service as actions
from chalicelib.audit import service as audit
from chalicelib.aws import files
from chalicelib.delivery.archives import service
from chalicelib.schedules.jobs import Task, job
from chalicelib.workflows.models import Workflow

TIMEOUT_SECONDS = 600


@job(service.BUILD)
def build_archive(task: Task) -> dict[str, Any]:
    """Build the ZIP and put it into the bucket. Result: `key` and what `service.build` tells.

    Raises errors.NotFound when the action is gone, errors.Invalid when it can't be written any more.
    """
    assert task.workflow_id is not None
    payload = {**task.payload, "skip_rows": tuple(task.payload["skip_rows"])}
    action_id = payload.pop("action")
    key = f"exports/{task.workflow_id}/{task.job_id}.zip"

    def report(done: int, total: int) -> None:
        task.report(done * 100 // max(total, 1), f"{done:,} of {total:,} files are written.")

    with tempfile.TemporaryFile() as file:
        with database.scope(statement_timeout_seconds=TIMEOUT_SECONDS) as session:
            workflow = session.get_one(Workflow, task.workflow_id)
            action = actions.get(session, workflow.id, action_id)
            made = service.build(session, workflow, action, service.Wish(**payload), file, report)
            audit.record(
                session, "archive_built", workflow_id=workflow.id, user_id=task.user_id, action_id=action.id,
                name=action.name, files=made["files"],
            )  # fmt: skip
        file.seek(0)
        files.put(key, file, "application/zip")
    return {"key": key, **made}
