"""What is done with one column: another type or formula, a copy, a list of its values, taking it out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.tables import cells, changes, queries
from chalicelib.tables.change_routes import make
from chalicelib.tables.columns import forms, lists, recipes, redefine, remove, retype, settings, uses
from chalicelib.tables.columns.routes import NO_TABLE, undo_of
from chalicelib.tables.models import Column
from chalicelib.tables.routes import zone_of
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render

bp = Blueprint(__name__)


def _column(request: Request, column_id: int) -> Column:
    if request.workflow.row_count is None:
        raise errors.NotFound(NO_TABLE)
    return queries.column(request.session, request.workflow.id, column_id)


@page(bp, "/workflows/{workflow_id}/columns/{column_id}/{step}", role=WorkflowRole.EDITOR)
def show_column_step(request: Request, column_id: int, step: str) -> Answer:
    """Show what a step would do, before it is done."""
    column = _column(request, column_id)
    if step == "type":
        return _show_type(request, column)
    if step == "formula":
        return _show_formula(request, column)
    if step == "restrict":
        return _show_values(request, column)
    if step == "delete":
        return _show_delete(request, column)
    raise errors.NotFound


def _show_type(request: Request, column: Column, message: str = "") -> Answer:
    choice = request.form.get("to") or request.query.get("to")
    found = retype.preview(request.session, request.workflow, column, choice) if choice else None
    return render(
        "tables/columns/type.html", status=409 if message else 200, column=column, choice=choice, preview=found,
        choices=retype.CHOICES[column.type], type_names=cells.TYPE_NAMES, message=message, listed=retype.LISTED,
    )  # fmt: skip


def _show_values(request: Request, column: Column, message: str = "") -> Answer:
    try:
        values = settings.present(request.session, request.workflow, column)
    except errors.Invalid as error:
        values, message = [], error.message
    shown = lists.written(values, column.type, zone_of(request)).split("\n")
    return render(
        "tables/columns/restrict.html", status=409 if message else 200, column=column, values=values, shown=shown,
        seen=settings.seal_of(values), message=message, many=settings.MANY,
    )  # fmt: skip


def _show_delete(request: Request, column: Column) -> Answer:
    return render(
        "tables/columns/delete.html", column=column, refusal=remove.refusal(request.session, column),
        uses=uses.of_column(request.session, request.workflow, column),
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/columns/{column_id}/{step}", method="POST", role=WorkflowRole.EDITOR)
def do_column_step(request: Request, column_id: int, step: str) -> Answer:
    """Do a step as it was shown."""
    column = _column(request, column_id)
    do = {
        "type": _change_type, "restrict": _restrict, "delete": _delete, "copy": _copy, "compute": _compute,
        "formula": _redefine,
    }.get(step)  # fmt: skip
    if do is None:
        raise errors.NotFound
    return do(request, column)


def _change_type(request: Request, column: Column) -> Answer:
    try:
        return make(request, changes.RETYPE, column=column.id)
    except (errors.Conflict, errors.Invalid) as error:
        return _show_type(request, column, error.message)


def _show_formula(
    request: Request, column: Column, *, message: str = "", problems: Mapping[str, str] | None = None
) -> Answer:
    """Show the formula, or what was typed in its form; with a form that can be worked out, what that would change."""
    recipe = recipes.formula(column.recipe)
    if recipe is None:
        raise errors.NotFound
    columns = queries.columns(request.session, request.workflow.id)
    form, ticked, found = request.form.as_dict(), request.form.all("sources"), None
    if not form:
        form, ticked = forms.defined(recipe), [str(key) for key in recipe.sources]
    elif not problems:
        try:
            wanted = forms.definition(request.form, zone_of(request), columns)
            found = redefine.preview(request.session, request.workflow, column, wanted)
        except errors.Invalid as error:
            problems = error.fields
    order = [*ticked, *(str(other.id) for other in columns if str(other.id) not in ticked)]
    return render(
        "tables/columns/formula.html", status=422 if problems else 409 if message else 200, column=column, form=form,
        problems=problems or {}, message=message, preview=found, ticked=ticked, type_names=cells.TYPE_NAMES,
        sources=sorted((other for other in columns if other.id != column.id), key=lambda c: order.index(str(c.id))),
        operations=recipes.OPERATIONS, shown=_typed(request),
        made=recipes.words(column.recipe, {other.id: other.name for other in columns}),
    )  # fmt: skip


def _typed(request: Request) -> str:
    """Return a short text that says which formula was typed."""
    told = {"op", "sources", "separator", "ignore_missing", "keep"}
    fields = {
        name: values for name, values in request.form.lists().items() if name in told or name.startswith("weight-")
    }
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:20]


def _redefine(request: Request, column: Column) -> Answer:
    """Show what the typed formula would change; save it once just that was shown."""
    if request.form.get("shown") != _typed(request):
        return _show_formula(request, column)
    try:
        return make(request, changes.REDEFINE, column=column.id)
    except errors.Conflict as error:
        return _show_formula(request, column, message=error.message)
    except errors.Invalid as error:
        return _show_formula(request, column, problems=error.fields or {"sources": error.message})


def _to_list(request: Request, flash: Flash) -> Answer:
    return redirect("tables.list_columns", workflow_id=request.workflow.id, flash=flash)


def _restrict(request: Request, column: Column) -> Answer:
    try:
        event_id = settings.restrict(
            request.session, request.workflow, request.user.id, column, request.form.get("seen")
        )  # fmt: skip
    except (errors.Conflict, errors.Invalid) as error:
        return _show_values(request, column, error.message)
    return _to_list(
        request, Flash(f"“{column.name}” takes the listed values only.", undo_url=undo_of(request, event_id))
    )


def _delete(request: Request, column: Column) -> Answer:
    try:
        event_id = remove.delete(request.session, request.workflow, request.user.id, column)
    except errors.Invalid:
        return _show_delete(request, column)
    return _to_list(
        request, Flash(f"“{column.name}” is not in the table any more.", undo_url=undo_of(request, event_id))
    )


def _copy(request: Request, column: Column) -> Answer:
    return make(request, changes.COPY, column=column.id)


def _compute(request: Request, column: Column) -> Answer:
    """Work a formula column out again; `keep` (yes or no) says whether it stays up to date from now on."""
    return make(request, changes.COMPUTE, column=column.id)
