"""The pages of what is to happen: everything that is planned, and one schedule with what came of it."""

from __future__ import annotations

from typing import Any

from chalice import Blueprint

from chalicelib import clock, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import queries as actions
from chalicelib.actions import service
from chalicelib.delivery import calendar, planning, queries, repeat_forms, repeats, schedule_list
from chalicelib.delivery.models import SCHEDULED
from chalicelib.schedules import (
    crontab,
    kinds,  # noqa: F401  makes the operations known
    occurrences,
    operations,
    plans,
)
from chalicelib.web.page import Access, page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.templates import zone
from chalicelib.web.urls import url_for
from chalicelib.workflows import queries as workflows

bp = Blueprint(__name__)

SCHEDULES = "/workflows/{workflow_id}/schedules"
SCHEDULE = SCHEDULES + "/{schedule_id}"


@page(bp, "/calendar", access=Access.STAFF)
def show_calendar(request: Request) -> Answer:
    """Show a month of everything that is planned in the person's workflows, and who would get too much."""
    cards = {card.id: card.name for card in workflows.cards(request.session, request.user.id)}
    here = zone(request.user.time_zone)
    most = min(max(request.query.whole("most") or calendar.AT_MOST, 1), 100)
    first = calendar.month_of(request.query.get("month"), here.key)
    return render(
        "delivery/calendar.html", month=calendar.read(request.session, list(cards), first, here.key, most), most=most,
        workflows=cards, names=repeat_forms.MONTHS, days=crontab.DAYS, zone=here,
        today=clock.now().astimezone(here).date(),
    )  # fmt: skip


@page(bp, SCHEDULES, role=WorkflowRole.VIEWER)
def list_schedules(request: Request) -> Answer:
    """Show what is done once later and what is done again and again, the next first."""
    if request.query.checked("add"):
        return _add(request, repeat_forms.RepeatForm(), {})
    search, sort = request.query.get("q").strip(), request.query.get("sort")
    cards = queries.runs(request.session, request.workflow.id)
    return render(
        "delivery/schedules.html", search=search, sort=sort if sort in schedule_list.SORTS else "next",
        lines=schedule_list.lines(request.session, request.workflow, search=search, sort=sort),
        once=[card for card in cards if card.state == SCHEDULED], sorts=schedule_list.SORTS,
        states=schedule_list.STATES, came=schedule_list.CAME, active=plans.ACTIVE, can_send=_can_send(request),
    )  # fmt: skip


@page(bp, SCHEDULES, method="POST", role=WorkflowRole.SENDER)
def add_schedule(request: Request) -> Answer:
    """Plan something that has no send form."""
    form = repeat_forms.from_values(request.form)
    if request.form.get("do") == "look":
        return _add(request, form, {})
    offers = {offer.key: offer for offer in operations.offered(request.session, request.workflow)}
    offer = offers.get(request.form.get("what"))
    if offer is None:
        return _add(request, form, {"what": "Choose what is to be done."})
    try:
        schedule = plans.create(
            request.session, request.user.id, workflow_id=request.workflow.id, action_id=offer.stage.action_id,
            kind=offer.stage.kind, payload=offer.stage.payload, wish=form.wish(request.user.time_zone),
        )  # fmt: skip
    except errors.Invalid as error:
        return _add(request, form, error.fields, error.message)
    return redirect(
        "delivery.show_schedule", workflow_id=request.workflow.id, schedule_id=schedule.id,
        flash=f"“{schedule.name}” is on. Below is when it happens, and what comes of it.",
    )  # fmt: skip


def _add(request: Request, form: repeat_forms.RepeatForm, problems: dict[str, str], alert: str = "") -> Answer:
    choices = repeat_forms.fields()
    return render(
        "delivery/schedule_form.html", status=422 if problems else 200, repeat=form, problems=problems, alert=alert,
        offers=operations.offered(request.session, request.workflow), what=request.form.get("what"),
        has_learners=False, can_send=_can_send(request),
        **choices | {"every": {**choices["every"], **repeat_forms.ONCE}},
        **repeat_forms.shown(form, request.user.time_zone), zone=request.user.time_zone,
    )  # fmt: skip


@page(bp, SCHEDULE, role=WorkflowRole.VIEWER)
def show_schedule(request: Request, schedule_id: int) -> Answer:
    """Show one schedule: when, to whom, the next times, what came of the last ones."""
    return _show(request, plans.get(request.session, request.workflow.id, schedule_id))


def _show(
    request: Request, schedule: plans.Schedule, form: repeat_forms.RepeatForm | None = None,
    problems: dict[str, str] | None = None, alert: str = "",
) -> Answer:  # fmt: skip
    choices = repeat_forms.fields()
    return render(
        "delivery/schedule.html", status=422 if problems or alert else 200, schedule=schedule, alert=alert,
        repeat=form or repeat_forms.of_schedule(schedule), problems=problems or {},
        looked=repeat_forms.shown(form, schedule.time_zone) if form else None,
        words=crontab.words(schedule.crontab), stages=_stages(request, schedule),
        following=plans.following(schedule), past=occurrences.of_schedule(request.session, schedule.id),
        runs=repeats.runs_of(request.session, schedule.id), came=schedule_list.CAME, active=plans.ACTIVE,
        can_send=_can_send(request), messages=_messages(request), max_steps=planning.MAX_STEPS,
        **choices | {"every": {**repeat_forms.ONCE, **choices["every"]}},
    )  # fmt: skip


def _stages(request: Request, schedule: plans.Schedule) -> list[dict[str, Any]]:
    """Return what the page shows of each thing that the schedule does."""
    found, names = [], actions.labels(request.session, request.workflow.id)
    for stage in operations.stages(schedule):
        operation = operations.find(stage.kind)
        try:
            facts = operation.facts(request.session, request.workflow.id, stage)
        except errors.AppError as error:
            facts = [("It can’t be done", error.message)]
        name = names.get(stage.action_id or 0, "")
        found.append(
            {
                "action_id": stage.action_id,
                "name": name,
                "title": operation.title,
                "facts": facts,
                "is_sent": stage.kind in repeats.SENT,
            }
        )
    return found


def _messages(request: Request) -> dict[int, str]:
    """Return the names of the messages that can be a step."""
    return actions.labels(request.session, request.workflow.id, repeats.KINDS_SENT)


def _can_send(request: Request) -> bool:
    return WorkflowRole(request.role).covers(WorkflowRole.SENDER)


@page(bp, SCHEDULE, method="POST", role=WorkflowRole.SENDER)
def change_schedule(request: Request, schedule_id: int) -> Answer:
    """Change, switch, delete or bring back a schedule, as the form's `action` says."""
    action = request.form.get("action") or request.query.get("action") or "save"
    schedule = plans.get(
        request.session, request.workflow.id, schedule_id, lock=True, in_trash=action == "restore"
    )  # fmt: skip
    here = {"workflow_id": request.workflow.id, "schedule_id": schedule.id}
    change = url_for("delivery.change_schedule", **here)
    match action:
        case "save":
            return _save(request, schedule)
        case "on" | "off":
            plans.switch(request.session, request.user.id, schedule, on=action == "on")
            return _switched(request, schedule)
        case "edit":
            return _edit(request, schedule)
        case "step":
            return _add_step(request, schedule)
        case "drop":
            return _drop_step(request, schedule)
        case "reset":
            first = repeats.forget_reached(request.session, request.user.id, schedule)
            undo = Flash("Everybody counts as new again.", undo_url=f"{change}?action=remember&first={first}")
            return redirect("delivery.show_schedule", **here, flash=undo)
        case "remember":
            repeats.remember_reached(request.session, request.user.id, schedule, request.query.whole("first") or 0)
            return redirect("delivery.show_schedule", **here, flash="Who has got it counts again.")
        case "delete":
            plans.delete(request.session, request.user.id, schedule)
            told = f"“{schedule.name}” is deleted; what it has sent stays under Activity."
            undo = Flash(told, undo_url=f"{change}?action=restore")
            return redirect("delivery.list_schedules", workflow_id=request.workflow.id, flash=undo)
        case "restore":
            plans.restore(request.session, request.user.id, schedule)
            return redirect("delivery.show_schedule", **here, flash=f"“{schedule.name}” is back.")
    raise errors.NotFound


def _switched(request: Request, schedule: plans.Schedule) -> Answer:
    told = f"“{schedule.name}” rests until you switch it on again."
    if schedule.state == plans.ACTIVE:
        told = f"“{schedule.name}” goes on at the next time."
    elif schedule.state == plans.OVER:
        told = f"“{schedule.name}” has no time to come. Give it one."
    if request.form.get("back") == "list":
        return redirect("delivery.list_schedules", workflow_id=request.workflow.id, flash=told)
    return redirect(
        "delivery.show_schedule", workflow_id=request.workflow.id, schedule_id=schedule.id, flash=told
    )  # fmt: skip


def _save(request: Request, schedule: plans.Schedule) -> Answer:
    form = repeat_forms.from_values(request.form)
    if request.form.get("do") == "look":
        return _show(request, schedule, form)
    try:
        wish = form.wish(schedule.time_zone)
        payload = {**schedule.payload}
        if "only_new" in payload:
            payload["only_new"] = form.only_new
        plans.change(
            request.session, request.user.id, schedule, wish, version=request.form.whole("version") or 0,
            payload=payload,
        )  # fmt: skip
    except errors.Invalid as error:
        return _show(request, schedule, form, error.fields, error.message)
    except errors.Conflict as error:
        return _show(request, schedule, alert=error.message)
    return redirect(
        "delivery.show_schedule", workflow_id=request.workflow.id, schedule_id=schedule.id, flash="Saved."
    )  # fmt: skip


def _edit(request: Request, schedule: plans.Schedule) -> Answer:
    """Lead to the form by which one of its stages was made."""
    stage, stages = request.form.whole("step") or 0, operations.stages(schedule)
    if not 0 <= stage < len(stages):
        raise errors.NotFound
    action = service.get(request.session, request.workflow.id, stages[stage].action_id or 0)
    return planning.open_form(request, schedule, action, stage)


def _add_step(request: Request, schedule: plans.Schedule) -> Answer:
    """Lead to the send form of the message that is to follow."""
    action_id = request.form.whole("message")
    if action_id is None or action_id not in _messages(request):
        return _show(request, schedule, alert="Choose the message that follows.")
    step = len(operations.stages(schedule))
    if step > planning.MAX_STEPS:
        return _show(request, schedule, alert=f"At most {planning.MAX_STEPS} messages can follow.")
    return planning.open_form(request, schedule, service.get(request.session, request.workflow.id, action_id), step)


def _drop_step(request: Request, schedule: plans.Schedule) -> Answer:
    step = request.form.whole("step") or 0
    if not 1 <= step <= len(schedule.steps):
        raise errors.NotFound
    steps = [one for number, one in enumerate(schedule.steps, 1) if number != step]
    plans.change_work(
        request.session, request.user.id, schedule, schedule.payload, steps=steps, version=schedule.version
    )  # fmt: skip
    return redirect(
        "delivery.show_schedule", workflow_id=request.workflow.id, schedule_id=schedule.id,
        flash="It does not follow any more.",
    )  # fmt: skip
