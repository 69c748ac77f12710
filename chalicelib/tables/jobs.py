"""The table as a file: written by a job, stored in S3, downloaded from there."""

from __future__ import annotations

from typing import Any

from chalicelib import database, errors
from chalicelib.aws import files
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import downloads, state, store
from chalicelib.tables.grid import Grid
from chalicelib.web.request import Values
from chalicelib.workflows.models import Workflow

EXPORT = "export_table"


@job(EXPORT)
def export_table(task: Task) -> dict[str, Any]:
    """Write what the page showed. Payload: `query` (its address), `format`, `is_safe`, `time_zone`.

    Result: `key`, `rows`. Raises errors.NotFound when the table, the view or a column is gone, errors.Invalid when
    the view can't be used any more.
    """
    kind = downloads.FORMATS[task.payload["format"]]
    key = f"exports/{task.workflow_id}/{task.job_id}.{kind.ending}"
    with downloads.temporary() as file:
        with database.scope(statement_timeout_seconds=store.BULK_SECONDS) as session:
            workflow = session.get(Workflow, task.workflow_id)
            if workflow is None or not store.exists(session, store.table(workflow.id)):
                raise errors.NotFound("There is no table any more.")
            query = Values(task.payload["query"])
            grid = Grid(session, workflow, state.read(session, workflow, query, task.payload["time_zone"]))
            if grid.state.problem:
                raise errors.Invalid(grid.state.problem)
            rows = downloads.write(
                session, kind.ending, grid.state.scope,
                {f"c{column.id}": (column.name, column.type) for column in grid.state.shown},
                [flag for flag in grid.flags if not flag.problem], grid.state.order, file,
                is_safe=task.payload["is_safe"],
            )  # fmt: skip
        file.seek(0)
        files.put(key, file, kind.content_type)
    return {"key": key, "rows": rows}
