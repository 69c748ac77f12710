"""Uploads: take a file in, have it read, import it as was chosen in `steps`, forget it."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.aws import files
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings
from chalicelib.tables import queries, store
from chalicelib.tables.uploads import (
    endings,
    excel,
    google,
    habits,
    importing,
    plan,
    reading,
    staging,
    steps,
)
from chalicelib.tables.uploads.models import (
    DISCARDED,
    DONE,
    IMPORTING,
    READ,
    READING,
    REFUSED,
    WAITING,
    Upload,
)
from chalicelib.workflows.models import Workflow

#: What an upload that nobody finished is kept for.
KEPT = timedelta(days=7)
MAX_FILENAME_LENGTH = 200


def begin(
    session: Session, workflow_id: int, user_id: int, filename: str, size: int
) -> tuple[Upload, files.UploadForm]:
    """Note that a file is about to come; return the row and the form by which the browser sends it to S3.

    Raises errors.Invalid when it is empty or of a kind that is not allowed, errors.Limit when it is larger than files
    may be.
    """
    endings.check_name(filename)
    check_size(size)
    upload = Upload(
        workflow_id=workflow_id, user_id=user_id, size=size, state=WAITING, created_at=clock.now(),
        filename=tidy_filename(filename),
    )  # fmt: skip
    session.add(upload)
    session.flush()
    return upload, files.upload_form(key(upload), settings().max_upload_mb * 1_000_000)


def begin_link(session: Session, workflow_id: int, user_id: int, link: str) -> Upload:
    """Have the Google Sheet behind the link fetched and read.

    Raises errors.Invalid (field `link`) when it leads to no such sheet.
    """
    try:
        google.path_of(link)
    except errors.Invalid as error:
        raise errors.Invalid(error.message, {"link": error.message}) from error
    upload = Upload(
        workflow_id=workflow_id, user_id=user_id, filename="Google Sheet", link=link.strip(), created_at=clock.now()
    )
    session.add(upload)
    session.flush()
    _have_read(session, upload, habits.options(session, upload))
    return upload


def tidy_filename(name: str) -> str:
    """Return the name of a file without folders, and not too long."""
    return (name.replace("\\", "/").rpartition("/")[2].strip() or "file")[-MAX_FILENAME_LENGTH:]


def check_size(size: int) -> None:
    """Raise errors.Invalid for an empty file, errors.Limit for one that is larger than files may be."""
    if size <= 0:
        raise errors.Invalid("The file is empty.", {"file": "The file is empty. Choose another one."})
    limit = settings().max_upload_mb
    if size > limit * 1_000_000:
        raise errors.Limit(f"The file has {size / 1e6:,.0f} MB; files of up to {limit} MB are possible.", status=413)


def key(upload: Upload) -> str:
    """Return the name of the file in S3: bound to the person and to this row."""
    return f"uploads/{upload.user_id}/{upload.id}"


def get(session: Session, workflow_id: int, upload_id: int) -> Upload:
    """Return an upload of the workflow.

    Raises errors.NotFound when there is none or it was given up.
    """
    upload = session.scalar(
        select(Upload).where(Upload.id == upload_id, Upload.workflow_id == workflow_id, Upload.state != DISCARDED)
    )
    if upload is None:
        raise errors.NotFound
    return upload


def arrived(session: Session, upload: Upload) -> None:
    """Note that the browser has sent the file, pin its version and have it read. Telling it twice is harmless.

    Raises errors.NotFound when S3 has no such file, errors.Limit when it is too large after all.
    """
    if upload.state != WAITING:
        return
    stored = files.look(key(upload))
    check_size(stored.size)
    upload.size, upload.file_version = stored.size, stored.version
    _have_read(session, upload, habits.options(session, upload))


def read_again(session: Session, upload: Upload, options: Mapping[str, Any]) -> None:
    """Read the file once more, in another way; `options` are those of `reading.Options`.

    Raises errors.Invalid, a message for each field, when they make no sense.
    """
    if upload.state not in {READ, REFUSED}:
        raise errors.Conflict("This file is being worked on. Please wait a moment.")
    if area := options.get("area"):
        try:
            excel.area(str(area))
        except errors.Invalid as error:
            raise errors.Invalid(error.message, {"area": error.message}) from error
    _have_read(session, upload, dict(options))


def _have_read(session: Session, upload: Upload, options: dict[str, Any]) -> None:
    upload.state, upload.problem, upload.understood, upload.choices = READING, "", {}, {}
    upload.options = options
    payload = {"upload": upload.id}
    job = schedules.enqueue(session, "read_upload", payload, workflow_id=upload.workflow_id, user_id=upload.user_id)
    upload.job_id = job.id


def stored_file(upload: Upload) -> files.StoredFile:
    """Return the very file that was looked at when it arrived."""
    return files.StoredFile(key(upload), upload.size, upload.file_version)


def fetch(upload: Upload, target: IO[bytes]) -> str:
    """Copy the file, or the sheet behind the link, into `target`; return what the sheet is called, if it says so.

    Raises errors.Unavailable when it can't be reached, for a link also what `google.fetch` does.
    """
    if upload.link:
        return google.fetch(upload.link, target)
    files.fetch(stored_file(upload), target)
    return ""


def read(session: Session, upload: Upload, path: Path, report: reading.Report) -> None:
    """Read the local copy of the file as `upload.options` say and note what was understood, or why nothing was.

    The choices that are proposed are those of the last upload of the same source, as far as they fit.
    """
    try:
        _understand(session, upload, path, report)
    except errors.Invalid:
        if not upload.options.get("remembered"):
            raise
        upload.options = {}  # this file is another one after all
        _understand(session, upload, path, report)
    upload.choices = habits.choices(session, upload, plan.first_choices(upload.understood))
    upload.state, upload.problem = READ, ""


def _understand(session: Session, upload: Upload, path: Path, report: reading.Report) -> None:
    workflow = session.get_one(Workflow, upload.workflow_id)
    staging.remove(session, upload.id)
    logged = not store.exists(session, store.table(workflow.id))
    options = reading.Options.of(upload.options)
    upload.understood = reading.read(
        session, upload.id, path, options, time_zone=workflow.time_zone, logged=logged, report=report
    )


def carry_out(session: Session, upload: Upload) -> dict[str, Any]:
    """Do the confirmed import; the transaction holds all of it."""
    workflow = session.get_one(Workflow, upload.workflow_id)
    existing = queries.columns(session, workflow.id)
    made = plan.make(upload.understood, upload.choices, existing)
    upload.result = importing.carry_out(session, workflow, upload, made)
    upload.state, upload.ended_at = DONE, clock.now()
    return upload.result


def discard(session: Session, upload: Upload) -> None:
    """Give the upload up and forget what was read."""
    if upload.state == IMPORTING:
        raise errors.Conflict("The data is being added just now. You can take it back when that is done.")
    staging.remove(session, upload.id)
    upload.state, upload.understood, upload.choices, upload.ended_at = DISCARDED, {}, {}, clock.now()


def import_file(
    session: Session,
    workflow: Workflow,
    user_id: int | None,
    path: Path,
    *,
    keys: Collection[str] = (),
    read_as: Mapping[str, str] | None = None,
    choices: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Import a local file at once, in the caller's transaction: for sample courses and programs.

    `keys` are the names of columns that tell learners apart (guessed when none is given), `read_as` maps names to
    kinds, `choices` are those of `choose_match` when there is a table already. Raises errors.Invalid as the pages do.
    """
    upload = Upload(
        workflow_id=workflow.id, user_id=user_id, filename=path.name, size=path.stat().st_size, state=READING,
        created_at=clock.now(),
    )  # fmt: skip
    session.add(upload)
    session.flush()
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "file"
        local.write_bytes(path.read_bytes())
        read(session, upload, local, lambda _progress, _message: None)
    upload.choices = plan.first_choices(upload.understood)  # a program says what it wants
    columns = {number: dict(choice) for number, choice in upload.choices["columns"].items()}
    for choice in columns.values():
        choice["kind"] = (read_as or {}).get(choice["name"], choice["kind"])
        choice["key"] = choice["name"] in keys if keys else choice["key"]
    steps.choose_columns(session, upload, columns, add_number=not any(choice["key"] for choice in columns.values()))
    if queries.columns(session, workflow.id):
        steps.choose_match(session, upload, choices or {})
    return carry_out(session, upload)


def expire(session: Session) -> list[str]:
    """Give up uploads that nobody touched for a week; return the names of their files in S3, to be removed."""
    old = session.scalars(
        select(Upload)
        .where(Upload.state.in_([WAITING, READ, REFUSED]), Upload.created_at < clock.now() - KEPT)
        .with_for_update(skip_locked=True)
    ).all()
    for upload in old:
        discard(session, upload)
    return [key(upload) for upload in old]
