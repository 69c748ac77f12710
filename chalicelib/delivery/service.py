"""Runs: confirm, undo, pause, resume, cancel, send again. Rows only; the senders look at them when they are woken."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from chalicelib import clock, errors, logs
from chalicelib.accounts.models import User
from chalicelib.actions.kinds import SWITCHED_OFF, offered
from chalicelib.audit import service as audit
from chalicelib.delivery import checks, details, plan, sources, throttle, wakeups
from chalicelib.delivery.models import (
    BY_LANE,
    BY_USER,
    CANCELLED,
    DONE,
    FAILED,
    HELD,
    MAIL,
    PAUSED,
    QUEUED,
    RANKS,
    RUNNING,
    SCHEDULED,
    UNKNOWN,
    WAITING,
    Lane,
    Message,
    Run,
    wants_none,
)  # fmt: skip
from chalicelib.delivery.order import Sendable, SendOrder
from chalicelib.delivery.render import Renderer
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings
from chalicelib.tables import service as tables
from chalicelib.workflows.models import Workflow

PLAN, TEST = "delivery.plan", "delivery.test"
#: So many messages are written within the request, in about a second; the rows of larger runs are read by a job.
PLANNED_AT_ONCE = 10_000
NOTHING_WRITTEN = "The message is empty. Write it first."


def confirm(session: Session, user_id: int, workflow: Workflow, action: Sendable, order: SendOrder) -> Run:
    """Start a run: planned at once and held for the undo window, or scheduled for `order.due_at`.

    The form's token makes it safe to confirm twice. Raises errors.Invalid (fields named as in SendOrder).
    """
    if known := confirmed(session, workflow.id, order.token):
        return known
    found = sources.read(session, workflow.id, action.id)
    checks.check(found, order)
    subject = sources.subject_by_ids(found, order.subject)
    if not action.text.strip():
        raise errors.Invalid(NOTHING_WRITTEN)
    draft = sources.DraftText(found, subject, action.text, workflow.time_zone, details.of(session, action, found))
    Renderer(draft)  # says now what could not be written later
    count = checks.audience(session, workflow, found, action, order, draft)
    now = clock.now()
    run = Run(
        workflow_id=workflow.id, action_id=action.id, user_id=user_id, token=order.token or None, kind=action.kind,
        details=draft.details,
        state=SCHEDULED if order.due_at else HELD, lane=MAIL, subject=subject, text=action.text,
        conditions=draft.conditions, filter=action.filter, value_types=draft.value_types,
        attributes=draft.attributes, time_zone=workflow.time_zone, to_column_id=order.to_column_id,
        from_name=" ".join(order.from_name.split()), reply_to=order.reply_to.strip(), cc=list(order.cc),
        bcc=list(order.bcc), cost=order.cost,
        track_opens=order.track_opens and settings().count_opens,
        track_clicks=order.track_clicks and settings().count_clicks, skip_rows=list(order.skip_rows),
        leave_out_duplicates=order.leave_out_duplicates, needs_opens_column=order.opens_column == checks.NEW,
        opens_column_id=int(order.opens_column) if order.opens_column.isdigit() else None, due_at=order.due_at,
        release_at=order.due_at or now + timedelta(seconds=settings().undo_seconds), created_at=now,
        correlation_id=logs.correlation_id(), schedule_id=order.schedule_id, only_new=order.only_new,
        left_out=list(order.left_out), copies=order.copies, attached=list(order.attached),
        wants_snapshot=order.wants_snapshot,
    )  # fmt: skip
    return start(session, action, run, defaults_of(run, order), count)


def start(session: Session, action: Sendable, run: Run, defaults: dict[str, Any], count: int | None = None) -> Run:
    """Add a run that was checked, ask for its planning, and remember the choices; the same form twice is one run.

    One of few messages (`count`) is planned here and now, so that no edit comes between.

    Raises errors.Invalid when actions of its kind are switched off.
    """
    if action.kind not in offered():
        raise errors.Invalid(SWITCHED_OFF)
    try:
        with session.begin_nested():
            session.add(run)
    except IntegrityError:  # the same form, sent twice at the same moment
        if known := confirmed(session, run.workflow_id, run.token or ""):
            return known
        raise
    throttle.ensure(session, run.lane)
    schedules.enqueue(
        session, PLAN, {"run": run.id}, workflow_id=run.workflow_id, user_id=run.user_id, due_at=run.due_at
    )  # fmt: skip
    if (
        count is not None
        and count <= PLANNED_AT_ONCE
        and not (run.due_at or run.needs_opens_column or run.wants_snapshot)
    ):
        session.flush()
        plan.plan(session, run.id)
    action.send_defaults = defaults
    audit.record(
        session, "run_confirmed", workflow_id=run.workflow_id, user_id=run.user_id, action_id=action.id, run_id=run.id,
        name=action.name, due_at=run.due_at.isoformat() if run.due_at else None, kind=run.kind, subject=run.subject,
        to_column_id=run.to_column_id, counter_id=run.opens_column_id, from_name=run.from_name, copies=run.cost - 1,
        track_opens=run.track_opens, track_clicks=run.track_clicks, excluded=len(run.skip_rows),
        leave_out_duplicates=run.leave_out_duplicates,
    )  # fmt: skip
    return run


def defaults_of(run: Run, order: SendOrder) -> dict[str, Any]:
    """Return what the next send form of this action starts with; the subject by ids."""
    return {
        "to_column_id": run.to_column_id, "subject": run.subject, "from_name": run.from_name,
        "reply_to": run.reply_to, "cc": run.cc, "bcc": run.bcc, "track_opens": run.track_opens,
        "track_clicks": run.track_clicks, "opens_column": order.opens_column,
        "leave_out_duplicates": order.leave_out_duplicates, "exclude": order.exclude, "also": list(order.also),
        "copies": order.copies, "wants_snapshot": order.wants_snapshot,
    }  # fmt: skip


def confirmed(session: Session, workflow_id: int, token: str) -> Run | None:
    """Return the run that the form with this token has made; None when it has made none."""
    if not token:
        return None
    return session.scalar(select(Run).where(Run.workflow_id == workflow_id, Run.token == token))


def undo(session: Session, user_id: int, run: Run) -> None:
    """Take a run back before anything is sent.

    Raises errors.Conflict when the undo window is over.
    """
    _lock(session, run)
    if run.state == CANCELLED and run.started_at is None:
        return  # the button was pressed twice
    if run.state not in {HELD, SCHEDULED}:
        raise errors.Conflict("This run has started; undo is no longer possible. You can still cancel the rest.")
    _cancel(session, run)
    _record(session, "run_undone", user_id, run)


def scheduled(session: Session, workflow_id: int) -> list[Run]:
    """Return the workflow's runs that have not begun yet, locked."""
    waiting = Run.state.in_([HELD, SCHEDULED])
    return list(session.scalars(select(Run).where(Run.workflow_id == workflow_id, waiting).with_for_update()))


def pause(session: Session, user_id: int, run: Run) -> None:
    """Stop sending until `resume`; mails already handed over stay sent.

    Raises errors.Conflict when the run is not under way.
    """
    _lock(session, run)
    if run.state != RUNNING:
        raise errors.Conflict(f"Only a run that is under way can be paused; this one is {run.state}.")
    run.state, run.paused_by, run.pause_reason = PAUSED, BY_USER, ""
    _record(session, "run_paused", user_id, run)


def resume(session: Session, user_id: int, run: Run) -> None:
    """Go on after a pause. When the mail service had refused everything, this tries it again.

    Raises errors.Conflict when the run is not paused.
    """
    _lock(session, run)
    if run.state != PAUSED:
        raise errors.Conflict(f"Only a paused run can be resumed; this one is {run.state}.")
    run.state, run.paused_by, run.pause_reason = RUNNING, "", ""
    open_lane(session, run.lane)
    wakeups.wake(session, run.lane)
    _record(session, "run_resumed", user_id, run)


def cancel(session: Session, user_id: int, run: Run) -> None:
    """Send none of the messages that are still waiting.

    Raises errors.Conflict when the run has ended.
    """
    _lock(session, run)
    if run.state not in {SCHEDULED, HELD, RUNNING, PAUSED}:
        raise errors.Conflict("This run has ended; there is nothing left to cancel.")
    _cancel(session, run)
    _record(session, "run_cancelled", user_id, run)


def _cancel(session: Session, run: Run) -> None:
    now = clock.now()
    waiting = (Message.run_id == run.id) & Message.state.in_([HELD, QUEUED, WAITING])
    session.execute(
        update(Message).where(waiting).values(state=CANCELLED, rank=RANKS[CANCELLED], ended_at=now),
        execution_options={"synchronize_session": False},
    )
    run.state, run.ended_at, run.paused_by, run.pause_reason = CANCELLED, now, "", ""
    if run.schedule_id is not None:
        wakeups.run_ended(session, run.id, run.workflow_id)


def make_opens_column(session: Session, run_id: int) -> None:
    """Make the column that counts the opens if the run wants a new one; later runs of the action use it again.

    It changes the table's shape: call it inside `tables.store.in_bulk`.
    """
    run = session.scalar(select(Run).where(Run.id == run_id, Run.needs_opens_column).with_for_update())
    if run is None:
        return
    name = sources.action_name(session, run.action_id)
    description = f"How often the mail “{name}” of {run.created_at:%Y-%m-%d} was opened."
    run.opens_column_id = tables.add_counter(session, run.workflow_id, sources.OPENS_PREFIX, description)
    run.needs_opens_column = False
    sources.remember(session, run.action_id, {"opens_column": str(run.opens_column_id)})


def fail(session: Session, run_id: int, reason: str) -> None:
    """End a run that can't be planned."""
    run = session.scalar(select(Run).where(Run.id == run_id, Run.planned_at.is_(None)).with_for_update())
    if run is None or run.state not in {HELD, SCHEDULED}:
        return
    run.state, run.pause_reason, run.ended_at = FAILED, reason, clock.now()
    audit.record(
        session, "run_failed", workflow_id=run.workflow_id, action_id=run.action_id, run_id=run.id, reason=reason
    )  # fmt: skip


def refuse(
    session: Session, user_id: int, workflow: Workflow, action: Sendable, token: str, schedule_id: int, reason: str
) -> Run:  # fmt: skip
    """Add a run that failed before it began, so that there is a record of it."""
    now = clock.now()
    run = Run(
        workflow_id=workflow.id, action_id=action.id, user_id=user_id, token=token, kind=action.kind, state=FAILED,
        subject="", text=action.text, filter=action.filter, time_zone=workflow.time_zone, to_column_id=0,
        pause_reason=reason, created_at=now, ended_at=now, correlation_id=logs.correlation_id(),
        schedule_id=schedule_id,
    )  # fmt: skip
    session.add(run)
    session.flush()
    audit.record(
        session, "run_failed", workflow_id=run.workflow_id, user_id=user_id, action_id=run.action_id, run_id=run.id,
        reason=reason,
    )  # fmt: skip
    return run


def retry_failed(session: Session, user_id: int, run: Run) -> int:
    """Queue the messages that SES refused once more; return how many. Addresses that want no mail are left out.

    Raises errors.Conflict when the run was cancelled or none failed.
    """
    count = _again(session, run, Message.state == FAILED)
    if not count:
        raise errors.Conflict("No message of this run failed.")
    _record(session, "run_retried", user_id, run, count=count)
    return count


def send_again(session: Session, user_id: int, message: Message) -> None:
    """Send a message once more of which nobody knows whether it arrived.

    Raises errors.Conflict when that is known, or the run was cancelled.
    """
    run = session.get_one(Run, message.run_id)
    if not _again(session, run, (Message.id == message.id) & (Message.state == UNKNOWN)):
        raise errors.Conflict("It is known by now what became of this mail, or its address gets no more mail.")
    _record(session, "message_sent_again", user_id, run, message_id=message.id)


def _again(session: Session, run: Run, which: ColumnElement[bool]) -> int:
    _lock(session, run)
    if run.state == CANCELLED:
        raise errors.Conflict("This run was cancelled. Start a new one.")
    unwanted = wants_none(Message.recipient, run.workflow_id)
    changed = session.execute(
        update(Message)
        .where(Message.run_id == run.id, which, (Message.lane != MAIL) | ~unwanted)
        .values(
            state=QUEUED, rank=RANKS[QUEUED], attempts=0, reason="", ended_at=None, in_doubt_at=None,
            lease_until=None, retry_at=None,
        ),
        execution_options={"synchronize_session": False},
    )  # fmt: skip
    count = int(changed.rowcount)  # type: ignore[attr-defined]
    if count and run.state in {DONE, FAILED}:
        reason = throttle.look_closely(session, run.lane)[1]  # why the lane takes nothing
        run.state, run.ended_at = (PAUSED if reason else RUNNING), None
        run.paused_by, run.pause_reason = (BY_LANE if reason else ""), reason
    if count:
        wakeups.wake(session, run.lane)
    return count


def send_test(session: Session, user: User, workflow: Workflow, action: Sendable, row_id: int, subject: str) -> int:
    """Send one learner's version to the user's own address; return the id of the job that does it.

    Without a subject the mail has the message's name. Raises errors.Invalid when the text or the subject can't be used.
    """
    if not action.text.strip():
        raise errors.Invalid(NOTHING_WRITTEN)
    found = sources.read(session, workflow.id, action.id)
    stored = sources.subject_by_ids(found, subject) if subject.strip() else sources.as_subject(action.name)
    own = details.of(session, action, found)
    sources.DraftText(found, stored, action.text, workflow.time_zone, own)
    payload = {
        "action": action.id, "row": row_id, "subject": f"[Test] {stored}", "text": action.text, "to": user.email,
        "time_zone": workflow.time_zone, "details": own,
    }  # fmt: skip
    audit.record(
        session, "test_sent", workflow_id=workflow.id, user_id=user.id, action_id=action.id, name=action.name,
        row_id=row_id,
    )  # fmt: skip
    return schedules.enqueue(session, TEST, payload, workflow_id=workflow.id, user_id=user.id).id


def open_lane(session: Session, lane: str) -> None:
    """Let a closed lane try again; runs it had paused stay paused until each is resumed."""
    values = {"is_closed": False, "closed_until": None, "closed_reason": ""}
    session.execute(update(Lane).where(Lane.name == lane, Lane.is_closed).values(values))


def _lock(session: Session, run: Run) -> None:
    session.refresh(run, with_for_update=True)


def _record(session: Session, event_type: str, user_id: int, run: Run, **detail: Any) -> None:
    audit.record(
        session, event_type, workflow_id=run.workflow_id, user_id=user_id, action_id=run.action_id, run_id=run.id,
        **detail,
    )  # fmt: skip
