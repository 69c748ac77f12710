"""Changes that write many rows: made while one waits, or by a job with a page that can be left; and their undo."""

from __future__ import annotations

from typing import Any

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.schedules import service as schedules
from chalicelib.tables import changes, state, writing
from chalicelib.tables.changes import Outcome, Wish
from chalicelib.tables.routes import zone_of
from chalicelib.web.page import page
from chalicelib.web.request import Request, Values
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.templates import zone
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)


def make(request: Request, kind: str, **more: object) -> Answer:
    """Make the change that the form asks for, or have it made, and go where it is shown or waited for.

    `more` are fields that are in the address and not in the form. Raises what the change does.
    """
    fields = request.form.lists() | {name: [str(value)] for name, value in more.items()}
    wish = Wish(kind, Values(fields), zone_of(request))
    if changes.is_long(request.session, request.workflow, wish):
        job_id = changes.ask(request.session, request.workflow, request.user.id, wish)
        return redirect("tables.show_change", workflow_id=request.workflow.id, job_id=job_id)
    return _made(request, wish, changes.carry_out(request.session, request.workflow, request.user.id, wish))


def _made(request: Request, wish: Wish, outcome: Outcome) -> Answer:
    """Go to what was changed, with the words and the undo."""
    undo_url = ""
    if outcome.version_id is not None:
        undo_url = url_for("tables.restore_version", workflow_id=request.workflow.id, version_id=outcome.version_id)
    elif outcome.event_id is not None:
        undo_url = url_for("tables.undo_change", workflow_id=request.workflow.id, event_id=outcome.event_id)
    endpoint, values = _place(request, wish, outcome)
    flash = Flash(outcome.message, undo_url=undo_url)
    return redirect(endpoint, workflow_id=request.workflow.id, flash=flash, **values)


def _place(request: Request, wish: Wish, outcome: Outcome) -> tuple[str, dict[str, Any]]:
    if wish.kind == changes.RETYPE:
        return "tables.list_columns", {}
    if outcome.column_id is not None:
        return "tables.show_column", {"column_id": outcome.column_id}
    if outcome.row_id is not None:
        return "tables.show_row", {"row_id": outcome.row_id}
    if wish.kind == changes.UNDO:
        return "tables.show_table", {}
    return "tables.show_table", state.read(request.session, request.workflow, wish.form, wish.zone.key).address()


@page(bp, "/workflows/{workflow_id}/table/work/{job_id}", role=WorkflowRole.EDITOR)
def show_change(request: Request, job_id: int) -> Answer:
    """Show how far the change is; HTMX asks for this part again until it is made."""
    job = schedules.get(request.session, request.workflow.id, request.user.id, changes.CHANGE, job_id)
    wish = Wish(job.payload["change"], Values(job.payload["form"]), zone(job.payload["time_zone"]))
    if "message" in job.result:
        return _made(request, wish, Outcome(**job.result))
    template = "tables/_change.html" if request.wants_part else "tables/change.html"
    return render(template, job=job, back=_back(request, wish))


def _back(request: Request, wish: Wish) -> str:
    """Return the address where the change was asked for."""
    here: dict[str, Any] = {"workflow_id": request.workflow.id}
    if wish.kind in {changes.FORMULA, changes.GROUPS}:
        return url_for("tables.show_new_column", kind=wish.kind, **here)
    if wish.kind == changes.RETYPE:
        step = {"column_id": wish.form.whole("column"), "step": "type", "to": wish.form.get("to")}
        return url_for("tables.show_column_step", **here, **step)
    if wish.kind == changes.REDEFINE:
        return url_for("tables.show_column_step", column_id=wish.form.whole("column"), step="formula", **here)
    if wish.kind in {changes.COMPUTE, changes.COPY}:
        return url_for("tables.show_column", column_id=wish.form.whole("column"), **here)
    return url_for("tables.show_table", **here)


@page(bp, "/workflows/{workflow_id}/table/changes/{event_id}/undo", method="POST", role=WorkflowRole.EDITOR)
def undo_change(request: Request, event_id: int) -> Answer:
    """Take back a change of a cell or the deletion of a learner or column."""
    try:
        answer = make(request, changes.UNDO, event=event_id)
    except writing.Changed:
        raise errors.Conflict("The value was changed again meanwhile, so it was left as it is.") from None
    if request.wants_part and "/table/work/" not in answer.headers["Location"]:
        # From the message over the table: stay where one is.
        return Answer(headers={"HX-Refresh": "true"}, flash=answer.flash)
    return answer
