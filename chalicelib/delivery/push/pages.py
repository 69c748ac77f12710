"""JSON on the send page: where it goes, for whom, the first objects, said before it happens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalicelib import errors
from chalicelib.actions.targets import Target
from chalicelib.delivery.audience import Audience
from chalicelib.delivery.forms import SendForm
from chalicelib.delivery.models import Run
from chalicelib.delivery.push import service, tokens
from chalicelib.delivery.push.service import PushOrder
from chalicelib.delivery.sources import Sources
from chalicelib.settings import settings
from chalicelib.web.request import Request

FIELDS = frozenset({"token", "item", "exclude", "due_at", "again"})
SUMMARY = "delivery/push/_summary.html"


def order_of(form: SendForm) -> PushOrder:
    """Return the order, for now."""
    return PushOrder(
        form.to_column_id, form.without, form.token.strip(), form.draft, also=form.also, exclude=form.exclude,
        wants_snapshot=form.wants_snapshot, expected=form.expected, typed=form.typed,
    )  # fmt: skip


def confirm(request: Request, action: Any, form: SendForm) -> Run:
    """Start the run.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    return service.confirm(request.session, request.user.id, request.workflow, action, order(request, form))


def order(request: Request, form: SendForm) -> PushOrder:
    """Return the order.

    Raises errors.Invalid when its time is none.
    """
    return replace(order_of(form), due_at=form.moment(request.user.time_zone))


def check(request: Request, action: Any, found: Sources, form: SendForm) -> None:
    """Check the fields alone.

    Raises errors.Invalid with a message for each that can't stay.
    """
    tokens.check(form.token.strip())
    service.check(request.session, action, found, order(request, form))


def audience(request: Request, action: Any, found: Sources, form: SendForm) -> Audience | None:
    """Return among whom some are left out; None while that can't be told."""
    try:
        column_id = service.item_column(found, order_of(form))
    except errors.Invalid:
        return None
    return Audience(
        workflow_id=request.workflow.id, to_column_id=column_id, columns=found.columns,
        time_zone=request.workflow.time_zone, filter=action.filter, leave_out_duplicates=False, addresses=False,
    )  # fmt: skip


def summary(request: Request, action: Any, found: Sources, form: SendForm) -> dict[str, Any]:
    """Return what the form comes to; where that is nothing yet, `obstacle` says why."""
    del found
    context: dict[str, Any] = {
        "draft": None, "obstacle": "", "target": Target.of(action.target), "is_report": service.is_report(action),
        "is_safe_mode": bool(settings().safe_mode_address), "noun": "object", "count": None, "total": None,
        "excluded": 0, "token_set_at": tokens.set_at(request.session, action.id),
    }  # fmt: skip
    try:
        draft = service.draft(request.session, request.workflow, action, order_of(form))
    except errors.Invalid as refused:
        return context | {"obstacle": refused.message}
    nobody = "" if draft.count else "There is nobody to send an object for. Look at the filter and at who is left out."
    return context | {
        "draft": draft, "count": draft.count, "total": draft.count + draft.left_out, "excluded": draft.left_out,
        "obstacle": nobody,
    }  # fmt: skip
