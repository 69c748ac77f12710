"""What happens at a schedule's moment: its operation is begun, followed to its end, and its owner told."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import database, errors
from chalicelib.audit import origins
from chalicelib.delivery import notes
from chalicelib.schedules import occurrences, operations, plans
from chalicelib.schedules.jobs import Task, job
from chalicelib.schedules.models import DONE, FAILED, RUNNING, SKIPPED, Occurrence, Schedule
from chalicelib.schedules.operations import Doing, Outcome
from chalicelib.schedules.service import GIVEN_UP
from chalicelib.web.urls import absolute_url_for
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

UNDER_WAY = "The one before it is still under way."
NOT_ALLOWED = "Whoever made it may not do this here any more, or what it needs is gone."


def give_up(session: Session, payload: dict[str, Any]) -> None:
    """Note that a moment is not begun any more: who was to begin it has died again and again."""
    opened = occurrences.open_one(session, int(payload["occurrence"]))
    if opened is not None:
        _settle(session, *opened, Outcome(FAILED, GIVEN_UP))


@job("delivery.repeat", given_up=give_up)  # what the release before has queued
@job(occurrences.BEGIN, given_up=give_up)
def begin(task: Task) -> dict[str, Any]:
    """Begin what is due at one moment, or its next step. Payload: `occurrence`. Twice begins nothing twice."""
    with database.scope() as session:
        opened = occurrences.open_one(session, int(task.payload["occurrence"]))
        if opened is None:
            return {}
        with origins.through(origins.SCHEDULER):
            outcome = _begin(session, *opened)
        _settle(session, *opened, outcome)
    return {"run": outcome.run_id, "message": outcome.message}


def run_ended(session: Session, run_id: int, outcome: Outcome | None = None) -> None:
    """Write down that a run has ended, if a schedule has begun it: its operation or `outcome` says how."""
    found = occurrences.of_run(session, run_id)
    if found is None or found[0].state != RUNNING:
        return
    occurrence, schedule = found
    stage = operations.stages(schedule)[occurrence.step]
    ended = operations.find(stage.kind).ended
    assert ended is not None, "what begins runs says how they ended"
    _settle(session, occurrence, schedule, outcome or ended(session, run_id))


def _begin(session: Session, occurrence: Occurrence, schedule: Schedule) -> Outcome:
    if occurrence.step == 0 and _is_under_way(session, schedule.id):
        return Outcome(SKIPPED, UNDER_WAY)
    stage = operations.stages(schedule)[occurrence.step]
    operation = operations.find(stage.kind)
    try:
        workflow = _workflow(session, schedule, operation)
        token = f"schedule {schedule.id} {occurrence.due_at.isoformat()}"
        token = f"{token} {occurrence.step}" if occurrence.step else token
        doing = Doing(workflow, schedule, occurrence, stage, token)
        with session.begin_nested():  # what is refused leaves nothing behind
            return operation.begin(session, doing)
    except errors.Invalid as error:
        others = [said for said in error.fields.values() if said != error.message]
        return Outcome(FAILED, " ".join([error.message, *others]))
    except (errors.NotFound, errors.Forbidden):
        return Outcome(FAILED, NOT_ALLOWED, is_final=True)


def _workflow(session: Session, schedule: Schedule, operation: operations.Operation) -> Workflow:
    workflow, _ = workflows.get_with_role(
        session, schedule.user_id or 0, schedule.workflow_id, operation.role
    )  # fmt: skip
    return workflow


def _is_under_way(session: Session, schedule_id: int) -> bool:
    """Tell whether a run of the schedule has not ended: it may outlive its occurrence, when failed mails go again."""
    query = "SELECT EXISTS (SELECT FROM ontask.run WHERE schedule_id = :id AND state <> ALL(:ended))"
    return bool(session.scalar(text(query), {"id": schedule_id, "ended": ["done", "cancelled", "failed"]}))


def _settle(session: Session, occurrence: Occurrence, schedule: Schedule, outcome: Outcome) -> None:
    """Write down what came of it, begin the next step, tell the owner."""
    if outcome.state == RUNNING:
        occurrence.run_id = outcome.run_id
        return
    if outcome.state == DONE and occurrence.step + 1 < len(operations.stages(schedule)):
        occurrence.step, occurrence.run_id = occurrence.step + 1, None
        occurrences.ask(session, schedule, occurrence.id)
        return
    occurrences.close(session, occurrence, schedule, outcome.state, outcome.message, outcome.run_id)
    if outcome.is_final and schedule.state != plans.BLOCKED:
        plans.block(session, schedule, outcome.message)
    is_trouble = outcome.state in {FAILED, SKIPPED} or outcome.is_trouble
    if schedule.notify == plans.ALWAYS or (schedule.notify == plans.ON_ERROR and is_trouble):
        _tell(session, schedule, occurrence)


def _tell(session: Session, schedule: Schedule, occurrence: Occurrence) -> None:
    when = occurrence.due_at.astimezone(ZoneInfo(schedule.time_zone))
    what = {
        DONE: occurrence.message or "It is done.",
        SKIPPED: f"It was left out. {occurrence.message}",
        FAILED: f"It failed. {occurrence.message}",
    }[occurrence.state]
    pages = [_page(schedule)]
    if occurrence.run_id is not None:
        pages.append(
            absolute_url_for("delivery.show_run", workflow_id=schedule.workflow_id, run_id=occurrence.run_id)
        )  # fmt: skip
    tell(session, schedule, f"{schedule.name}: {when:%d %B, %H:%M}", what, pages)


def tell_blocked(session: Session, schedule: Schedule) -> None:
    """Tell the owner that a schedule rests until somebody has looked at it."""
    tell(session, schedule, f"{schedule.name} rests", schedule.problem, [_page(schedule)])


def _page(schedule: Schedule) -> str:
    return absolute_url_for("delivery.show_schedule", workflow_id=schedule.workflow_id, schedule_id=schedule.id)


def tell(session: Session, schedule: Schedule, subject: str, what: str, pages: list[str]) -> None:
    """Send the owner, and whom else the schedule names, a mail."""
    owner = session.scalar(text('SELECT email FROM ontask."user" WHERE id = :id'), {"id": schedule.user_id})
    rest = "\n\nIt rests until you switch it on again." if schedule.state == plans.BLOCKED else ""
    for to in dict.fromkeys([*([owner] if owner else []), *schedule.addresses]):
        notes.send(session, schedule.workflow_id, to, subject, "\n\n".join([what + rest, *pages]))
