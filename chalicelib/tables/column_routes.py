"""One column: its name, what it means, and how to take it out."""

from __future__ import annotations

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.tables import cells, queries, service, statistics
from chalicelib.tables.models import Column
from chalicelib.tables.routes import zone_of
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)


@page(bp, "/workflows/{workflow_id}/table/columns/{column_id}", role=WorkflowRole.VIEWER)
def show_column(request: Request, column_id: int) -> Answer:
    """Show what is in the column, and the form for its name and description."""
    return _column(request, queries.column(request.session, request.workflow.id, column_id), {})


def _column(request: Request, column: Column, problems: dict[str, str], message: str = "") -> Answer:
    row_count = request.workflow.row_count
    if row_count is None:
        raise errors.NotFound
    spread = statistics.spreads(request.session, request.workflow.id, [column], row_count)[column.id]
    return render(
        "tables/column.html", status=422 if problems or message else 200, column=column, spread=spread,
        problems=problems, message=message, form=request.form.as_dict(), type_names=cells.TYPE_NAMES,
        can_edit=WorkflowRole(request.role).covers(WorkflowRole.EDITOR), zone=zone_of(request), shown=cells.shown,
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/table/columns/{column_id}", method="POST", role=WorkflowRole.EDITOR)
def change_column(request: Request, column_id: int) -> Answer:
    """Save the column's name and description."""
    column = queries.column(request.session, request.workflow.id, column_id)
    name, description = request.form.get("name"), request.form.get("description")
    try:
        service.change_column(request.session, request.workflow, request.user.id, column, name, description)
    except errors.Invalid as error:
        return _column(request, column, error.fields)
    return redirect("tables.show_table", workflow_id=request.workflow.id, flash=f"“{column.name}” is saved.")


@page(bp, "/workflows/{workflow_id}/table/columns/{column_id}/delete", method="POST", role=WorkflowRole.EDITOR)
def delete_column(request: Request, column_id: int) -> Answer:
    """Take the column out of the table, with an undo in the message that follows."""
    column = queries.column(request.session, request.workflow.id, column_id)
    try:
        event_id = service.delete_column(request.session, request.workflow, request.user.id, column)
    except errors.Invalid as error:
        return _column(request, column, {}, error.message)
    undo_url = url_for("tables.undo_change", workflow_id=request.workflow.id, event_id=event_id)
    flash = Flash(f"“{column.name}” is not in the table any more.", undo_url=undo_url)
    return redirect("tables.show_table", workflow_id=request.workflow.id, flash=flash)
