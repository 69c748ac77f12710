"""Star, copy and empty a workflow."""

from __future__ import annotations

import secrets

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.schedules import service as schedules
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for
from chalicelib.workflows import cloning, flushing, service

bp = Blueprint(__name__)
CLONE, FLUSH = "/workflows/{workflow_id}/clone", "/workflows/{workflow_id}/flush"


@page(bp, "/workflows/{workflow_id}/star", method="POST", role=WorkflowRole.VIEWER)
def star_workflow(request: Request) -> Answer:
    """Put the workflow on top of one's own list, or back into its place."""
    is_on_top = service.star(request.session, request.user.id, request.workflow)
    name = request.workflow.name
    message = f"“{name}” is on top of your list." if is_on_top else f"“{name}” is in its usual place again."
    return redirect("workflows.list_workflows", flash=message)


@page(bp, CLONE, role=WorkflowRole.EDITOR)
def show_clone(request: Request) -> Answer:
    """Show what a copy takes over; with `job` how far it is."""
    if job_id := request.query.whole("job"):
        return _progress(request, job_id)
    return render("workflows/clone.html", job=None, token=secrets.token_urlsafe(12))


def _progress(request: Request, job_id: int) -> Answer:
    job = schedules.get(request.session, request.workflow.id, request.user.id, cloning.CLONE, job_id)
    if "workflow" in job.result:
        message = f"This is the copy of “{request.workflow.name}”. It is yours."
        return redirect("workflows.show_overview", workflow_id=job.result["workflow"], flash=message)
    return render("workflows/_cloning.html" if request.wants_part else "workflows/clone.html", job=job, token="")


@page(bp, CLONE, method="POST", role=WorkflowRole.EDITOR)
def clone_workflow(request: Request) -> Answer:
    """Have the workflow copied, and go where that is waited for."""
    wish = cloning.Wish(shares=request.form.checked("shares"), learners=request.form.checked("learners"))
    job_id = cloning.ask(request.session, request.user.id, request.workflow, wish, request.form.get("token"))
    return redirect("workflows.show_clone", workflow_id=request.workflow.id, job=job_id)


@page(bp, FLUSH, role=WorkflowRole.OWNER)
def show_flush(request: Request) -> Answer:
    """Show what would go."""
    return _flush(request, {})


def _flush(request: Request, problems: dict[str, str]) -> Answer:
    return render(
        "workflows/flush.html", status=422 if problems else 200, problems=problems,
        lost=flushing.losses(request.session, request.workflow),
    )  # fmt: skip


@page(bp, FLUSH, method="POST", role=WorkflowRole.OWNER)
def flush_workflow(request: Request) -> Answer:
    """Empty the workflow, with an undo in the message that follows; or do that undo (`back`, the event's id)."""
    session, user, workflow = request.session, request.user, request.workflow
    if event_id := request.query.whole("back"):
        flushing.take_back(session, user, workflow, event_id)
        return redirect("tables.show_table", workflow_id=workflow.id, flash="The learners are back.")
    try:
        event_id = flushing.flush(session, user, workflow, request.form.get("what"))
    except errors.Invalid as error:
        return _flush(request, error.fields)
    undo = url_for("workflows.flush_workflow", workflow_id=workflow.id, back=event_id)
    flash = Flash(f"“{workflow.name}” is empty now.", undo_url=undo)
    return redirect("workflows.show_overview", workflow_id=workflow.id, flash=flash)
