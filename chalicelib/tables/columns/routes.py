"""The pages of the columns: the list, what is said of one, new ones."""

from __future__ import annotations

from collections.abc import Sequence

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.tables import cells, changes, queries, scope, statistics
from chalicelib.tables.change_routes import make
from chalicelib.tables.columns import create, forms, lists, recipes, settings
from chalicelib.tables.models import Column
from chalicelib.tables.routes import zone_of
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

NO_TABLE = "There are no learners yet, so there can be no columns. Add data first."


def can_edit(request: Request) -> bool:
    """Tell whether the person may change columns."""
    return WorkflowRole(request.role).covers(WorkflowRole.EDITOR)


def undo_of(request: Request, event_id: int | None) -> str:
    """Return the address that takes an event back; empty without one."""
    return "" if event_id is None else url_for(
        "tables.undo_change", workflow_id=request.workflow.id, event_id=event_id
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/columns", role=WorkflowRole.VIEWER)
def list_columns(request: Request) -> Answer:
    """Show all columns, searched and sorted; HTMX gets the list alone."""
    if request.workflow.row_count is None:
        return render("tables/columns/none.html")
    return _list(request)


def _list(request: Request) -> Answer:
    columns = queries.columns(request.session, request.workflow.id)
    places = {column.id: place for place, column in enumerate(columns, 1)}
    found, search, sort = forms.listed(columns, request.query)
    names = {column.id: column.name for column in columns}
    return render(
        "tables/columns/_list.html" if request.wants_part else "tables/columns/list.html",
        columns=found, places=places, search=search, sort=sort, type_names=cells.TYPE_NAMES,
        can_edit=can_edit(request), total=len(columns),
        made={column.id: recipes.words(column.recipe, names) for column in found},
        troubles=_troubles(columns), zone=zone_of(request),
    )  # fmt: skip


def _troubles(columns: Sequence[Column]) -> dict[int, str]:
    """Return why columns that should be kept up to date are not, by id."""
    infos = {column.id: queries.info(column) for column in columns}
    found = {}
    for column in columns:
        recipe = recipes.formula(column.recipe)
        if recipe is not None and recipe.keep:
            found[column.id] = recipes.problem(recipe, infos) or recipe.problem
    return found


@page(bp, "/workflows/{workflow_id}/columns", method="POST", role=WorkflowRole.EDITOR)
def place_column(request: Request) -> Answer:
    """Put one column at another place: a position, or up, down, first, last."""
    _require_table(request)
    columns = queries.columns(request.session, request.workflow.id)
    column = queries.column(request.session, request.workflow.id, request.form.whole("column") or 0)
    here = [other.id for other in columns].index(column.id) + 1
    to = request.form.get("to")
    named = {"up": max(1, here - 1), "down": min(len(columns), here + 1), "first": 1, "last": len(columns)}
    position = named.get(to) or (int(to) if to.isdecimal() and len(to) < 6 else 0)
    if not 1 <= position <= len(columns):
        raise errors.Invalid("This is no place in the table.")
    event_id = settings.move(request.session, request.workflow, request.user.id, column, position)
    if request.wants_part:
        return _list(request)
    note = Flash(f"“{column.name}” is number {position} now.", undo_url=undo_of(request, event_id))
    return redirect("tables.list_columns", workflow_id=request.workflow.id, flash=note)


def _require_table(request: Request) -> None:
    if request.workflow.row_count is None:
        raise errors.NotFound(NO_TABLE)


@page(bp, "/workflows/{workflow_id}/columns/{column_id}", role=WorkflowRole.VIEWER)
def show_column(request: Request, column_id: int) -> Answer:
    """Show what is in the column, how it came about, and the form for what is said of it."""
    _require_table(request)
    return _column(request, queries.column(request.session, request.workflow.id, column_id), {})


def _column(
    request: Request, column: Column, problems: dict[str, str], *, message: str = "", status: int = 200
) -> Answer:
    session, row_count = request.session, request.workflow.row_count or 0
    everybody = scope.everybody(request.workflow.id, [column])
    columns = queries.columns(session, request.workflow.id)
    now = settings.of(session, column)
    return render(
        "tables/columns/column.html", status=422 if problems else status, column=column, now=now, problems=problems,
        message=message, form=request.form.as_dict(), type_names=cells.TYPE_NAMES, can_edit=can_edit(request),
        spread=statistics.spreads(session, everybody, [column], row_count)[column.id],
        allowed=lists.written(column.allowed_values, column.type, zone_of(request)), zone=zone_of(request),
        recipe=recipes.formula(column.recipe), trouble=_troubles(columns).get(column.id, ""),
        made=recipes.words(column.recipe, {other.id: other.name for other in columns}), seen=now.seal(),
        shown=cells.shown, written=cells.written,
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/columns/{column_id}", method="POST", role=WorkflowRole.EDITOR)
def change_column(request: Request, column_id: int) -> Answer:
    """Save what is said of the column; a form that is out of date is shown again with what was typed."""
    _require_table(request)
    column = queries.column(request.session, request.workflow.id, column_id)
    if request.form.get("seen") != settings.of(request.session, column).seal():
        message = "Somebody changed this column meanwhile. What you typed is below; save again to put it in place of "
        message += f"what is there now: {_now(request, column)}."
        return _column(request, column, {}, message=message, status=409)
    try:
        wanted = forms.changed(request.form, zone_of(request), column)
        event_id = settings.change(request.session, request.workflow, request.user.id, column, wanted)
    except errors.Invalid as error:
        return _column(request, column, error.fields)
    flash = Flash(f"“{column.name}” is saved.", undo_url=undo_of(request, event_id)) if event_id else "Nothing changed."
    return redirect("tables.list_columns", workflow_id=request.workflow.id, flash=flash)


def _now(request: Request, column: Column) -> str:
    """Say what the column's settings are, where they differ from what was typed."""
    typed, told = request.form, []
    if typed.get("name") != column.name:
        told.append(f"its name is “{column.name}”")
    if typed.get("description") != column.description:
        told.append(f"its description is “{column.description}”")
    if typed.checked("is_key") != column.is_key:
        told.append("it tells learners apart" if column.is_key else "it does not tell learners apart")
    listed = lists.written(column.allowed_values, column.type, zone_of(request))
    if typed.get("allowed").split() != listed.split():
        told.append("it takes certain values only" if column.allowed_values else "it takes any value")
    told.append(f"it is number {settings.of(request.session, column).position} of the table")
    return "; ".join(told)


@page(bp, "/workflows/{workflow_id}/columns/new/{kind}", role=WorkflowRole.EDITOR)
def show_new_column(request: Request, kind: str) -> Answer:
    """Show the form of a new column: one that people fill, a formula, or random groups."""
    return _new(request, kind, {})


_KINDS = {"column", "formula", "groups"}


def _new(request: Request, kind: str, problems: dict[str, str]) -> Answer:
    if kind not in _KINDS:
        raise errors.NotFound
    _require_table(request)
    columns = queries.columns(request.session, request.workflow.id)
    ticked = request.form.all("sources")
    # Those that were ticked stay in the order in which they came.
    in_order = sorted(columns, key=lambda c: ticked.index(str(c.id)) if str(c.id) in ticked else len(ticked))
    return render(
        f"tables/columns/new_{kind}.html", status=422 if problems else 200, columns=columns, problems=problems,
        form=request.form.as_dict(), type_names=cells.TYPE_NAMES, operations=recipes.OPERATIONS, ticked=ticked,
        sources=in_order, last=len(columns) + 1,
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/columns/new/{kind}", method="POST", role=WorkflowRole.EDITOR)
def add_column(request: Request, kind: str) -> Answer:
    """Add the column and go to its page; nothing is added when a field does not fit."""
    if kind not in _KINDS:
        raise errors.NotFound
    _require_table(request)
    try:
        if kind in {changes.FORMULA, changes.GROUPS}:
            return make(request, kind)
        details, initial = forms.new(request.form, zone_of(request))
        column = create.add(request.session, request.workflow, request.user.id, details, initial)
    except errors.Invalid as error:
        return _new(request, kind, error.fields or {"name": error.message})
    flash = f"“{column.name}” is in the table."
    return redirect("tables.show_column", workflow_id=request.workflow.id, column_id=column.id, flash=flash)
