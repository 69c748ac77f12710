"""The two jobs of an upload: read the file, and put it into the table. Both may be run twice."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from chalicelib import database, errors
from chalicelib.audit import service as audit
from chalicelib.aws import files
from chalicelib.logs import logger
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import store
from chalicelib.tables.uploads import endings, excel, service
from chalicelib.tables.uploads.models import DONE, IMPORTING, READ, READING, REFUSED, Upload


@job("read_upload")
def read_upload(task: Task) -> dict[str, Any] | None:
    """Fetch the file and read it; a file that is no table is refused with the reason, for good."""
    upload_id = int(task.payload["upload"])
    with database.scope() as session:
        upload = session.get(Upload, upload_id)
        if upload is None or upload.state != READING:
            return None
    task.report(5, "Fetching the file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"

        def read(session: Session) -> int | None:
            row = session.get(Upload, upload_id, with_for_update=True)
            if row is None or row.state != READING:
                return None
            row.filename = service.tidy_filename(called) if called else row.filename
            with tempfile.TemporaryDirectory() as again:
                # A transaction that is tried once more begins with the file as it came.
                local = Path(shutil.copy(path, again))
                service.read(session, row, local, task.report)
            return int(row.understood["rows"])

        try:
            with path.open("wb") as target:
                called = service.fetch(upload, target)
            if not upload.link:
                endings.check_content(path)
            rows = store.in_bulk(read)
        except (errors.Invalid, errors.Limit) as error:
            # With the sheets of a workbook another one can be chosen.
            sheets = excel.sheets(path) if excel.is_workbook(path) else []
            known = {"format": "excel", "sheets": sheets, "sheet": upload.options.get("sheet", "")} if sheets else {}
            _note_problem(upload_id, READING, REFUSED, error.message, understood=known)
            return {"refused": error.message}
    return {"rows": rows}


@job("import_upload")
def import_upload(task: Task) -> dict[str, Any] | None:
    """Put the upload into the table; when that can't be done people get their choices back, with the reason."""
    upload_id = int(task.payload["upload"])
    task.report(20, "Adding the data to the table")

    def work(session: Session) -> dict[str, Any] | None:
        upload = session.get(Upload, upload_id, with_for_update=True)
        if upload is None or upload.state != IMPORTING:
            return upload.result if upload is not None and upload.state == DONE else None
        return service.carry_out(session, upload)

    try:
        result = store.in_bulk(work)
    except errors.Unavailable:
        raise
    except errors.AppError as error:
        _note_problem(upload_id, IMPORTING, READ, error.message)
        _note_failure(task, upload_id, error.message)
        raise
    if result is not None:
        _remove_file(upload_id)
    return result


def _note_problem(upload_id: int, expected: str, state: str, problem: str, **more: Any) -> None:
    with database.scope() as session:
        session.execute(
            update(Upload)
            .where(Upload.id == upload_id, Upload.state == expected)
            .values(state=state, problem=problem, **more)
        )  # fmt: skip


def _note_failure(task: Task, upload_id: int, problem: str) -> None:
    with database.scope() as session:
        upload = session.get_one(Upload, upload_id)
        audit.record(
            session, "import_failed", workflow_id=upload.workflow_id, user_id=task.user_id, name=upload.filename,
            source=upload.source, problem=problem,
        )  # fmt: skip


def _remove_file(upload_id: int) -> None:
    with database.scope() as session:
        upload = session.get_one(Upload, upload_id)
    try:
        files.remove(service.key(upload))
    except errors.Unavailable:
        logger().warning("an imported file stays until the bucket's own rule removes it", extra={"upload": upload_id})
