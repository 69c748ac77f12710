"""The pages of a ZIP: what is in it and what the files are called, how far it is, the file."""

from __future__ import annotations

from typing import Any

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import service as actions
from chalicelib.actions.kinds import KINDS, Kind
from chalicelib.audit import service as audit
from chalicelib.aws import files
from chalicelib.delivery import forms, learners, sources
from chalicelib.delivery.archives import service
from chalicelib.delivery.archives.names import DEFAULT_SUFFIX
from chalicelib.delivery.archives.service import Wish
from chalicelib.delivery.order import Sendable
from chalicelib.schedules import service as schedules
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect, redirect_to, render
from chalicelib.web.templates import zone

bp = Blueprint(__name__)

ARCHIVE = "/workflows/{workflow_id}/actions/{action_id}/zip"


@page(bp, ARCHIVE, role=WorkflowRole.EDITOR)
def show_archive_form(request: Request, action_id: int) -> Answer:
    """Show what can be chosen."""
    return _form(request, _action(request, action_id), {"suffix": DEFAULT_SUFFIX})


def _action(request: Request, action_id: int) -> Sendable:
    action = actions.get(request.session, request.workflow.id, action_id)
    if not KINDS[Kind(action.kind)].has_zip:
        raise errors.NotFound
    return action


def _form(
    request: Request, action: Sendable, form: dict[str, str], problems: dict[str, str] | None = None, alert: str = ""
) -> Answer:  # fmt: skip
    found = sources.read(request.session, request.workflow.id, action.id)
    send_form = forms.from_values(request.form)
    picker = learners.Picker(request.session, found, request.workflow, action, send_form)
    context: dict[str, Any] = {"left_out": [], "matches": [], "search": ""}
    try:
        context["left_out"] = picker.left_out()
    except errors.Invalid as error:
        alert = alert or error.message
    return render(
        "delivery/archives/form.html", status=422 if problems or alert else 200, action=action, form=form,
        columns=list(found.columns.values()), problems=problems or {}, alert=alert, **context,
    )  # fmt: skip


@page(bp, ARCHIVE, method="POST", role=WorkflowRole.EDITOR)
def begin_archive(request: Request, action_id: int) -> Answer:
    """Have the ZIP built, and go where it is waited for; a refused form comes back as it was typed."""
    action = _action(request, action_id)
    form = request.form
    wish = Wish(
        first=form.whole("first"), second=form.whole("second"), suffix=form.get("suffix").strip() or DEFAULT_SUFFIX,
        for_moodle=form.checked("for_moodle"), skip_rows=tuple(dict.fromkeys(form.wholes("skip_rows"))),
    )  # fmt: skip
    try:
        job_id = service.begin(request.session, request.user.id, request.workflow, action, wish)
    except errors.Invalid as error:
        return _form(request, action, form.as_dict(), error.fields, error.message)
    return redirect(
        "delivery.show_archive", workflow_id=request.workflow.id, action_id=action.id, job_id=job_id
    )  # fmt: skip


@page(bp, ARCHIVE + "/{job_id}", role=WorkflowRole.EDITOR)
def show_archive(request: Request, action_id: int, job_id: int) -> Answer:
    """Show how far the ZIP is; with `file=1` lead to it."""
    action = _action(request, action_id)
    job = schedules.get(request.session, request.workflow.id, request.user.id, service.BUILD, job_id)
    if request.query.get("file") and "key" in job.result:
        made = job.created_at.astimezone(zone(request.user.time_zone))
        audit.record(
            request.session, "archive_downloaded", workflow_id=request.workflow.id, user_id=request.user.id,
            action_id=action.id, name=action.name,
        )  # fmt: skip
        return redirect_to(files.download_link(job.result["key"], f"ontask zip {made:%Y-%m-%d %H.%M}.zip"))
    part = "delivery/archives/_built.html" if request.wants_part else "delivery/archives/built.html"
    return render(part, action=action, job=job)
