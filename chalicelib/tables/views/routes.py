"""Views: their form with a live count, copies, deletion, messages for their learners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.formulas import builder
from chalicelib.formulas import forms as formulas
from chalicelib.formulas.check import check
from chalicelib.formulas.words import words
from chalicelib.schedules import plans
from chalicelib.tables import queries as tables
from chalicelib.tables import scope, state
from chalicelib.tables.models import View
from chalicelib.tables.views import forms, queries, service
from chalicelib.tables.views.service import Draft
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

VIEWS = "/workflows/{workflow_id}/views"
VIEW = VIEWS + "/{view_id}"


@page(bp, VIEWS, role=WorkflowRole.EDITOR)
def show_new_view(request: Request) -> Answer:
    """Show the form of a new view, filled with what the table's page showed."""
    _has_table(request)
    shown = state.read(request.session, request.workflow, request.query, request.user.time_zone)
    return _form(request, None, forms.of_table(shown))


@page(bp, VIEWS, method="POST", role=WorkflowRole.EDITOR)
def create_view(request: Request) -> Answer:
    """Add a view and show it; with `action=count` say only how many learners it would show."""
    _has_table(request)
    if request.form.get("action") == "count":
        return _count(request)
    draft = forms.draft(request.form)
    try:
        view = service.create(request.session, request.user.id, request.workflow, draft)
    except errors.Invalid as error:
        return _form(request, None, draft, error.fields)
    return _show(request, view, f"“{view.name}” is saved.")


@page(bp, VIEW, role=WorkflowRole.EDITOR)
def show_view(request: Request, view_id: int) -> Answer:
    """Show the form of a view, and what else can be done with it."""
    view = queries.get(request.session, request.workflow.id, view_id)
    return _form(request, view, forms.of(view))


@page(bp, VIEW, method="POST", role=WorkflowRole.EDITOR)
def change_view(request: Request, view_id: int) -> Answer:
    """Save a view, or do with it what `action` says: copy, delete, restore, or write to its learners."""
    action = request.form.get("action") or request.query.get("action")  # an undo has nothing but its address
    view = queries.get(request.session, request.workflow.id, view_id, in_trash=action == "restore", lock=True)
    doing = {"copy": _copy, "delete": _delete, "restore": _restore, "message": _message}.get(action, _save)
    return doing(request, view)


def _save(request: Request, view: View) -> Answer:
    draft = forms.draft(request.form)
    try:
        service.change(
            request.session, request.user.id, request.workflow, view, draft, request.form.whole("version") or 0
        )
    except errors.Invalid as error:
        return _form(request, view, draft, error.fields)
    except service.Stale as error:
        return _form(request, view, draft, message=error.message, changes=error.changes)
    return _show(request, view, f"“{view.name}” is saved.")


def _copy(request: Request, view: View) -> Answer:
    twin = service.copy(request.session, request.user.id, request.workflow, view)
    return _show(request, twin, f"This is the copy: “{twin.name}”.")


def _delete(request: Request, view: View) -> Answer:
    names = _names(queries.followers(request.session, view.id))
    reports = _names(queries.reports(request.session, view.id))
    service.delete(request.session, request.user.id, request.workflow, view)
    undo = url_for("tables.change_view", workflow_id=request.workflow.id, view_id=view.id, action="restore")
    kept = f" {names} keep its filter." if names else ""
    lost = f" Not to be sent without it: {reports}." if reports else ""
    flash = Flash(f"The view “{view.name}” is deleted; its learners are still in the table.{kept}{lost}", undo_url=undo)
    return redirect("tables.show_table", workflow_id=request.workflow.id, flash=flash)


def _names(found: Sequence[queries.Follower]) -> str:
    return ", ".join(f"“{one.name}”" for one in found)


def _restore(request: Request, view: View) -> Answer:
    service.restore(request.session, request.user.id, request.workflow, view)
    return _show(request, view, f"“{view.name}” is back.")


def _message(request: Request, view: View) -> Answer:
    action_id = service.message(request.session, request.user.id, request.workflow, view)
    flash = f"This message is for the learners of “{view.name}”. The two share their filter."
    return redirect("actions.show_action", workflow_id=request.workflow.id, action_id=action_id, flash=flash)


def _has_table(request: Request) -> None:
    if request.workflow.row_count is None:
        raise errors.NotFound("There are no learners yet, so there is nothing to look at.")


def _show(request: Request, view: View, flash: str) -> Answer:
    return redirect("tables.show_table", workflow_id=request.workflow.id, view=view.id, flash=flash)


def _form(
    request: Request, view: View | None, draft: Draft, problems: dict[str, str] | None = None,
    message: str = "", changes: list[str] | None = None,
) -> Answer:  # fmt: skip
    columns = tables.columns(request.session, request.workflow.id)
    infos = {column.id: tables.info(column) for column in columns}
    return render(
        "tables/views/form.html", status=422 if problems else 409 if changes else 200, view=view, draft=draft,
        version=view.version if view else 0, columns=forms.in_order(draft, columns), problems=problems or {},
        message=message, changes=changes or [], sort_fields=forms.sort_fields(draft), sortable=columns,
        followers=queries.followers(request.session, view.id) if view else [],
        schedules=plans.named(service.schedules_with(request.session, view)) if view else "",
        reports=queries.reports(request.session, view.id) if view else [],
        builder=builder.data(infos, request.workflow.time_zone), rule_problems=_rule_problems(request, draft, infos),
    )  # fmt: skip


def _rule_problems(request: Request, draft: Draft, infos: Any) -> dict[str, str]:
    if draft.filter is None:
        return {}
    try:
        check(draft.filter, infos, request.workflow.time_zone)
    except errors.Invalid as error:
        return error.fields
    return {}


def _count(request: Request) -> Answer:
    """Say for how many learners the rules in the form hold; nothing is stored."""
    infos = tables.infos(request.session, request.workflow.id)
    zone = request.workflow.time_zone
    try:
        formula = formulas.read(request.form.get("formula"))
        formula = None if formula is None else check(formula, infos, zone)
        found, _ = scope.count(request.session, scope.Scope(request.workflow.id, infos, formula, zone))
    except errors.Invalid as error:
        return render("tables/views/_count.html", problem=error.message, found=0, sentence="")
    return render("tables/views/_count.html", problem="", found=found, sentence=words(formula, infos))
