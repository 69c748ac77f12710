"""The send page: who gets what, said before it happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from chalice import Blueprint

from chalicelib import clock, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import service as actions
from chalicelib.actions.kinds import KINDS, Channel, Kind
from chalicelib.actions.rubrics import queries as rubrics
from chalicelib.actions.rubrics import unknown
from chalicelib.delivery import forms, learners, queries, repeat_forms, repeats, service, sources
from chalicelib.delivery.models import BAD, DUPLICATE, EMPTY
from chalicelib.delivery.order import Sendable, SendOrder
from chalicelib.delivery.push import pages as push_pages
from chalicelib.delivery.reporting import pages as report_pages
from chalicelib.delivery.words import COUNTED, spoken
from chalicelib.schedules import crontab, plans
from chalicelib.settings import settings
from chalicelib.tables import queries as tables
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, document, redirect, render
from chalicelib.web.templates import zone

bp = Blueprint(__name__)

SEND = "/workflows/{workflow_id}/actions/{action_id}/send"


@page(bp, SEND, role=WorkflowRole.EDITOR)
def show_send(request: Request, action_id: int) -> Answer:
    """Show the form with the choices of the last time, and what they come to."""
    action = _action(request, action_id)
    if action.kind == Kind.REPORT:
        return report_pages.show(request, action)
    if KINDS[Kind(action.kind)].channel is Channel.PUSH:
        return push_pages.show(request, action)
    found = sources.read(request.session, request.workflow.id, action.id)
    form = forms.first(request.user, found, queries.defaults(request.session, action, request.workflow.id, found))
    return _page(request, action, found, form)


@page(bp, SEND, method="POST", role=WorkflowRole.SENDER)
def confirm_send(request: Request, action_id: int) -> Answer:
    """Start the run; a refused form comes back as it was typed."""
    action = _action(request, action_id)
    if action.kind == Kind.REPORT:
        return report_pages.confirm(request, action)
    if KINDS[Kind(action.kind)].channel is Channel.PUSH:
        return push_pages.confirm(request, action)
    form = forms.from_values(request.form)
    try:
        order = form.order(request.user.time_zone)
        if form.when == forms.AGAIN:
            return _repeat(request, action, order)
        run = service.confirm(request.session, request.user.id, request.workflow, action, order)
    except errors.Invalid as error:
        found = sources.read(request.session, request.workflow.id, action.id)
        return _page(request, action, found, form, error)
    return redirect("delivery.show_run", workflow_id=request.workflow.id, run_id=run.id)


def _repeat(request: Request, action: Sendable, order: SendOrder) -> Answer:
    repeat = repeat_forms.from_values(request.form)
    wish = repeat.wish(request.user.time_zone)
    schedule = repeats.create(
        request.session, request.user.id, request.workflow, action, replace(order, only_new=repeat.only_new), wish
    )  # fmt: skip
    flash = f"“{schedule.name}” is on. Below is when it happens, and what comes of it."
    return redirect(
        "delivery.show_schedule", workflow_id=request.workflow.id, schedule_id=schedule.id, flash=flash
    )  # fmt: skip


@page(bp, SEND + "/receipt", method="POST", role=WorkflowRole.EDITOR)
def show_receipt(request: Request, action_id: int) -> Answer:
    """Show what the form comes to while somebody fills it in; nothing is stored."""
    action = _action(request, action_id)
    if action.kind == Kind.REPORT:
        return report_pages.receipt(request, action)
    form = forms.from_values(request.form)
    found = sources.read(request.session, request.workflow.id, action.id)
    problems = _live_problems(found, form, request.user.time_zone)
    return render("delivery/_receipt.html", **_receipt(request, action, found, form), problems=problems, live=True)


@page(bp, SEND + "/learners", method="POST", role=WorkflowRole.EDITOR)
def find_learners(request: Request, action_id: int) -> Answer:
    """Show the learners who are left out and those a search found."""
    action = _action(request, action_id)
    form = forms.from_values(request.form)
    found = sources.read(request.session, request.workflow.id, action.id)
    return render("delivery/_left_out.html", **_picker(request, action, found, form))


@page(bp, SEND + "/sample/{row_id}", role=WorkflowRole.EDITOR)
def show_sample(request: Request, action_id: int, row_id: int) -> Answer:
    """Show one learner's mail, for the frame in the receipt; a report is the same whatever the row."""
    action = _action(request, action_id)
    if action.kind == Kind.REPORT:
        return report_pages.sample(request, action)
    return document(learners.sample(request.session, request.workflow, action, row_id))


def _action(request: Request, action_id: int) -> Sendable:
    return actions.get(request.session, request.workflow.id, action_id)


def _page(
    request: Request,
    action: Sendable,
    found: sources.Sources,
    form: forms.SendForm,
    error: errors.Invalid | None = None,
) -> Answer:
    columns = list(found.columns.values())
    soon = (clock.now() + timedelta(minutes=1)).astimezone(zone(request.user.time_zone))
    problems = error.fields if error else {}
    return render(
        "delivery/send.html", status=422 if error else 200, columns=columns, problems=problems, live=False,
        alert=error.message if error else "", counters=[column for column in columns if column.type == "integer"],
        before=queries.sent_lately(request.session, action.id), sender=settings().mail_from,
        undo_seconds=settings().undo_seconds, earliest=f"{soon:%Y-%m-%dT%H:%M}",
        **_receipt(request, action, found, form), **_picker(request, action, found, form),
        repeat=repeat_forms.from_values(request.form) if "r_every" in request.form else repeat_forms.RepeatForm(),
        every=repeat_forms.EVERY, days=crontab.DAYS, notify=plans.NOTIFY, clock_changes=crontab.CLOCK_CHANGES,
    )  # fmt: skip


def _picker(request: Request, action: Sendable, found: sources.Sources, form: forms.SendForm) -> dict[str, Any]:
    picker = learners.Picker(request.session, found, request.workflow, action, form)
    search = request.form.get("find").strip()
    return {"left_out": picker.left_out(), "matches": picker.search(search), "search": search}


def _receipt(request: Request, action: Sendable, found: sources.Sources, form: forms.SendForm) -> dict[str, Any]:
    """Return what the receipt shows; where there is none yet, `obstacle` says why."""
    context: dict[str, Any] = {
        "action": action, "form": form, "receipt": None, "obstacle": "", "reasons": COUNTED, "unusable": 0,
        "duplicates": 0, "spoken": spoken, "groups": [], "unknown": [],
        "can_send": WorkflowRole(request.role).covers(WorkflowRole.SENDER), "zone": request.user.time_zone,
        **repeat_forms.shown(repeat_forms.from_values(request.form), request.user.time_zone),
    }  # fmt: skip
    if not action.text.strip():
        return context | {"obstacle": "The message is empty. Write it first."}
    try:
        order = forms.without_time(form).order(request.user.time_zone)
        receipt = queries.receipt(request.session, request.workflow, action, order, found)
    except errors.Invalid as error:
        return context | {"obstacle": error.message}
    groups = [
        (reason, count, [one for one in receipt.left_out if one.reason == reason])
        for reason, count in receipt.counts.items()
    ]
    unusable = receipt.counts.get(BAD, 0) + receipt.counts.get(EMPTY, 0)
    return context | {
        "receipt": receipt, "groups": groups, "unusable": unusable, "obstacle": _nobody(receipt),
        "duplicates": receipt.counts.get(DUPLICATE, 0), "unknown": _unknown(request, action, found),
    }  # fmt: skip


def _unknown(request: Request, action: Sendable, found: sources.Sources) -> list[Any]:
    """Return the criteria of a rubric in which some learners have a value that is no level."""
    if action.kind != Kind.RUBRIC:
        return []
    columns = tables.columns(request.session, request.workflow.id)
    grid = rubrics.grid(request.session, action.id, columns)
    return unknown.among(
        request.session, request.workflow, grid, found.columns, action.filter, found.label_column_id
    )  # fmt: skip


def _nobody(receipt: queries.Receipt) -> str:
    if receipt.recipients:
        return ""
    if not receipt.total:
        return "The message's filter lets nobody through."
    return "Every learner of this message is left out."


def _live_problems(found: sources.Sources, form: forms.SendForm, time_zone: str) -> dict[str, str]:
    """Return what is wrong with what was typed so far; a field that is still empty is not wrong yet."""
    problems: dict[str, str] = {}
    try:
        service.check(found, form.order(time_zone))
    except errors.Invalid as error:
        problems = error.fields
    return {name: problem for name, problem in problems.items() if getattr(form, name, True)}
