"""What the send page does for later: to have it sent at a time, again and again, or as a step of a schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalicelib import errors
from chalicelib.delivery import drafts, forms, repeats, sources
from chalicelib.delivery.forms import SendForm
from chalicelib.delivery.order import Sendable, SendOrder
from chalicelib.delivery.push.service import PushOrder
from chalicelib.delivery.repeats import Order
from chalicelib.schedules import operations, plans
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect

MAX_STEPS = 5


def keep(request: Request, action: Sendable, form: SendForm, order: Order) -> Answer:
    """Keep the order for later, and lead to its schedule.

    Raises errors.Invalid with a message for each field that can't stay, errors.Conflict when somebody else changed it.
    """
    if form.when == forms.EDIT:
        return _change(request, action, form, order)
    zone = request.user.time_zone
    if form.when == forms.LATER:
        name = plans.free_name(request.session, request.workflow.id, action.name)
        notify = plans.ALWAYS if form.wants_notice else plans.ON_ERROR
        wish = plans.Wish(name=name, crontab="", time_zone=zone, start=form.moment(zone), notify=notify)
    else:
        wish = form.repeat.wish(zone)
        order = replace(repeats.with_only_new(order, form.repeat.only_new), wants_snapshot=False)
    schedule = repeats.create(request.session, request.user.id, request.workflow, action, order, wish)
    return _to(request, schedule, f"“{schedule.name}” is on. Below is when it happens, and what comes of it.")


def _change(request: Request, action: Sendable, form: SendForm, order: Order) -> Answer:
    schedule = plans.get(request.session, request.workflow.id, form.schedule or 0, lock=True)
    stages = operations.stages(schedule)
    if form.stage > min(len(stages), MAX_STEPS):
        raise errors.NotFound
    stage = stages[form.stage] if form.stage < len(stages) else None
    if stage is not None and stage.action_id != action.id:
        raise errors.Conflict("The steps of this schedule are others by now. Look at it once more.")
    order = repeats.with_only_new(order, bool(stage and stage.payload.get("only_new")))
    payload = repeats.checked(request.session, request.workflow, action, order)
    steps = [*schedule.steps]
    if form.stage:
        made = {"kind": repeats.kind_of(action), "action_id": action.id, "payload": payload}
        steps[form.stage - 1 : form.stage] = [made]
    plans.change_work(
        request.session, request.user.id, schedule, schedule.payload if form.stage else payload, steps=steps,
        version=form.version,
    )  # fmt: skip
    return _to(request, schedule, "Saved.")


def _to(request: Request, schedule: plans.Schedule, flash: str) -> Answer:
    return redirect(
        "delivery.show_schedule", workflow_id=request.workflow.id, schedule_id=schedule.id, flash=flash
    )  # fmt: skip


def changing(request: Request, form: SendForm) -> dict[str, Any] | None:
    """Return the schedule and the stage that a form changes; None when it is for a sending of its own."""
    if form.when != forms.EDIT:
        return None
    schedule = plans.get(request.session, request.workflow.id, form.schedule or 0)
    return {"schedule": schedule, "stage": form.stage, "version": form.version}


def open_form(request: Request, schedule: plans.Schedule, action: Sendable, stage: int) -> Answer:
    """Lead to a form that changes what is done at the stage, or adds one."""
    stages = operations.stages(schedule)
    found = sources.read(request.session, request.workflow.id, action.id)
    form = SendForm(from_name=request.user.name, reply_to=request.user.email, to=request.user.email)
    if stage < len(stages):
        form = of_order(repeats.order_of(found, stages[stage]))
    elif repeats.kind_of(action) == repeats.MAIL:
        form = forms.first(request.user, found, {}, of_mails=True)
    form = forms.editing(form, schedule.id, stage, schedule.version)
    draft = drafts.begin(request.session, request.user.id, action, form)
    return redirect("delivery.show_send", workflow_id=request.workflow.id, action_id=action.id, draft=draft.id)


def of_order(order: Order) -> SendForm:
    """Return the form that says what an order says."""
    if isinstance(order, PushOrder):
        return SendForm(
            to_column_id=order.item_column_id, left_out=order.left_out, exclude=bool(order.left_out),
            wants_snapshot=order.wants_snapshot,
        )  # fmt: skip
    form = SendForm(
        subject=order.subject, from_name=order.from_name, reply_to=order.reply_to, cc=", ".join(order.cc),
        bcc=", ".join(order.bcc), attached=order.attached, wants_snapshot=order.wants_snapshot,
    )  # fmt: skip
    if isinstance(order, SendOrder):
        return replace(
            form, to_column_id=order.to_column_id, track_opens=order.track_opens, track_clicks=order.track_clicks,
            leave_out_bad=True, leave_out_duplicates=order.leave_out_duplicates, opens_column=order.opens_column,
            left_out=order.left_out, exclude=bool(order.left_out), copies=order.copies,
        )  # fmt: skip
    return replace(form, to=", ".join(order.to), send_empty=order.send_empty, as_links=order.as_links)
