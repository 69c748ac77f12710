"""Which learners may open what the workflow serves."""

from __future__ import annotations

from collections.abc import Mapping

from chalice import Blueprint

from chalicelib import errors, seals
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.schedules import service as schedules
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect, render
from chalicelib.workflows import learners

bp = Blueprint(__name__)
LEARNERS = "/workflows/{workflow_id}/learners"


@page(bp, LEARNERS, role=WorkflowRole.OWNER)
def show_learners(request: Request) -> Answer:
    """Show how many have access, and the form for the column."""
    return _learners(request, {}, request.workflow.learner_column_id)


def _learners(request: Request, problems: Mapping[str, str], column_id: int | None, status: int = 200) -> Answer:
    session, workflow = request.session, request.workflow
    columns = learners.candidates(session, workflow)
    looked = column_id if column_id in dict(columns) else None
    form = request.form.as_dict()
    if status == seals.Stale.status:
        form.pop("seen", None)  # the next save is meant to go over what was told now
    return render(
        "workflows/learners.html", status=status, columns=columns, problems=problems, form=form, chosen=column_id,
        count=learners.count(session, workflow.id), names=dict(columns),
        addresses=learners.look(session, workflow, looked) if looked else None, listed=learners.MAX_LISTED,
        is_busy=schedules.is_open(session, workflow.id, learners.REFRESH),
        seal=seals.seal(learners.shown(workflow)),
    )  # fmt: skip


@page(bp, LEARNERS, method="POST", role=WorkflowRole.OWNER)
def choose_learners(request: Request) -> Answer:
    """Give access to everybody in a column, or to nobody."""
    column_id = request.form.whole("column")
    try:
        learners.choose(
            request.session, request.user.id, request.workflow, column_id, seen=request.form.get("seen")
        )  # fmt: skip
    except (errors.Invalid, seals.Stale) as error:
        return _learners(request, error.fields, column_id, error.status)
    message = "Saved. New accounts are made in the background; nobody is mailed." if column_id else "Nobody has access."
    return redirect("workflows.show_learners", workflow_id=request.workflow.id, flash=message)
