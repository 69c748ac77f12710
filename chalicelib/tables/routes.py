"""The table: look at it, sort, search, change a cell, add and delete learners."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import queries as actions
from chalicelib.tables import cells, filters, forms, paging, queries, scope, service, state, statistics, writing
from chalicelib.tables.grid import Grid
from chalicelib.tables.models import Column
from chalicelib.tables.views import queries as view_queries
from chalicelib.tables.views import service as views
from chalicelib.web import cookies
from chalicelib.web.page import page
from chalicelib.web.request import Request, Values
from chalicelib.web.responses import Answer, Flash, data, redirect, render
from chalicelib.web.templates import zone
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

#: The browser remembers how many rows a page has, and how the table, or one of its views, was sorted the last time.
SIZE, ORDER = "ontask_rows", "ontask_order"
REMEMBERED = timedelta(days=365)


def zone_of(request: Request) -> ZoneInfo:
    """Return the reader's time zone."""
    return zone(request.user.time_zone)


@page(bp, "/workflows/{workflow_id}/table", role=WorkflowRole.VIEWER)
def show_table(request: Request) -> Answer:
    """Show a page of the table or of a view; HTMX gets the grid alone, and with `count=1` the line of numbers."""
    if request.workflow.row_count is None:
        return render("tables/empty.html")
    grid = Grid(request.session, request.workflow, _state(request))
    if request.query.checked("count"):
        return render("tables/_count.html", grid=grid, state=grid.state, counts=grid.counted)
    answer = render(
        "tables/_grid.html" if request.wants_part else "tables/page.html",
        grid=grid, state=grid.state, rows=grid.rows, counts=grid.counts, flags=grid.flags, columns=grid.state.shown,
        spreads=grid.spreads(later=True), views=view_queries.listed(request.session, request.workflow.id),
        messages=actions.labels(request.session, request.workflow.id), sizes=paging.SIZES,
        filter_form=_filter_form(grid.state, request), **_words(request),
    )  # fmt: skip
    if "size" in request.query:
        answer.cookies.append(cookies.build(SIZE, str(grid.state.size or paging.PAGE_SIZE), REMEMBERED))
    if "sort" in request.query:
        kept = f"{_place(request)}/{str(grid.state.order).replace(',', '.')}"
        answer.cookies.append(cookies.build(ORDER, kept, REMEMBERED))
    return answer


def _place(request: Request) -> str:
    """Return what an order is remembered for: the table or the view."""
    return f"{request.workflow.id}/{request.query.whole('view') or 0}"


def _filter_form(shown: state.State, request: Request) -> dict[str, Any]:
    """Return what the form for the filter of one column needs; empty when none is open."""
    if shown.editing is None:
        return {}
    present = next((one for one in shown.filters if one.column.id == shown.editing.id), None)
    fields = filters.to_form(present) if present else {"op": "", "value": "", "until": ""}
    if shown.filter_problem:
        fields = {name: request.query.get(name) for name in fields}
    return {
        "offered": filters.offered(shown.editing), "choices": filters.choices(shown.editing, zone_of(request)),
        "others": shown.without(present) if present else [str(one) for one in shown.filters], **fields,
    }  # fmt: skip


def _state(request: Request) -> state.State:
    query = request.query
    if "size" not in query and (remembered := request.cookies.get(SIZE)):
        query = Values({**query.lists(), "size": [remembered]})
    place, _, order = request.cookies.get(ORDER, "").rpartition("/")
    if place == _place(request) and "sort" not in query and not request.wants_part:
        with suppress(errors.NotFound):  # a column that is gone
            sorted_query = Values({**query.lists(), "sort": [order.replace(".", ",") or state.UNSORTED]})
            return state.read(request.session, request.workflow, sorted_query, zone_of(request).key)
    return state.read(request.session, request.workflow, query, zone_of(request).key)


@page(bp, "/workflows/{workflow_id}/table/head", role=WorkflowRole.VIEWER)
def show_head(request: Request) -> Answer:
    """Show the headers with the pictures and counts that were too slow for the page."""
    if request.workflow.row_count is None:
        raise errors.NotFound
    grid = Grid(request.session, request.workflow, _state(request))
    return render(
        "tables/_head.html", grid=grid, state=grid.state, columns=grid.state.shown, flags=grid.flags,
        counts=grid.counted, spreads=grid.spreads(later=False), **_words(request),
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/table/order", method="POST", role=WorkflowRole.EDITOR)
def move_column(request: Request) -> Answer:
    """Put a column before another one (`before`, empty: last): in a view for itself, otherwise in the table."""
    column_id, before = request.form.whole("column") or 0, request.form.whole("before")
    if view_id := request.form.whole("view"):
        view = view_queries.get(request.session, request.workflow.id, view_id, lock=True)
        views.move_column(request.session, request.user.id, request.workflow, view, column_id, before)
    else:
        views.move_in_table(request.session, request.user.id, request.workflow, column_id, before)
    return data({"moved": True})


def _words(request: Request) -> dict[str, Any]:
    return {
        "type_names": cells.TYPE_NAMES, "can_edit": _can_edit(request), "shown": cells.shown,
        "zone": zone_of(request), "max_shown": cells.MAX_SHOWN,
    }  # fmt: skip


def _can_edit(request: Request) -> bool:
    return WorkflowRole(request.role).covers(WorkflowRole.EDITOR)


@page(bp, "/workflows/{workflow_id}/table/rows/{row_id}", role=WorkflowRole.VIEWER)
def show_row(request: Request, row_id: int) -> Answer:
    """Show everything that is known of one learner, against the class."""
    columns = queries.columns(request.session, request.workflow.id)
    values = service.row(request.session, request.workflow, row_id, columns)
    everybody = scope.everybody(request.workflow.id, columns)
    spreads = statistics.spreads(request.session, everybody, columns, request.workflow.row_count or 0)
    return render(
        "tables/row.html", columns=columns, values=values, row_id=row_id, label=label(columns, values, request),
        written=cells.written,
        spreads=spreads, **_words(request),
    )  # fmt: skip


def label(columns: list[Column], values: dict[int, Any], request: Request) -> str:
    """Return what the learner is called on the page: the first key's value."""
    key = next((column for column in columns if column.is_key), None)
    value = values.get(key.id) if key else None
    return "Learner" if value is None else cells.shown(value, zone_of(request))[: cells.MAX_SHOWN]


@page(bp, "/workflows/{workflow_id}/table/rows/{row_id}/delete", method="POST", role=WorkflowRole.EDITOR)
def delete_row(request: Request, row_id: int) -> Answer:
    """Delete a learner, with an undo in the message that follows."""
    columns = queries.columns(request.session, request.workflow.id)
    values = service.row(request.session, request.workflow, row_id, columns)
    event_id = service.delete_row(request.session, request.workflow, request.user.id, row_id, columns)
    flash = Flash(
        f"“{label(columns, values, request)}” is not in the table any more.", undo_url=_undo(request, event_id)
    )
    return redirect("tables.show_table", workflow_id=request.workflow.id, flash=flash)


def _undo(request: Request, event_id: int) -> str:
    return url_for("tables.undo_change", workflow_id=request.workflow.id, event_id=event_id)


@page(bp, "/workflows/{workflow_id}/table/rows/{row_id}/cells/{column_id}", role=WorkflowRole.EDITOR)
def show_cell(request: Request, row_id: int, column_id: int) -> Answer:
    """Show the field for one value: in its cell, or on a page of its own."""
    if request.workflow.row_count is None:
        raise errors.NotFound
    column = queries.column(request.session, request.workflow.id, column_id)
    value = service.value(request.session, request.workflow.id, row_id, column)
    return _cell_form(request, row_id, column, value, seen=cells.seal(value))


def _cell_form(
    request: Request, row_id: int, column: Column, value: Any, *, seen: str, typed: str | None = None,
    problem: str = "", status: int = 200,
) -> Answer:  # fmt: skip
    here = zone_of(request)
    return render(
        "tables/_cell_form.html" if request.wants_part else "tables/cell.html",
        status=status, row_id=row_id, column=column, value=value, seen=seen, problem=problem,
        typed=cells.written(value, here) if typed is None else typed, choices=forms.choices(column, here),
        shown=cells.shown, zone=here, max_shown=cells.MAX_SHOWN, type_names=cells.TYPE_NAMES,
        is_sure=request.form.checked("change_key"),
    )  # fmt: skip


@page(
    bp, "/workflows/{workflow_id}/table/rows/{row_id}/cells/{column_id}", method="POST", role=WorkflowRole.EDITOR
)  # fmt: skip
def change_cell(request: Request, row_id: int, column_id: int) -> Answer:
    """Save one value; what does not fit, or was changed meanwhile, is said at the field, with what was typed."""
    if request.workflow.row_count is None:
        raise errors.NotFound
    column = queries.column(request.session, request.workflow.id, column_id)
    typed, seen = request.form.get("value"), request.form.get("seen")
    try:
        new = cells.read(typed, column, zone_of(request))
        if column.is_key and not request.form.checked("change_key"):
            raise errors.Invalid("Say that you mean it.", {"value": "Tick that you mean to change it."})
        event_id = service.change_cell(
            request.session, request.workflow, request.user.id, row_id, column, new, seen=seen
        )
    except errors.Invalid as error:
        problem, status = error.fields.get("value", error.message), 422
    except writing.Changed as error:
        problem, status, seen = _changed(request, error), 409, cells.seal(error.now)
    except errors.Conflict as error:
        problem, status = error.message, 409
    else:
        return _saved(request, row_id, column, new, event_id)
    value = service.value(request.session, request.workflow.id, row_id, column)
    return _cell_form(request, row_id, column, value, seen=seen, typed=typed, problem=problem, status=status)


def _saved(request: Request, row_id: int, column: Column, new: Any, event_id: int | None) -> Answer:
    undo_url = _undo(request, event_id) if event_id else ""
    if request.wants_part:
        return render(
            "tables/_saved.html", value=new, column=column, undo_url=undo_url, shown=cells.shown,
            zone=zone_of(request), max_shown=cells.MAX_SHOWN,
        )  # fmt: skip
    return redirect(
        "tables.show_row", workflow_id=request.workflow.id, row_id=row_id,
        flash=Flash(f"“{column.name}” is saved.", undo_url=undo_url) if event_id else "Nothing was changed.",
    )  # fmt: skip


def _changed(request: Request, error: writing.Changed) -> str:
    now = "no value" if error.now is None else f"“{cells.shown(error.now, zone_of(request))[: cells.MAX_SHOWN]}”"
    return f"Somebody changed this meanwhile: it is now {now}. Save to put your value in its place."


@page(bp, "/workflows/{workflow_id}/table/new", role=WorkflowRole.EDITOR)
def show_new_row(request: Request) -> Answer:
    """Show the form for one more learner."""
    return _new_row(request, {})


def _new_row(request: Request, problems: dict[str, str]) -> Answer:
    if request.workflow.row_count is None:
        raise errors.NotFound
    columns = queries.columns(request.session, request.workflow.id)
    return render(
        "tables/new.html", status=422 if problems else 200, columns=columns, problems=problems,
        form=request.form.as_dict(), choices={c.id: forms.choices(c, zone_of(request)) for c in columns},
        type_names=cells.TYPE_NAMES,
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/table/new", method="POST", role=WorkflowRole.EDITOR)
def add_row(request: Request) -> Answer:
    """Add a learner and go to their page."""
    columns = queries.columns(request.session, request.workflow.id)
    try:
        values = forms.new_row(request.form, columns, zone_of(request))
        row_id = service.add_row(request.session, request.workflow, request.user.id, columns, values)
    except errors.Invalid as error:
        return _new_row(request, error.fields)
    flash = f"“{label(columns, values, request)}” is in the table."
    return redirect("tables.show_row", workflow_id=request.workflow.id, row_id=row_id, flash=flash)
