"""The job that makes the files. It may be run twice: the file in S3 is written over."""

from __future__ import annotations

import json
import tempfile
import zipfile
from dataclasses import dataclass, field
from html import escape
from typing import IO, Any

from chalicelib import database, errors
from chalicelib.actions import service as actions
from chalicelib.actions.preview import PAGE
from chalicelib.audit import service as audit
from chalicelib.aws import files
from chalicelib.delivery import details, sources
from chalicelib.delivery.archives import names
from chalicelib.delivery.pdf.writer import Made, Writer
from chalicelib.delivery.render import Renderer
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import store
from chalicelib.workflows.models import Workflow

BUILD = "delivery.archive"
#: Learners between two reports of how far it is: pages are written in a moment, PDFs are not.
REPORT_EVERY, PDFS_BETWEEN = 500, 20
#: A PDF takes some 50 ms and 50 kB: these are made within a job's time, and fit into its disk.
MAX_PDFS, MAX_BYTES = 4000, 400_000_000


@job(BUILD)
def build_archive(task: Task) -> dict[str, Any]:
    """Write a file for each learner into a ZIP. Payload: `action`, `wish` (see names.Wish). Result: `key`, `files`,
    the files that could not be written, and the letters that PDFs could not show.

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
        done = _write(task, Renderer(draft), about["name"], spool, total, target, with_pdf=wish.with_pdf)
        target.seek(0)
        key = f"exports/{task.workflow_id}/{task.job_id}.zip"
        files.put(key, target, "application/zip")
    with database.scope() as session:
        audit.record(session, "archive_built", user_id=task.user_id, files=done.files, **about)
    return {
        "key": key, "files": done.files, "failed": done.failed[: names.MAX_LISTED], "failed_count": len(done.failed),
        "unseen": done.unseen[: names.MAX_LISTED], "unseen_count": len(done.unseen),
    }  # fmt: skip


@dataclass
class _Done:
    """What was written: how many files, those whose text gets too long, and PDFs with letters that no font has."""

    files: int = 0
    failed: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def _write(
    task: Task, renderer: Renderer, title: str, spool: IO[str], total: int, target: IO[bytes], *, with_pdf: bool
) -> _Done:  # fmt: skip
    done, writer = _Done(), Writer() if with_pdf else None
    every = PDFS_BETWEEN if writer else REPORT_EVERY
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as made:
        for number, line in enumerate(spool):
            if number % every == 0:
                task.report(5 + 90 * number // total, f"{number:,} of {total:,} learners")
            name, values, flags = json.loads(line)
            try:
                text = renderer.page(json.loads(values), json.loads(flags))
                made.writestr(name, PAGE.format(escape(title), text))
                done.files += 1
                if writer:
                    _write_pdf(made, names.pdf_name(name), writer.write(title, text), done)
            except errors.Invalid as error:
                done.failed.append(f"{name}: {error.message}")
            if target.tell() > MAX_BYTES:
                raise errors.Invalid(
                    "The files get too large for one ZIP. Make them for some of the learners at a time."
                )
    return done


def _write_pdf(made: zipfile.ZipFile, name: str, pdf: Made, done: _Done) -> None:
    made.writestr(name, pdf.body, zipfile.ZIP_STORED)  # most of a PDF is packed already
    done.files += 1
    if pdf.missing:
        done.unseen.append(f"{name}: {' '.join(sorted(pdf.missing)[:10])}")
