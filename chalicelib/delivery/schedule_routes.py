"""The pages of what is to be sent: everything that is planned, and one schedule with what came of it."""

from __future__ import annotations

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.delivery import queries, repeat_forms, repeats, sources
from chalicelib.delivery.models import SCHEDULED
from chalicelib.schedules import crontab, plans
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

SCHEDULES = "/workflows/{workflow_id}/schedules"
SCHEDULE = SCHEDULES + "/{schedule_id}"


@page(bp, SCHEDULES, role=WorkflowRole.VIEWER)
def list_schedules(request: Request) -> Answer:
    """Show what is sent once later and what is sent again and again, the next first."""
    found = plans.of_workflow(request.session, request.workflow.id)
    cards = queries.runs(request.session, request.workflow.id)
    return render(
        "delivery/schedules.html", schedules=found, once=[card for card in cards if card.state == SCHEDULED],
        names={one.action_id: sources.action_name(request.session, one.action_id) for one in found},
        words={one.id: crontab.words(one.crontab) for one in found}, active=plans.ACTIVE,
    )  # fmt: skip


@page(bp, SCHEDULE, role=WorkflowRole.VIEWER)
def show_schedule(request: Request, schedule_id: int) -> Answer:
    """Show one schedule: when, to whom, the next times, what came of the last ones."""
    return _show(request, plans.get(request.session, request.workflow.id, schedule_id))


def _show(
    request: Request, schedule: plans.Schedule, form: repeat_forms.RepeatForm | None = None,
    problems: dict[str, str] | None = None, alert: str = "",
) -> Answer:  # fmt: skip
    found = sources.read(request.session, request.workflow.id, schedule.action_id)
    column = found.columns.get(schedule.payload["to_column_id"])
    return render(
        "delivery/schedule.html", status=422 if problems or alert else 200, schedule=schedule, alert=alert,
        repeat=form or repeat_forms.of_schedule(schedule), problems=problems or {},
        words=crontab.words(schedule.crontab),
        action_name=sources.action_name(request.session, schedule.action_id), to=column.name if column else "",
        subject=sources.subject_by_names(found, schedule.payload["subject"]), following=plans.following(schedule),
        past=plans.occurrences(request.session, schedule.id), runs=repeats.runs_of(request.session, schedule.id),
        every=repeat_forms.EVERY, days=crontab.DAYS, notify=plans.NOTIFY, clock_changes=crontab.CLOCK_CHANGES,
        active=plans.ACTIVE, can_send=WorkflowRole(request.role).covers(WorkflowRole.SENDER),
    )  # fmt: skip


@page(bp, SCHEDULE, method="POST", role=WorkflowRole.SENDER)
def change_schedule(request: Request, schedule_id: int) -> Answer:
    """Change, switch, delete or bring back a schedule, as the form's `action` says."""
    action = request.form.get("action") or request.query.get("action") or "save"
    schedule = plans.get(
        request.session, request.workflow.id, schedule_id, lock=True, in_trash=action == "restore"
    )  # fmt: skip
    here = {"workflow_id": request.workflow.id, "schedule_id": schedule.id}
    match action:
        case "save":
            return _save(request, schedule)
        case "on" | "off":
            plans.switch(request.session, request.user.id, schedule, on=action == "on")
            told = "It goes on at the next time." if action == "on" else "It rests until you switch it on again."
            return redirect("delivery.show_schedule", **here, flash=told)
        case "delete":
            plans.delete(request.session, request.user.id, schedule)
            undo = Flash(
                f"“{schedule.name}” is deleted; what it has sent stays under Activity.",
                undo_url=url_for("delivery.change_schedule", **here) + "?action=restore",
            )
            return redirect("delivery.list_schedules", workflow_id=request.workflow.id, flash=undo)
        case "restore":
            plans.restore(request.session, request.user.id, schedule)
            return redirect("delivery.show_schedule", **here, flash=f"“{schedule.name}” is back.")
    raise errors.NotFound


def _save(request: Request, schedule: plans.Schedule) -> Answer:
    form = repeat_forms.from_values(request.form)
    try:
        wish = form.wish(schedule.time_zone)
        plans.change(
            request.session, request.user.id, schedule, wish, version=request.form.whole("version") or 0
        )  # fmt: skip
    except errors.Invalid as error:
        return _show(request, schedule, form, error.fields, error.message)
    except errors.Conflict as error:
        return _show(request, schedule, alert=error.message)
    if form.only_new != bool(schedule.payload.get("only_new")):
        schedule.payload = schedule.payload | {"only_new": form.only_new}
    return redirect(
        "delivery.show_schedule", workflow_id=request.workflow.id, schedule_id=schedule.id, flash="Saved."
    )  # fmt: skip
