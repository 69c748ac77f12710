"""The send page of a report: who gets it, what is in it, how large it is, said before it happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from chalicelib import clock, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.delivery import learners, queries, sources
from chalicelib.delivery.order import Sendable
from chalicelib.delivery.reporting import forms, service
from chalicelib.settings import settings
from chalicelib.tables.history.words import size
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, document, redirect, render
from chalicelib.web.templates import zone


def show(request: Request, action: Sendable) -> Answer:
    """Show the form with the choices of the last time, and what they come to."""
    form = forms.first(request.user, queries.defaults(request.session, action, request.workflow.id))
    return _page(request, action, form)


def confirm(request: Request, action: Sendable) -> Answer:
    """Start the run; a refused form comes back as it was typed."""
    form = forms.from_values(request.form)
    try:
        order = form.order(request.user.time_zone)
        run = service.confirm(request.session, request.user.id, request.workflow, action, order)
    except errors.Invalid as error:
        return _page(request, action, form, error)
    return redirect("delivery.show_run", workflow_id=request.workflow.id, run_id=run.id)


def receipt(request: Request, action: Sendable) -> Answer:
    """Show what the form comes to while somebody fills it in."""
    form = forms.from_values(request.form)
    return render(
        "delivery/reporting/_receipt.html", **_receipt(request, action, form), live=True,
        problems=_live_problems(request, action, form),
    )  # fmt: skip


def sample(request: Request, action: Sendable) -> Answer:
    """Show the report as a page, for a frame."""
    return document(learners.framed(service.draft(request.session, request.workflow, action).mail.html))


def _page(
    request: Request, action: Sendable, form: forms.ReportForm, error: errors.Invalid | None = None
) -> Answer:  # fmt: skip
    soon = (clock.now() + timedelta(minutes=1)).astimezone(zone(request.user.time_zone))
    found = sources.read(request.session, request.workflow.id, action.id)
    return render(
        "delivery/reporting/send.html", status=422 if error else 200, problems=error.fields if error else {},
        alert=error.message if error else "", live=False, before=queries.sent_lately(request.session, action.id),
        sender=settings().mail_from, undo_seconds=settings().undo_seconds, earliest=f"{soon:%Y-%m-%dT%H:%M}",
        attributes=[one["name"] for one in found.attributes], **_receipt(request, action, form),
    )  # fmt: skip


def _receipt(request: Request, action: Sendable, form: forms.ReportForm) -> dict[str, Any]:
    context: dict[str, Any] = {
        "action": action, "form": form, "draft": None, "obstacle": "", "zone": request.user.time_zone, "size": size,
        "can_send": WorkflowRole(request.role).covers(WorkflowRole.SENDER), "total": 0, "is_too_large": False,
        "limit": service.max_bytes(), "to": form.order(request.user.time_zone, with_time=False),
    }  # fmt: skip
    try:
        draft = service.draft(request.session, request.workflow, action)
    except errors.Invalid as error:
        return context | {"obstacle": error.message}
    total = service.size_of(draft.mail, [] if form.as_links else draft.files)
    is_too_large = total > service.max_bytes()
    obstacle = service.too_large(total) if is_too_large else ""
    return context | {"draft": draft, "total": total, "is_too_large": is_too_large, "obstacle": obstacle}


def _live_problems(request: Request, action: Sendable, form: forms.ReportForm) -> dict[str, str]:
    """Return what is wrong with what was typed so far; a field that is still empty is not wrong yet."""
    found = sources.read(request.session, request.workflow.id, action.id)
    problems: dict[str, str] = {}
    try:
        service.check(request.session, found, form.order(request.user.time_zone))
    except errors.Invalid as error:
        problems = error.fields
    return {name: problem for name, problem in problems.items() if getattr(form, name, True)}
