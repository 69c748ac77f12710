"""Whole rows: the form of one learner, and changes of many at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.tables import cells, changes, forms, queries, rows, service, state
from chalicelib.tables.change_routes import make
from chalicelib.tables.models import Column
from chalicelib.tables.routes import zone_of
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

EDIT = "/workflows/{workflow_id}/table/rows/{row_id}/edit"


@page(bp, EDIT, role=WorkflowRole.EDITOR)
def show_row_form(request: Request, row_id: int) -> Answer:
    """Show the form for all values of a learner."""
    return _row_form(request, row_id, {})


def _row_form(
    request: Request, row_id: int, problems: Mapping[str, str], *, status: int = 422, message: str = "",
    seen: Mapping[int, str] | None = None,
) -> Answer:  # fmt: skip
    columns = queries.columns(request.session, request.workflow.id)
    values = service.row(request.session, request.workflow, row_id, columns)
    zone = zone_of(request)
    label = next(cells.shown(values[c.id], zone)[: cells.MAX_SHOWN] for c in columns if c.is_key)
    return render(
        "tables/edit.html", status=status if problems or message else 200, row_id=row_id, columns=columns,
        problems=problems, message=message, label=label, form=request.form.as_dict(),
        fields={c.id: forms.field(c, values[c.id], zone) for c in columns},
        seen=seen or {c.id: cells.seal(values[c.id]) for c in columns},
    )  # fmt: skip


@page(bp, EDIT, method="POST", role=WorkflowRole.EDITOR)
def change_row(request: Request, row_id: int) -> Answer:
    """Save what was changed in the form; what somebody else changed meanwhile is said beside what was typed."""
    columns = queries.columns(request.session, request.workflow.id)
    values = service.row(request.session, request.workflow, row_id, columns)
    seen = {column.id: request.form.get(f"seen-{column.id}") for column in columns}
    try:
        new = forms.changed_row(request.form, columns, values, zone_of(request), seen)
        event_id = rows.change(request.session, request.workflow, request.user.id, row_id, new, seen)
    except errors.Invalid as error:
        return _row_form(request, row_id, error.fields, message=error.message, seen=seen)
    except rows.Stale as error:
        problems = {f"c{key}": f"It is {_said(now, request)} now. Save again to put yours in its place."
                    for key, now in error.now.items()}  # fmt: skip
        fresh = seen | {key: cells.seal(now) for key, now in error.now.items()}
        return _row_form(request, row_id, problems, status=409, message=error.message, seen=fresh)
    except errors.Conflict as error:
        return _row_form(request, row_id, {}, status=409, message=error.message, seen=seen)
    flash = Flash("Saved.", undo_url=_undo(request, event_id)) if event_id else "Nothing was changed."
    return redirect("tables.show_row", workflow_id=request.workflow.id, row_id=row_id, flash=flash)


def _said(value: Any, request: Request) -> str:
    return "no value" if value is None else f"“{cells.shown(value, zone_of(request))[: cells.MAX_SHOWN]}”"


def _undo(request: Request, event_id: int) -> str:
    return url_for("tables.undo_change", workflow_id=request.workflow.id, event_id=event_id)


@page(bp, "/workflows/{workflow_id}/table/rows", method="POST", role=WorkflowRole.EDITOR)
def change_rows(request: Request) -> Answer:
    """Set a column of many learners, or delete them: first a page that says what it means, with `sure` the change."""
    if request.workflow.row_count is None:
        raise errors.NotFound
    shown = state.read(request.session, request.workflow, request.form, zone_of(request).key)
    if shown.problem:
        raise errors.Invalid(shown.problem)
    ids = None if request.form.checked("all") else request.form.wholes("row")
    if request.form.get("action") == "delete":
        return make(request, changes.DELETE) if request.form.checked("sure") else _review(request, shown, ids, None, {})
    return _set(request, shown, ids)


def _set(request: Request, shown: state.State, ids: list[int] | None) -> Answer:
    column = queries.column(request.session, request.workflow.id, request.form.whole("column") or 0)
    try:
        rows.refuse_fixed([column])
        return make(request, changes.SET) if request.form.checked("sure") else _review(request, shown, ids, column, {})
    except errors.Invalid as error:
        return _review(request, shown, ids, column, {"value": error.message})


def _review(
    request: Request, shown: state.State, ids: list[int] | None, column: Column | None, problems: dict[str, str]
) -> Answer:
    number = rows.count(request.session, shown.scope, ids)
    zone = zone_of(request)
    return render(
        "tables/many.html", status=422 if problems else 200, state=shown, ids=ids or [], is_all=ids is None,
        number=number, column=column, problems=problems, typed=request.form.get("value"),
        choices=forms.choices(column, zone) if column else {}, type_names=cells.TYPE_NAMES,
    )  # fmt: skip
