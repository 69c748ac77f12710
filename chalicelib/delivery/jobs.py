"""Delivery's long work: planning a run, a test mail, judging messages in doubt."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from markupsafe import escape
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from chalicelib import database, errors, logs
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import service as actions
from chalicelib.actions.kinds import Kind
from chalicelib.audit import service as audit
from chalicelib.aws.mailer import Closed, InDoubt, NotSent, Refused
from chalicelib.delivery import doubt, notes, plan, service, snapshots, sources, throttle
from chalicelib.delivery.audience import Audience, rows
from chalicelib.delivery.carriers import Carrier, carrier
from chalicelib.delivery.compose import Attached, Head, compose
from chalicelib.delivery.models import FAILED, MAIL, Run
from chalicelib.delivery.push import service as pushing
from chalicelib.delivery.render import Rendered, Renderer
from chalicelib.delivery.reporting import service as reporting
from chalicelib.delivery.smtp import Later
from chalicelib.schedules import doing
from chalicelib.schedules import service as schedules
from chalicelib.schedules.jobs import Task, job
from chalicelib.schedules.operations import Outcome
from chalicelib.tables import store
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

RESOLVE = "delivery.resolve"


def _looked_at(run_id: int) -> tuple[str, bool]:
    """Return the kind of a run's action and whether a snapshot is kept with it; nothing when the run is gone.

    Raises errors.Invalid when whoever started it may not send in its workflow any more.
    """
    with database.scope() as session:
        run = session.get(Run, run_id)
        if run is None:
            return "", False
        if not _may_send(session, run):
            raise errors.Invalid("Whoever started this may not send in this workflow any more.")
        return run.kind, run.wants_snapshot


def _may_send(session: Session, run: Run) -> bool:
    user = session.get(User, run.user_id) if run.user_id is not None else None
    if user is None or not user.is_active:
        return False
    try:
        workflows.get_with_role(session, user.id, run.workflow_id, WorkflowRole.SENDER)
    except (errors.NotFound, errors.Forbidden):
        return False
    return True


def give_up(session: Session, payload: dict[str, Any]) -> None:
    """End a run whose planning is not tried any more."""
    run_id, reason = int(payload["run"]), "Planning this run failed again and again. Please start a new one."
    service.fail(session, run_id, reason)
    doing.run_ended(session, run_id, Outcome(FAILED, reason))


@job(service.PLAN, given_up=give_up)
def plan_run(task: Task) -> dict[str, Any]:
    """Write the run's messages; a run that can't be planned ends as failed, with the reason."""
    run_id = int(task.payload["run"])
    try:
        return {"planned": _plan(run_id)}
    except errors.Unavailable:
        raise
    except (errors.AppError, ProgrammingError) as error:
        # ProgrammingError: a column that the message uses is not in the table any more.
        reason = "The table changed: a column that this message needs is gone."
        reason = error.message if isinstance(error, errors.AppError) else reason
        _fail(run_id, reason)
        raise errors.Invalid(reason) from error
    except Exception:
        if task.attempts >= schedules.MAX_ATTEMPTS:
            with database.scope() as session:
                give_up(session, task.payload)
        raise


def _plan(run_id: int) -> int | None:
    kind, wants_snapshot = _looked_at(run_id)
    if kind == Kind.REPORT:
        return reporting.plan_run(run_id)
    fill = pushing.fill_report if kind == Kind.JSON_REPORT else plan.fill
    store.in_bulk(lambda session: service.make_opens_column(session, run_id))
    if wants_snapshot:
        return snapshots.plan_run(run_id, fill)
    with database.scope(statement_timeout_seconds=plan.TIMEOUT_SECONDS) as session:
        run = plan.unplanned(session, run_id)
        return plan.ready(session, run, fill(session, run)) if run is not None else None


def _fail(run_id: int, reason: str) -> None:
    with database.scope() as session:
        service.fail(session, run_id, reason)
        doing.run_ended(session, run_id, Outcome(FAILED, reason))


@job(service.TEST)
def send_test(task: Task) -> dict[str, Any]:
    """Send one learner's version of a message to the person who asked for it."""
    return deliver_test(task, carrier())


def deliver_test(task: Task, mailer: Carrier, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """Do it with the given mailer. A test whose fate is unknown is not sent again.

    Raises errors.Unavailable when it was not sent, errors.Invalid when it never will be.
    """
    files: list[Attached] = []
    with database.scope() as session:
        if task.payload.get("is_report"):
            mail, files = _test_report(session, task)
        else:
            mail = _test_mail(session, task)
    return hand_over(mail, str(task.payload["to"]), mailer, sleep, files)


def _test_report(session: Session, task: Task) -> tuple[Rendered, list[Attached]]:
    workflow = session.get_one(Workflow, task.workflow_id)
    action = actions.get(session, workflow.id, int(task.payload["action"]))
    draft = reporting.draft(session, workflow, action, str(task.payload["subject"]))
    return draft.mail, [file.attached() for file in draft.files]


@job(notes.NOTE)
def send_note(task: Task) -> dict[str, Any]:
    """Send a single mail of plain text. Payload: `to`, `subject`, `text`."""
    return deliver_note(task, carrier())


def deliver_note(task: Task, mailer: Carrier, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """Do it with the given mailer; raises as `deliver_test` does."""
    text = str(task.payload["text"])
    shown = f'<p style="white-space:pre-line">{escape(text)}</p>'
    subject, to = str(task.payload["subject"]), str(task.payload["to"])
    result = hand_over(Rendered(subject, shown, text), to, mailer, sleep)
    with database.scope() as session:
        audit.record(session, "notification_sent", workflow_id=task.workflow_id, subject=subject, to=to)
    return result


def hand_over(
    mail: Rendered, to: str, mailer: Carrier, sleep: Callable[[float], None], files: Sequence[Attached] = (),
    head: Head | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Send one mail that belongs to no run, urgently; tell if nobody knows whether it left.

    Raises errors.Unavailable when it was not sent, errors.Invalid when it never will be.
    """
    with database.scope() as session:
        throttle.ensure(session, MAIL)
        slot = throttle.reserve(session, MAIL, [1], urgent=True)
    if not isinstance(slot, throttle.Grant):
        raise errors.Unavailable("Other mails are leaving just now. This one follows in a minute.")
    sleep(max(0.0, slot.seconds_until_first()))
    letter = compose(head or Head(correlation_id=logs.correlation_id()), mail, to, None, files)
    try:
        mailer.send(letter.envelope, letter.raw, mailer.configuration_set, {})
    except (NotSent, Later) as error:
        raise errors.Unavailable("The mail service was busy. It is tried again in a minute.") from error
    except (Refused, Closed) as error:
        raise errors.Invalid(f"The mail service refused it: {error.reason}") from error
    except InDoubt:
        return {"to": to, "in_doubt": True}
    finally:
        mailer.close()
    return {"to": to}


def _test_mail(session: Session, task: Task) -> Rendered:
    payload, workflow_id = task.payload, task.workflow_id
    assert workflow_id is not None
    found = sources.read(session, workflow_id, int(payload["action"]))
    if not found.columns:
        raise errors.Invalid("There is no table any more.")
    text = sources.DraftText(found, payload["subject"], payload["text"], payload["time_zone"], payload.get("details"))
    audience = Audience(
        workflow_id=workflow_id, to_column_id=min(found.columns), columns=found.columns, values=text.value_ids,
        conditions=text.conditions, leave_out_duplicates=False, only_rows=[int(payload["row"])],
        time_zone=payload["time_zone"],
    )  # fmt: skip
    chosen = rows(audience)
    row = session.execute(sa.select(chosen.c["values"], chosen.c.flags)).one_or_none()
    if row is None:
        raise errors.Invalid("This learner is not in the table any more.")
    return Renderer(text).render(*row)


@job(RESOLVE)
def judge_doubtful(task: Task) -> dict[str, Any]:
    """Judge the messages in doubt whose deadline is over."""
    doubt.resolve(str(task.payload["lane"]), carrier())
    return {}
