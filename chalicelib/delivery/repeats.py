"""Sendings that repeat: from a send form to a schedule, and from each of its moments to a run."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from chalicelib import database, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import service as actions
from chalicelib.delivery import notes, service, sources
from chalicelib.delivery.models import ENDED, Run
from chalicelib.delivery.order import Sendable, SendOrder
from chalicelib.schedules import plans
from chalicelib.schedules.jobs import Task, job
from chalicelib.schedules.service import GIVEN_UP
from chalicelib.web.urls import absolute_url_for
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

REPEAT = "delivery.repeat"
#: What of an order belongs to one sending, not to each of them.
_ONCE = {"due_at", "token", "schedule_id", "expected", "typed", "exclude", "also", "wants_snapshot"}


def create(
    session: Session, user_id: int, workflow: Workflow, action: Sendable, order: SendOrder, wish: plans.Wish
) -> plans.Schedule:  # fmt: skip
    """Have the message sent again and again as the order says.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    found = sources.read(session, workflow.id, action.id)
    problems: dict[str, str] = {}
    try:
        service.check(found, order)
    except errors.Invalid as error:
        problems = error.fields
    if not action.text.strip():
        raise errors.Invalid(service.NOTHING_WRITTEN)
    if problems:
        raise errors.Invalid("Some fields need another look.", problems)
    # Nobody is there to decide about a bad address each time.
    stored = asdict(replace(order, subject=sources.subject_by_ids(found, order.subject), leave_out_bad=True))
    payload = {name: value for name, value in stored.items() if name not in _ONCE}
    return plans.create(
        session, user_id, workflow_id=workflow.id, action_id=action.id, kind=REPEAT, payload=payload, wish=wish
    )  # fmt: skip


def order_of(found: sources.Sources, schedule: plans.Schedule, due_at: datetime) -> SendOrder:
    """Return the order of one moment; it is the same run however often somebody asks for it."""
    kept: dict[str, Any] = {**schedule.payload, "subject": sources.subject_by_names(found, schedule.payload["subject"])}
    for name in ("cc", "bcc", "skip_rows", "left_out", "attached"):
        kept[name] = tuple(kept.get(name, ()))
    return SendOrder(**kept, token=f"schedule {schedule.id} {due_at.isoformat()}", schedule_id=schedule.id)


def give_up(session: Session, payload: dict[str, Any]) -> None:
    """Note that a moment's run is not begun any more: who was to begin it has died again and again."""
    opened = plans.open_occurrence(session, int(payload["occurrence"]))
    if opened is not None and plans.close(session, *opened, plans.FAILED, GIVEN_UP):
        _tell(session, opened[1], opened[0])


@job(REPEAT, given_up=give_up)
def begin(task: Task) -> dict[str, Any]:
    """Begin the run of one moment. Payload: `occurrence`. Doing it twice begins nothing twice."""
    with database.scope() as session:
        opened = plans.open_occurrence(session, int(task.payload["occurrence"]))
        if opened is None:
            return {}
        occurrence, schedule = opened
        state, message, run_id = _begin(session, occurrence, schedule)
        if plans.close(session, occurrence, schedule, state, message, run_id):
            _tell(session, schedule, occurrence)
    return {"run": run_id, "message": message}


def failed(session: Session, run_id: int, reason: str) -> None:
    """Note that a run could not be planned, if a schedule has begun it: its moment has failed after all."""
    found = plans.of_run(session, run_id)
    if found is not None and plans.close(session, *found, plans.FAILED, reason, run_id):
        _tell(session, found[1], found[0])


def _begin(session: Session, occurrence: plans.Occurrence, schedule: plans.Schedule) -> tuple[str, str, int | None]:
    """Return the state of the occurrence, why it is so, and its run."""
    if _is_under_way(session, schedule.id):
        return plans.SKIPPED, "The sending before it is still under way.", None
    try:
        workflow, action = _allowed(session, schedule)
        found = sources.read(session, workflow.id, action.id)
        # What is refused leaves nothing behind.
        with session.begin_nested():
            run = service.confirm(
                session, schedule.user_id or 0, workflow, action, order_of(found, schedule, occurrence.due_at)
            )  # fmt: skip
    except service.Nobody:
        return plans.DONE, "There was nobody to send it to.", None
    except errors.Invalid as error:
        return (
            plans.FAILED,
            " ".join([error.message, *(text for text in error.fields.values() if text != error.message)]),
            None,
        )
    except (errors.NotFound, errors.Forbidden):
        schedule.state, schedule.next_at = plans.BLOCKED, None
        schedule.problem = "Whoever made it may not send here any more, or the message is gone."
        return plans.FAILED, schedule.problem, None
    return plans.DONE, "", run.id


def _allowed(session: Session, schedule: plans.Schedule) -> tuple[Workflow, Sendable]:
    workflow, _ = workflows.get_with_role(
        session, schedule.user_id or 0, schedule.workflow_id, WorkflowRole.SENDER
    )  # fmt: skip
    return workflow, actions.get(session, schedule.workflow_id, schedule.action_id)


def _is_under_way(session: Session, schedule_id: int) -> bool:
    query = "SELECT EXISTS (SELECT FROM ontask.run WHERE schedule_id = :id AND state <> ALL(:ended))"
    return bool(session.scalar(text(query), {"id": schedule_id, "ended": list(ENDED)}))


def _tell(session: Session, schedule: plans.Schedule, occurrence: plans.Occurrence) -> None:
    to = session.scalar(text('SELECT email FROM ontask."user" WHERE id = :id'), {"id": schedule.user_id})
    if to is None:
        return
    when = occurrence.due_at.astimezone(ZoneInfo(schedule.time_zone))
    page = absolute_url_for("delivery.show_schedule", workflow_id=schedule.workflow_id, schedule_id=schedule.id)
    what = {
        plans.DONE: occurrence.message or "It is being sent.",
        plans.SKIPPED: f"It was left out. {occurrence.message}",
        plans.FAILED: f"It could not be sent. {occurrence.message}",
    }[occurrence.state]
    rest = "\n\nIt rests until you switch it on again." if schedule.state == plans.BLOCKED else ""
    notes.send(
        session, schedule.workflow_id, to, f"{schedule.name}: {when:%d %B, %H:%M}", f"{what}{rest}\n\n{page}"
    )  # fmt: skip


def runs_of(session: Session, schedule_id: int) -> dict[int, Run]:
    """Return the schedule's runs by id."""
    return {run.id: run for run in session.scalars(select(Run).where(Run.schedule_id == schedule_id))}
