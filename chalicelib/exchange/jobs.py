"""The jobs of exports and imports: read a file, create what it holds, write one. All may be run twice."""

from __future__ import annotations

import re
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from chalicelib import database, errors
from chalicelib.audit import service as audit
from chalicelib.aws import files
from chalicelib.exchange import reading, service
from chalicelib.exchange.check import storable
from chalicelib.exchange.document import MESSAGES, WORKFLOW
from chalicelib.exchange.models import CREATING, DONE, READ, READING, REFUSED, Import
from chalicelib.logs import logger
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import store
from chalicelib.workflows.models import Workflow

EXPORT = "export_workflow"


@job("read_import")
def read_import(task: Task) -> dict[str, Any] | None:
    """Fetch the file and read it; one that can't be imported is refused with the reason, for good."""
    import_id = int(task.payload["import"])
    with database.scope() as session:
        imported = session.get(Import, import_id)
        if imported is None or imported.state != READING:
            return None
    task.report(5, "Fetching the file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        with path.open("wb") as target:
            files.fetch(service.stored_file(imported), target)
        task.report(20, "Reading it")
        try:
            document, table = reading.read(path, Path(folder))
            task.report(60, "Checking it")

            def note(session: Session) -> dict[str, Any] | None:
                row = session.get(Import, import_id, with_for_update=True)
                if row is None or row.state != READING:
                    return None
                service.read(session, row, document, table)
                return dict(service.counts(document))

            return store.in_bulk(note)
        except (errors.Invalid, errors.Limit) as error:
            _note_problem(import_id, READING, REFUSED, error.message)
            return {"refused": error.message}


@job("create_import")
def create_import(task: Task) -> dict[str, Any] | None:
    """Create what was confirmed; when that can't be done people are asked again, with the reason."""
    import_id = int(task.payload["import"])
    task.report(20, "Creating it")

    def create(session: Session) -> dict[str, Any] | None:
        imported = session.get(Import, import_id, with_for_update=True)
        if imported is None or imported.state != CREATING:
            return imported.result if imported is not None and imported.state == DONE else None
        return service.carry_out(session, imported)

    try:
        result = store.in_bulk(create)
    except errors.Unavailable:
        raise
    except errors.AppError as error:
        problem = getattr(error, "fields", {}).get("name") or error.message
        _note_problem(import_id, CREATING, READ, problem)
        raise
    if result is not None:
        _remove_file(import_id)
    return result


def _note_problem(import_id: int, expected: str, state: str, problem: str) -> None:
    with database.scope() as session:
        session.execute(
            update(Import)
            .where(Import.id == import_id, Import.state == expected)
            .values(state=state, problem=storable(problem))
        )  # fmt: skip


def _remove_file(import_id: int) -> None:
    with database.scope() as session:
        imported = session.get_one(Import, import_id)
    try:
        files.remove(service.key(imported))
    except errors.Unavailable:
        logger().warning("an imported file stays until the bucket's own rule removes it", extra={"import": import_id})


@job(EXPORT)
def export_workflow(task: Task) -> dict[str, Any]:
    """Write the file. Payload: `kind`, `actions` (ids), `learners`. Result: `key`, and how many there are of what.

    Raises errors.Invalid when there is nothing to write, or a text can't be read.
    """
    workflow_id = task.workflow_id or 0
    kind = MESSAGES if task.payload["kind"] == MESSAGES else WORKFLOW
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.zip"
        with database.scope(statement_timeout_seconds=store.BULK_SECONDS) as session:
            workflow = session.get(Workflow, workflow_id)
            if workflow is None or workflow.deleted_at is not None:
                raise errors.NotFound("This workflow was deleted meanwhile.")
            document = service.export(
                session, workflow, path, task.payload["actions"], kind=kind, with_learners=task.payload["learners"]
            )
            counts = service.counts(document)
            audit.record(
                session, "workflow_exported" if kind == WORKFLOW else "messages_exported", workflow_id=workflow_id,
                user_id=task.user_id, **counts,
            )  # fmt: skip
        key = f"exports/{workflow_id}/{task.job_id}.zip"
        with path.open("rb") as file:
            files.put(key, file, "application/zip")
    return {"key": key, **counts}


def filename(workflow_name: str, kind: str, now: datetime) -> str:
    """Return what the file is called on people's machines: the workflow's name, the day and the minute."""
    plain = " ".join(re.sub(r'[\x00-\x1f/\\:*?"<>|]', " ", workflow_name).split()).strip(". ")[:100] or "workflow"
    return f"{plain}{' messages' if kind == MESSAGES else ''} {now:%Y-%m-%d %H.%M}.zip"
