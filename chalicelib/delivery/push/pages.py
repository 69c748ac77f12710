"""The send page of JSON: where it goes, for whom, the first objects, said before it happens."""

from __future__ import annotations

import secrets
from typing import Any

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions.targets import Target
from chalicelib.delivery import queries, sources
from chalicelib.delivery.push import service, tokens
from chalicelib.delivery.push.service import PushOrder
from chalicelib.settings import settings
from chalicelib.web.request import Request, Values
from chalicelib.web.responses import Answer, redirect, render


def order_of(form: Values) -> PushOrder:
    """Read the form."""
    left_out = dict.fromkeys(filter(None, map(str.strip, form.get("left_out").splitlines())))
    return PushOrder(
        form.whole("item_column_id"), tuple(left_out), form.get("token").strip(), form.get("form_token")
    )  # fmt: skip


def show(request: Request, action: Any) -> Answer:
    """Show the form with the choices of the last time, and what they come to."""
    order = PushOrder(action.send_defaults.get("to_column_id"), form_token=secrets.token_urlsafe(16))
    return _page(request, action, order)


def confirm(request: Request, action: Any) -> Answer:
    """Start the run, or only look again at what the choices come to; a refused form comes back as it was typed."""
    order = order_of(request.form)
    if request.form.get("do") == "look":
        return _page(request, action, order)
    try:
        run = service.confirm(request.session, request.user.id, request.workflow, action, order)
    except errors.Invalid as error:
        return _page(request, action, order, error)
    return redirect("delivery.show_run", workflow_id=request.workflow.id, run_id=run.id)


def _page(request: Request, action: Any, order: PushOrder, error: errors.Invalid | None = None) -> Answer:
    found = sources.read(request.session, request.workflow.id, action.id)
    problems, obstacle, draft = dict(error.fields) if error else {}, "", None
    try:
        draft = service.draft(request.session, request.workflow, action, order)
    except errors.Invalid as refused:
        problems |= refused.fields
        obstacle = "" if refused.fields else refused.message
    return render(
        "delivery/push/send.html", status=422 if error else 200, action=action, order=order, draft=draft,
        obstacle=obstacle, problems=problems, alert=error.message if error else "",
        columns=list(found.columns.values()),
        target=Target.of(action.target), token_set_at=tokens.set_at(request.session, action.id),
        is_report=service.is_report(action), is_safe_mode=bool(settings().safe_mode_address),
        undo_seconds=settings().undo_seconds, before=queries.sent_lately(request.session, action.id),
        can_send=WorkflowRole(request.role).covers(WorkflowRole.SENDER),
    )  # fmt: skip
