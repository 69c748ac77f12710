"""Imports: take a file in, show what it holds, create it whole or not at all. Exports: write the file."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.audit import service as audit
from chalicelib.aws import files
from chalicelib.exchange import creating, exporting, package, reading
from chalicelib.exchange.document import MESSAGES, WORKFLOW, Document, restored
from chalicelib.exchange.models import CREATING, DISCARDED, DONE, READ, READING, REFUSED, WAITING, Import
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings
from chalicelib.tables import arrivals
from chalicelib.tables.uploads import service as uploads
from chalicelib.workflows import queries
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

#: Who may take a workflow out.
MAY_EXPORT = WorkflowRole.VIEWER
#: What an import that nobody finished is kept for.
KEPT = timedelta(days=7)


def begin(
    session: Session, user_id: int, filename: str, size: int, workflow_id: int | None = None
) -> tuple[Import, files.UploadForm]:
    """Note that a file is about to come; return the row and the form by which the browser sends it to S3.

    With a workflow its messages are to be added there. Raises errors.Invalid when the file is empty, errors.Limit when
    it is larger than files may be.
    """
    uploads.check_size(size)
    imported = Import(
        user_id=user_id, workflow_id=workflow_id, filename=uploads.tidy_filename(filename), size=size, state=WAITING,
        created_at=clock.now(),
    )  # fmt: skip
    session.add(imported)
    session.flush()
    return imported, files.upload_form(key(imported), settings().max_upload_mb * 1_000_000)


def key(imported: Import) -> str:
    """Return the name of the file in S3: bound to the person and to this row."""
    return f"uploads/{imported.user_id}/import-{imported.id}"


def get(session: Session, user_id: int, import_id: int, workflow_id: int | None = None) -> Import:
    """Return an import that the user began: of a workflow, or of messages for this workflow.

    Raises errors.NotFound when there is none or it was given up.
    """
    query = select(Import).where(Import.id == import_id, Import.user_id == user_id, Import.state != DISCARDED)
    imported = session.scalar(query)
    if imported is None or (workflow_id is not None and imported.workflow_id != workflow_id):
        raise errors.NotFound
    if workflow_id is None and imported.workflow_id is not None and "learners" not in imported.result:
        raise errors.NotFound  # messages for a workflow are shown inside it
    return imported


def arrived(session: Session, imported: Import) -> None:
    """Note that the browser has sent the file, pin its version and have it read. Telling it twice is harmless.

    Raises errors.NotFound when S3 has no such file, errors.Limit when it is too large after all.
    """
    if imported.state != WAITING:
        return
    stored = files.look(key(imported))
    uploads.check_size(stored.size)
    imported.size, imported.file_version, imported.state = stored.size, stored.version, READING
    job = schedules.enqueue(session, "read_import", {"import": imported.id}, user_id=imported.user_id)
    imported.job_id = job.id


def stored_file(imported: Import) -> files.StoredFile:
    """Return the very file that was looked at when it arrived."""
    return files.StoredFile(key(imported), imported.size, imported.file_version)


def read(session: Session, imported: Import, document: Document, table: Path | None) -> None:
    """Note what the file holds, and put its learners into the waiting table.

    Raises errors.Invalid when it can't be imported.
    """
    if imported.workflow_id is not None and not document.rows["action"]:
        raise errors.Invalid("There are no messages in this file.")
    if imported.workflow_id is None and document.kind == MESSAGES:
        raise errors.Invalid(
            "This file holds messages without a table. Open the workflow that they are for, and choose "
            "“Bring in messages” under Messages."
        )
    if imported.workflow_id is None:
        reading.load(session, imported.id, document, table)
    else:
        target = session.get_one(Workflow, imported.workflow_id)
        exporting.only_messages(document)
        if found := creating.problems(session, target, document):
            raise errors.Invalid("\n".join(found))
    imported.document, imported.state, imported.problem = document.stored(), READ, ""
    imported.name = document.name


def document_of(imported: Import) -> Document:
    """Return what the file holds, once it was read."""
    return restored(imported.document)


def confirm(session: Session, imported: Import, name: str) -> None:
    """Have it created: a workflow under this name (nothing typed: the file's), or messages.

    Raises errors.Invalid (field `name`) when the name can't be used, errors.Conflict when it is being worked on.
    """
    if imported.state != READ:
        raise errors.Conflict("This file is being worked on, or was imported already.")
    if imported.workflow_id is None:
        imported.name = _checked_name(session, imported.user_id, name or document_of(imported).name)
    imported.state, imported.problem = CREATING, ""
    job = schedules.enqueue(
        session, "create_import", {"import": imported.id}, workflow_id=imported.workflow_id, user_id=imported.user_id
    )
    imported.job_id = job.id


def offered_name(session: Session, imported: Import) -> str:
    """Return what the new workflow may be called: as in the file, with a number where there is one of that name."""
    return workflows.free_name(session, imported.user_id, imported.name)


def _checked_name(session: Session, user_id: int, name: str) -> str:
    name = " ".join(name.split())
    problem = ""
    if not name:
        problem = "Type a name for the workflow."
    elif len(name) > workflows.MAX_NAME_LENGTH:
        problem = f"Use at most {workflows.MAX_NAME_LENGTH:,} characters; this has {len(name):,}."
    elif workflows.is_name_used(session, user_id, name):
        problem = "You have a workflow with this name already. Type another one; the file need not be sent again."
    if problem:
        raise errors.Invalid(problem, {"name": problem})
    return name


def carry_out(session: Session, imported: Import) -> dict[str, Any]:
    """Create what was confirmed; the transaction holds all of it.

    Raises errors.Invalid when it can't be done any more.
    """
    document = document_of(imported)
    if imported.workflow_id is None:
        made = creating.workflow(session, imported.user_id, imported.id, document, imported.name)
        imported.workflow_id = made.id
        result = counts(document)
        _record(session, "workflow_imported", imported, name=imported.filename, **result)
    else:
        result = creating.messages(session, session.get_one(Workflow, imported.workflow_id), document)
        _record(session, "messages_imported", imported, name=imported.filename, **result)
    imported.result, imported.state, imported.ended_at = result, DONE, clock.now()
    imported.document = imported.document | {"actions": [], "conditions": [], "views": []}
    return result


def counts(document: Document) -> dict[str, int]:
    """Return how many there are of what people look for."""
    return {
        "learners": document.learners or 0, "columns": len(document.columns), "messages": len(document.rows["action"]),
        "conditions": len(document.rows["condition"]), "views": len(document.rows["view"]),
        "attributes": len(document.rows["attribute"]),
    }  # fmt: skip


def _record(session: Session, event_type: str, imported: Import, **detail: Any) -> None:
    audit.record(session, event_type, workflow_id=imported.workflow_id, user_id=imported.user_id, **detail)


def discard(session: Session, imported: Import) -> None:
    """Give the import up and forget what was read."""
    if imported.state == CREATING:
        raise errors.Conflict("This is being created just now.")
    arrivals.remove(session, imported.id)
    imported.state, imported.document, imported.ended_at = DISCARDED, {}, clock.now()


def expire(session: Session) -> None:
    """Give up imports that nobody finished for a week; their files go by the bucket's own rule."""
    old = session.scalars(
        select(Import)
        .where(Import.state.in_([WAITING, READ, REFUSED]), Import.created_at < clock.now() - KEPT)
        .with_for_update(skip_locked=True)
    ).all()
    for imported in old:
        discard(session, imported)


def import_file(session: Session, user_id: int, path: Path, *, name: str = "", replace: bool = False) -> Import:
    """Import a local file at once, in the caller's transaction: for operators and programs.

    With `replace` a workflow of that name goes to the trash first. Raises errors.Invalid as the pages do.
    """
    imported = Import(
        user_id=user_id, filename=path.name, size=path.stat().st_size, state=READING, created_at=clock.now()
    )
    session.add(imported)
    session.flush()
    with tempfile.TemporaryDirectory() as folder:
        document, table = reading.read(path, Path(folder))
        read(session, imported, document, table)
    imported.name = " ".join((name or document.name).split())
    if replace:
        put_away(session, user_id, imported.name)
    carry_out(session, imported)
    return imported


def put_away(session: Session, user_id: int, name: str) -> None:
    """Put the user's own workflow of this name into the trash, if there is one."""
    for card in queries.cards(session, user_id):
        if card.name == name and card.role == WorkflowRole.OWNER:
            workflows.delete(session, user_id, workflows.get(session, user_id, card.id, WorkflowRole.OWNER))
    session.flush()


def export(
    session: Session, exported: Workflow, target: Path, action_ids: Collection[int], *, kind: str = WORKFLOW,
    with_learners: bool = True,
) -> Document:  # fmt: skip
    """Write the workflow, or only these messages of it, into the file `target`; return what was written.

    Raises errors.Invalid when there is nothing to write, or a text can't be read.
    """
    if kind == MESSAGES:
        document = exporting.messages(session, exported, action_ids)
        package.write(target, document, None)
        return document
    if exported.row_count is not None:
        arrivals.hold(session, exported.id)
    document, column_ids = exporting.workflow(session, exported, action_ids)
    columns = [(key_, row["name"]) for key_, row in zip(column_ids, document.columns, strict=True)]

    def learners(file: IO[bytes]) -> int:
        return arrivals.write(session, exported.id, columns, file)

    package.write(target, document, learners if with_learners and exported.row_count is not None else None)
    return document
