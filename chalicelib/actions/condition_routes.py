"""Who gets a message and which parts they see: its filter, its conditions, live counts."""

from __future__ import annotations

from typing import Any

from chalice import Blueprint

from chalicelib import errors, seals
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import conditions, forms, service, versions
from chalicelib.actions.editor import Editor
from chalicelib.actions.kinds import Kind
from chalicelib.actions.models import Condition
from chalicelib.actions.routes import ACTION, editor_pages, open_editor, row_of
from chalicelib.actions.surveys import service as surveys
from chalicelib.formulas import builder
from chalicelib.formulas import forms as formulas
from chalicelib.formulas.check import check
from chalicelib.formulas.words import words
from chalicelib.schedules import needs, plans
from chalicelib.tables.views import queries as view_queries
from chalicelib.tables.views import service as views
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

FILTER, CONDITIONS = ACTION + "/filter", ACTION + "/conditions"
CONDITION = CONDITIONS + "/{condition_id}"


@page(bp, FILTER, role=WorkflowRole.EDITOR)
def show_filter(request: Request, action_id: int) -> Answer:
    """Open the rules that say who gets the message."""
    editor = open_editor(request, action_id)
    return _filter_panel(request, editor, editor.action.filter)


@page(bp, FILTER, method="POST", role=WorkflowRole.EDITOR)
def change_filter(request: Request, action_id: int) -> Answer:
    """Store the rules; none means everybody."""
    editor = open_editor(request, action_id, lock=True)
    if request.form.checked("leave"):
        service.leave_view(request.session, request.user.id, editor.action)
        return _filter_panel(request, editor, editor.action.filter)
    if request.form.checked("use"):
        return _use_view(request, editor)
    formula = formulas.read(request.form.get("formula"))
    try:
        service.set_filter(
            request.session, request.user.id, editor.action, formula, editor.columns, editor.workflow.time_zone,
            seen=request.form.get("seen"),
        )  # fmt: skip
    except errors.Invalid as error:
        return _filter_panel(request, editor, formula, {"formula": error.message})
    except seals.Stale as error:
        return _filter_panel(request, editor, formula, error.fields, error.status)
    if editor.action.view_id is not None:
        views.set_filter(
            request.session, request.user.id, editor.workflow, editor.action.view_id, editor.action.filter
        )  # fmt: skip
    return _back(request, editor, "Saved.")


def _use_view(request: Request, editor: Editor) -> Answer:
    view = view_queries.find(request.session, editor.workflow.id, request.form.whole("view"))
    problem = ""
    if view is None or not view.filter:
        problem = "Choose a view that has rules."
    elif editor.action.filter and not request.form.checked("replace"):
        problem = "Tick that its rules take the place of these."
    elif broken := editor.problem_of(view.filter):
        problem = f"The rules of this view can’t be used: {broken}"
    if problem or view is None:
        return _filter_panel(request, editor, editor.action.filter, {"view": problem})
    service.use_view(request.session, request.user.id, editor.action, view.id, dict(view.filter or {}))
    return _back(request, editor, f"The rules are those of the view “{view.name}” now.")


@page(bp, ACTION + "/count", method="POST", role=WorkflowRole.EDITOR)
def count_matches(request: Request, action_id: int) -> Answer:
    """Show for how many the rules in the form hold, in words, and the first ten of them; nothing is stored."""
    editor = open_editor(request, action_id)
    is_filter = request.form.get("what") == "filter"
    within = None if is_filter or editor.problem_of(editor.action.filter) else editor.action.filter
    context: dict[str, Any] = {"action": editor.action, "is_filter": is_filter, "problem": "", "sentence": ""}
    try:
        formula = formulas.read(request.form.get("formula"))
        if formula is not None:
            formula = check(formula, editor.columns, editor.workflow.time_zone)
        count = editor.count(formula, within)
    except errors.Invalid as error:
        return render("actions/_count.html", **context | {"problem": error.message})
    return render(
        "actions/_count.html", **context | {"sentence": words(formula, editor.columns)}, count=count,
        is_empty=formula is None, learners=editor.audience.matching(formula, within=within),
    )  # fmt: skip


@page(bp, CONDITIONS, role=WorkflowRole.EDITOR)
def new_condition(request: Request, action_id: int) -> Answer:
    """Open an empty condition beside the text."""
    editor = open_editor(request, action_id)
    return _condition_panel(request, editor, None)


@page(bp, CONDITIONS, method="POST", role=WorkflowRole.EDITOR)
def create_condition(request: Request, action_id: int) -> Answer:
    """Add a condition, or a copy of one of another message."""
    editor = open_editor(request, action_id)
    if request.form.checked("take"):
        return _take(request, editor)
    form = forms.condition(request.form)
    try:
        made = conditions.create(
            request.session, request.user.id, editor.action, form, editor.columns, editor.workflow.time_zone
        )  # fmt: skip
    except errors.Invalid as error:
        return _condition_panel(request, editor, None, form, error.fields)
    return _back(request, editor, f"“{made.name}” can be used in the text now.", made.id)


def _take(request: Request, editor: Editor) -> Answer:
    try:
        twin = conditions.copy_from(
            request.session, request.user.id, editor.action, request.form.whole("take_from") or 0, editor.columns
        )  # fmt: skip
    except errors.Invalid as error:
        return _condition_panel(request, editor, None, None, error.fields)
    note = f"“{twin.name}” is copied and can be used in the text now."
    return _back(request, Editor(request.session, editor.workflow, editor.action), note, twin.id)


@page(bp, CONDITION, role=WorkflowRole.EDITOR)
def show_condition(request: Request, action_id: int, condition_id: int) -> Answer:
    """Open a condition beside the text."""
    editor = open_editor(request, action_id)
    return _condition_panel(request, editor, conditions.get(request.session, editor.action, condition_id))


@page(bp, CONDITION, method="POST", role=WorkflowRole.EDITOR)
def change_condition(request: Request, action_id: int, condition_id: int) -> Answer:
    """Store a condition's name and rules."""
    editor = open_editor(request, action_id)
    condition = conditions.get(request.session, editor.action, condition_id)
    form, name = forms.condition(request.form), condition.name
    try:
        conditions.change(
            request.session, request.user.id, editor.action, condition, form, editor.columns,
            editor.workflow.time_zone,
        )  # fmt: skip
    except (errors.Invalid, seals.Stale) as error:
        return _condition_panel(request, editor, condition, form, error.fields, error.status)
    if condition.name != name:  # the text on the page still has the old one
        return redirect(
            "actions.show_action", workflow_id=request.workflow.id, action_id=action_id, row=request.form.get("row"),
            flash="Saved.",
        )  # fmt: skip
    return _back(request, editor, "Saved.")


@page(bp, CONDITION + "/copy", method="POST", role=WorkflowRole.EDITOR)
def copy_condition(request: Request, action_id: int, condition_id: int) -> Answer:
    """Add a copy of a condition and open it."""
    editor = open_editor(request, action_id)
    condition = conditions.get(request.session, editor.action, condition_id)
    twin = conditions.copy(request.session, request.user.id, editor.action, condition, editor.columns)
    return redirect(
        "actions.show_condition", workflow_id=request.workflow.id, action_id=action_id, condition_id=twin.id,
        flash=f"This is the copy: “{twin.name}”.",
    )  # fmt: skip


@page(bp, CONDITION + "/delete", method="POST", role=WorkflowRole.EDITOR)
def delete_condition(request: Request, action_id: int, condition_id: int) -> Answer:
    """Put a condition aside, with an undo; asks first what shall become of the words that depend on it."""
    editor = open_editor(request, action_id, lock=True)
    condition = conditions.get(request.session, editor.action, condition_id)
    keeps_content = {"keep": True, "remove": False}.get(request.form.get("content"))
    before = editor.action.text
    try:
        conditions.delete(
            request.session, request.user.id, editor.action, condition, keeps_content=keeps_content
        )  # fmt: skip
    except errors.Conflict as error:
        typed = forms.condition(request.form) if "formula" in request.form else None
        return _condition_panel(request, editor, condition, typed, {"delete": error.message})
    here = {"workflow_id": request.workflow.id, "action_id": action_id}
    is_written = editor.action.text != before
    text = versions.find(request.session, editor.action, before) if is_written else None
    undo = url_for("actions.restore_condition", condition_id=condition.id, text=text, **here)
    freed = surveys.depending(request.session, editor.action, condition.id)
    also = f" {freed} question{'s are' if freed != 1 else ' is'} asked of everybody now." if freed else ""
    note = Flash(f"“{condition.name}” is deleted.{also}", undo_url=undo)
    if is_written:  # the text on the page still has it
        return redirect("actions.show_action", row=request.form.get("row"), flash=note, **here)
    return _back(request, editor, note)


@page(bp, CONDITION + "/restore", method="POST", role=WorkflowRole.EDITOR)
def restore_condition(request: Request, action_id: int, condition_id: int) -> Answer:
    """Take a deleted condition back, and the text as it was before."""
    editor = open_editor(request, action_id, lock=True)
    condition = conditions.get(request.session, editor.action, condition_id, in_trash=True)
    conditions.restore(request.session, request.user.id, editor.action, condition, editor.columns)
    if version := request.query.whole("text"):
        service.restore_text(request.session, request.user.id, editor.action, version)
    return _back(request, editor, f"“{condition.name}” is back.")


def _condition_panel(
    request: Request,
    editor: Editor,
    condition: Condition | None,
    form: forms.ConditionForm | None = None,
    problems: dict[str, str] | None = None,
    status: int = 422,
) -> Answer:
    stored = condition.formula if condition else None
    needing = needs.using(request.session, editor.workflow.id, {f"k{condition.id}"}) if condition else []
    return _panel(
        request, editor, "actions/_condition.html", problems=problems, status=status, condition=condition,
        schedules=plans.named(needing),
        elsewhere=[] if condition else conditions.elsewhere(request.session, editor.action),
        seal=seals.seal(conditions.shown(condition)) if condition else "", formula=form.formula if form else stored,
    )  # fmt: skip


def _filter_panel(
    request: Request, editor: Editor, formula: Any, problems: dict[str, str] | None = None, status: int = 422
) -> Answer:
    seal = seals.seal({"formula": editor.action.filter})
    view_id = editor.action.view_id
    return _panel(
        request, editor, "actions/_filter.html", problems=problems, status=status, seal=seal, formula=formula,
        views=[one for one in view_queries.listed(request.session, editor.workflow.id) if one.filter],
        sharing=len(view_queries.followers(request.session, view_id)) if view_id else 0,
    )  # fmt: skip


def _panel(
    request: Request, editor: Editor, template: str, *, problems: dict[str, str] | None = None, status: int = 422,
    **context: Any,
) -> Answer:  # fmt: skip
    # After telling of somebody else's change the next save is meant to go over it, so the old seal goes.
    context["seen"] = "" if status == seals.Stale.status else request.form.get("seen")
    context["rule_problems"] = editor.problems_of(context["formula"])
    context["view"] = view_queries.find(request.session, editor.workflow.id, editor.action.view_id)
    if not request.wants_part:
        show = editor_pages[Kind(editor.action.kind)]
        return show(request, editor, panel=template, problems=problems, **context)
    return render(
        template, status=status if problems else 200, action=editor.action, problems=problems or {},
        form=request.form.as_dict(), builder=builder.data(editor.columns, editor.workflow.time_zone),
        row=row_of(request), **context,
    )  # fmt: skip


def _back(request: Request, editor: Editor, note: Flash | str, made: int | None = None) -> Answer:
    if request.wants_part:
        fresh = Editor(request.session, editor.workflow, editor.action)
        shown = Flash(note) if isinstance(note, str) else note
        return render("actions/_changed.html", names=fresh.names_data, made=made or "", note=shown)
    return redirect(
        "actions.show_action", workflow_id=request.workflow.id, action_id=editor.action.id,
        row=request.form.get("row"), flash=note,
    )  # fmt: skip
