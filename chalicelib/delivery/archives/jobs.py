"""The job that makes the files. It may be run twice: the file in S3 is written over."""

from __future__ import annotations

import json
import tempfile
import zipfile
from html import escape
from typing import IO, Any

from chalicelib import database, errors
from chalicelib.actions import service as actions
from chalicelib.actions.preview import PAGE
from chalicelib.audit import service as audit
from chalicelib.aws import files
from chalicelib.delivery import details, sources
from chalicelib.delivery.archives import names
from chalicelib.delivery.render import Renderer
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import store
from chalicelib.workflows.models import Workflow

BUILD = "delivery.archive"
#: Files between two reports of how far it is.
REPORT_EVERY = 500


@job(BUILD)
def build_archive(task: Task) -> dict[str, Any]:
    """Write a file for each learner into a ZIP. Payload: `action`, `wish` (see names.Wish). Result: `key`, `files`,
    and the files that could not be written.

    Raises errors.Invalid when the text, the filter or a name can't be used any more.
    """
    wish = names.Wish(**{**task.payload["wish"], "skip_rows": tuple(task.payload["wish"]["skip_rows"])})
    task.report(1, "Reading the table")
    with tempfile.TemporaryFile("w+") as spool, tempfile.TemporaryFile() as target:
        # The table is read in one statement and let go before anything is written: rendering may take minutes.
        with database.scope(statement_timeout_seconds=store.BULK_SECONDS) as session:
            workflow = session.get(Workflow, task.workflow_id)
            if workflow is None or workflow.deleted_at is not None or workflow.row_count is None:
                raise errors.NotFound("There is no table any more.")
            action = actions.get(session, workflow.id, int(task.payload["action"]))
            found = sources.read(session, workflow.id, action.id)
            if names.look(session, workflow, action, found, wish).bad:
                raise errors.Invalid("Meanwhile the table has values that make no name. Look at the names again.")
            of_kind = details.of(session, action, found)
            draft = sources.DraftText(found, "", action.text, workflow.time_zone, of_kind)
            about: dict[str, Any] = {"workflow_id": workflow.id, "action_id": action.id, "name": action.name}
            pieces = names.pieces(session, names.files(workflow, action, found, wish, draft))
            total = sum(bool(spool.write(json.dumps(list(piece)) + "\n")) for piece in pieces)
        spool.seek(0)
        failed = _write(task, Renderer(draft), escape(about["name"]), spool, total, target)
        target.seek(0)
        key = f"exports/{task.workflow_id}/{task.job_id}.zip"
        files.put(key, target, "application/zip")
    written = total - len(failed)
    with database.scope() as session:
        audit.record(session, "archive_built", user_id=task.user_id, files=written, **about)
    return {"key": key, "files": written, "failed": failed[: names.MAX_LISTED], "failed_count": len(failed)}


def _write(task: Task, renderer: Renderer, title: str, spool: IO[str], total: int, target: IO[bytes]) -> list[str]:
    """Write the files; return those whose text gets too long."""
    failed = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as made:
        for number, line in enumerate(spool):
            if number % REPORT_EVERY == 0:
                task.report(5 + 90 * number // total, f"{number:,} of {total:,} files")
            name, values, flags = json.loads(line)
            try:
                made.writestr(name, PAGE.format(title, renderer.page(json.loads(values), json.loads(flags))))
            except errors.Invalid as error:
                failed.append(f"{name}: {error.message}")
    return failed
