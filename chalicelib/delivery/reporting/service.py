"""Reports: check and confirm one, plan it, send one to oneself.

A report is a run with one message, which has several recipients. Its rows are frozen in the message when it is
planned, its files in the file store; the sender only puts them together.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock, database, errors, logs
from chalicelib.accounts.models import User
from chalicelib.actions.language import tables
from chalicelib.actions.language.syntax import Allowed
from chalicelib.actions.reports import rows
from chalicelib.aws import files as store
from chalicelib.delivery import attachments, checks, plan, service, snapshots, sources
from chalicelib.delivery.models import HELD, MAIL, NOBODY, RANKS, SCHEDULED, SKIPPED, Message, Run, Suppression
from chalicelib.delivery.order import MAX_COPIES, Sendable, bad_addresses, is_address
from chalicelib.delivery.render import Rendered, Renderer
from chalicelib.delivery.reporting import files
from chalicelib.delivery.reporting.files import File
from chalicelib.delivery.reporting.forms import ReportOrder
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings
from chalicelib.tables import queries as table_queries
from chalicelib.web.urls import absolute_url_for
from chalicelib.workflows.models import Workflow

#: A subject has room for attributes alone.
IN_SUBJECT = Allowed(per_learner=False)
#: What a mail adds to its files: base64 makes four bytes of three.
BASE64 = 4 / 3


@dataclass(frozen=True)
class Draft:
    """A report as it would be sent now: the mail, the number of learners it is about, its files and its size."""

    mail: Rendered
    learners: int
    files: list[File]

    @property
    def size(self) -> int:
        """The bytes of the mail, about."""
        return size_of(self.mail, self.files)


def size_of(mail: Rendered, attached: Sequence[File], others: int = 0) -> int:
    """Return the bytes of a mail with these files, about; `others` are bytes of more of them."""
    text = len(mail.html.encode()) + len(mail.text.encode())
    return int((text + sum(file.size for file in attached) + others) * BASE64)


def max_bytes() -> int:
    """Return how large a mail may be."""
    return settings().max_mail_mb * 1_000_000


def details(session: Session, action: Sendable, found: sources.Sources, time_zone: str) -> dict[str, Any]:
    """Return what a run of the report needs beside its text: its tables and files as they are described now.

    Raises errors.Invalid when a column or a view of it is gone, or its text can't be read.
    """
    sources.used(found, action.text, "html")
    described = {}
    for table in tables(action.text):
        columns = [found.columns[int(name[1:])] for name in table.columns]
        described[table.key] = {
            "names": [column.name for column in columns], "types": [column.type for column in columns],
        }  # fmt: skip
    attached = files.snapshot(session, action.id, action.workflow_id, found, time_zone)
    return {"tables": described, "files": attached}


def _text(session: Session, workflow: Workflow, action: Sendable, subject: str) -> sources.DraftText:
    if not action.text.strip():
        raise errors.Invalid("The report is empty. Write it first.")
    found = sources.read(session, workflow.id, action.id)
    about = details(session, action, found, workflow.time_zone)
    return sources.DraftText(found, subject, action.text, workflow.time_zone, about)


def draft(session: Session, workflow: Workflow, action: Sendable, subject: str = "") -> Draft:
    """Return the report as it would be sent now; `subject` is by ids.

    Raises errors.Invalid when it can't be written.
    """
    text = _text(session, workflow, action, subject)
    columns = table_queries.infos(session, workflow.id)
    found = rows.read(session, workflow.id, columns, tables(action.text), action.filter, workflow.time_zone)
    mail = Renderer(text).render(rows.frozen(found), {})
    learners = rows.count(session, workflow.id, columns, action.filter, workflow.time_zone)
    built = files.build(session, workflow.id, text.details["files"], action.filter, workflow.time_zone)
    return Draft(mail, learners, built)


def check(session: Session, found: sources.Sources, order: ReportOrder) -> None:
    """Check a form.

    Raises errors.Invalid with every field that is wrong.
    """
    problems: dict[str, str] = {}
    if not order.to:
        problems["to"] = "Type who gets the report."
    for name, addresses in (("to", order.to), ("cc", order.cc), ("bcc", order.bcc)):
        if bad := bad_addresses(addresses):
            problems[name] = "Not an e-mail address: " + ", ".join(bad)
        elif gone := _suppressed(session, addresses):
            problems[name] = f"Gets no more mail, because it bounced, complained or asked for none: {', '.join(gone)}"
    if order.cost - 1 > MAX_COPIES:
        problems.setdefault("to", f"A mail can have at most {MAX_COPIES + 1} recipients, copies included.")
    if len(order.from_name) > checks.MAX_NAME_LENGTH:
        problems["from_name"] = f"Use at most {checks.MAX_NAME_LENGTH} characters."
    if order.reply_to.strip() and not is_address(order.reply_to.strip()):
        problems["reply_to"] = "This is not an e-mail address."
    if order.due_at and order.due_at <= clock.now():
        problems["due_at"] = "Choose a time that is still to come."
    try:
        sources.subject_by_ids(found, order.subject, IN_SUBJECT)
    except errors.Invalid as error:
        problems |= error.fields
    if problems:
        raise errors.Invalid("Some fields need another look.", problems)


def _suppressed(session: Session, addresses: Sequence[str]) -> list[str]:
    wanted = [address.lower() for address in addresses]
    gone = set(session.scalars(sa.select(Suppression.address).where(Suppression.address.in_(wanted))))
    return [address for address in addresses if address.lower() in gone]


def confirm(session: Session, user_id: int, workflow: Workflow, action: Sendable, order: ReportOrder) -> Run:
    """Start the run: planned at once and held for the undo window, or scheduled for `order.due_at`.

    The form's token makes it safe to confirm twice. Raises errors.Invalid (fields named as in ReportOrder).
    """
    if known := service.confirmed(session, workflow.id, order.token):
        return known
    found = sources.read(session, workflow.id, action.id)
    check(session, found, order)
    subject = sources.subject_by_ids(found, order.subject, IN_SUBJECT)
    text = _text(session, workflow, action, subject)
    made = draft(session, workflow, action, subject)
    if not order.due_at:
        _check_draft(made, order)
    now = clock.now()
    run = Run(
        workflow_id=workflow.id, action_id=action.id, user_id=user_id, token=order.token or None, kind=action.kind,
        details=text.details | {"to": list(order.to), "send_empty": order.send_empty, "as_links": order.as_links},
        state=SCHEDULED if order.due_at else HELD, lane=MAIL, subject=subject, text=action.text, conditions=[],
        filter=action.filter, value_types=_types(found, text), attributes=text.attributes,
        time_zone=workflow.time_zone, to_column_id=0, from_name=" ".join(order.from_name.split()),
        reply_to=order.reply_to.strip(), cc=list(order.cc), bcc=list(order.bcc), cost=order.cost, track_opens=False,
        track_clicks=False, skip_rows=[], leave_out_duplicates=False, due_at=order.due_at,
        release_at=order.due_at or now + timedelta(seconds=settings().undo_seconds), created_at=now,
        correlation_id=logs.correlation_id(), attached=list(order.attached), wants_snapshot=order.wants_snapshot,
        schedule_id=order.schedule_id,
    )  # fmt: skip
    started = service.start(session, action, run, defaults_of(run))
    if order.as_links and started is run:
        _add_links(run)
    return started


def _check_draft(made: Draft, order: ReportOrder) -> None:
    if not made.learners and not order.send_empty:
        message = "The report is about nobody: its filter lets no learner through."
        raise checks.Nobody(message, {"send_empty": f"{message} Tick this to send it anyway."})
    size = size_of(made.mail, [] if order.as_links else made.files, attachments.total(order.attached))
    if size > max_bytes():
        raise errors.Invalid(too_large(size), {"as_links": "Tick this: the files stay here, and the mail leads there."})


def too_large(size: int) -> str:
    """Say that a mail is too large."""
    return f"The mail would have {size / 1e6:,.1f} MB; most providers take {settings().max_mail_mb} MB at most."


def _types(found: sources.Sources, text: sources.DraftText) -> dict[str, Any]:
    """Return the types of all columns that the report needs: of its tables and of its files."""
    of_files = {key for file in text.details["files"] for key in file["columns"]}
    return text.value_types | {f"c{key}": found.columns[key].type for key in sorted(of_files)}


def _add_links(run: Run) -> None:
    """Note where each file can be had: on the page of the run, which has its number by now."""
    linked = [
        one
        | {
            "url": absolute_url_for("delivery.show_run", workflow_id=run.workflow_id, run_id=run.id, file=number),
            "label": name,
        }
        for number, (one, name) in enumerate(
            zip(run.details["files"], files.names(run.details["files"]), strict=True), 1
        )
    ]
    run.details = run.details | {"files": linked}


def defaults_of(run: Run) -> dict[str, Any]:
    """Return what the next send form of this report starts with; the subject by ids."""
    return {
        "to": run.details["to"], "subject": run.subject, "from_name": run.from_name, "reply_to": run.reply_to,
        "cc": run.cc, "bcc": run.bcc, "send_empty": run.details["send_empty"], "as_links": run.details["as_links"],
        "wants_snapshot": run.wants_snapshot,
    }  # fmt: skip


@dataclass(frozen=True)
class _Frozen:
    """What a report consists of at one moment."""

    rows: dict[str, Any]
    learners: int
    files: list[File]


def plan_run(run_id: int) -> int | None:
    """Freeze the rows and files of a report and write its message, held; return 1, or 0 when there is nobody.

    None when the run was undone, or is planned already: doing it twice makes nothing twice, and the files are stored
    before the message that needs them. Raises errors.Invalid when a column is gone or the mail gets too large.
    """
    with database.scope(statement_timeout_seconds=plan.TIMEOUT_SECONDS) as session:
        run = session.get(Run, run_id)
        if run is None or not _can_be_planned(run):
            return None
        wanted, as_links = run.details["files"], run.details["as_links"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snapshot.zip"
        with database.scope(statement_timeout_seconds=plan.TIMEOUT_SECONDS) as session:
            frozen = _freeze(session, run)
            mail = Renderer(run).render(frozen.rows, {})
            if run.wants_snapshot:
                snapshots.write(session, run, path)
        size = size_of(mail, [] if as_links else frozen.files, attachments.total(run.attached))
        if size > max_bytes():
            raise errors.Invalid(f"{too_large(size)} Send links to its files instead.")
        for number, file in enumerate(frozen.files, 1):
            file.body.seek(0)
            store.put(files.key(run_id, number), file.body, file.content_type)
        snapshot_size = snapshots.keep(run_id, path) if run.wants_snapshot else None
    with database.scope() as session:
        return _write(session, run_id, frozen, len(wanted), snapshot_size)


def _can_be_planned(run: Run) -> bool:
    return run.state in {HELD, SCHEDULED} and run.planned_at is None


def _freeze(session: Session, run: Run) -> _Frozen:
    snapshots.at_one_moment(session)  # rows and files tell the same
    columns = table_queries.infos(session, run.workflow_id)
    if not plan.needed(run) <= {0, *columns}:
        raise errors.Invalid("A column that this report needs was deleted, so nobody gets it.")
    found = rows.read(session, run.workflow_id, columns, tables(run.text), run.filter, run.time_zone)
    learners = rows.count(session, run.workflow_id, columns, run.filter, run.time_zone)
    built = files.build(session, run.workflow_id, run.details["files"], run.filter, run.time_zone)
    return _Frozen(rows.frozen(found), learners, built)


def _write(
    session: Session, run_id: int, frozen: _Frozen, count: int, snapshot_size: int | None
) -> int | None:  # fmt: skip
    run = session.scalar(sa.select(Run).where(Run.id == run_id).with_for_update())
    if run is None or not _can_be_planned(run):
        return None
    assert len(frozen.files) == count, "the order of a run does not change"
    sends = bool(frozen.learners) or run.details["send_empty"]
    state = HELD if sends else SKIPPED
    session.add(
        Message(
            run_id=run.id, lane=run.lane, row_id=0, recipient=run.details["to"][0], values=frozen.rows, flags={},
            state=state, rank=RANKS[state], reason="" if sends else NOBODY, cost=run.cost,
            ended_at=None if sends else clock.now(),
        )
    )  # fmt: skip
    run.snapshot_size = snapshot_size
    return plan.ready(session, run, int(sends))


def link(run: Run, number: int) -> str:
    """Return a presigned address of a file of the run.

    Raises errors.NotFound when there is no such file, or it is not stored yet.
    """
    wanted = run.details.get("files", [])
    if run.planned_at is None or not 1 <= number <= len(wanted):
        raise errors.NotFound
    return store.download_link(files.key(run.id, number), files.names(wanted)[number - 1])


def send_test(session: Session, user: User, workflow: Workflow, action: Sendable, subject: str) -> int:
    """Send the report as it is now to the user's own address; return the id of the job that does it.

    Without a subject the mail has the report's name. Raises errors.Invalid when it can't be written or is too large.
    """
    found = sources.read(session, workflow.id, action.id)
    stored = sources.as_subject(action.name)
    if subject.strip():
        stored = sources.subject_by_ids(found, subject, IN_SUBJECT)
    if (size := draft(session, workflow, action, stored).size) > max_bytes():
        raise errors.Invalid(too_large(size))
    payload = {"action": action.id, "subject": f"[Test] {stored}", "to": user.email, "is_report": True}
    return schedules.enqueue(session, service.TEST, payload, workflow_id=workflow.id, user_id=user.id).id
