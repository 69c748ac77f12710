"""Which learners get which parts of a text, and how its conditions overlap."""

from __future__ import annotations

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import coverage, service, versions
from chalicelib.actions.editor import Editor
from chalicelib.actions.models import Condition
from chalicelib.actions.notices import of as notices_of
from chalicelib.actions.routes import ACTION, can_edit, open_editor
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

MAP = ACTION + "/map"
#: More make no table that anybody can read; people choose which ones.
MAX_BESIDE = 20


@page(bp, MAP, role=WorkflowRole.VIEWER)
def show_map(request: Request, action_id: int) -> Answer:
    """Show who gets which part, and for how many learners two conditions hold at once."""
    editor = open_editor(request, action_id)
    chosen = _chosen(editor, request.query.all("condition"))
    overlap = None
    if editor.coverage is not None:
        formulas = {one.id: one.formula for one in chosen}
        overlap = coverage.overlap(
            request.session, editor.workflow, editor.columns, editor.action.filter, formulas
        )  # fmt: skip
    return render(
        "actions/map.html", action=editor.action, editor=editor, who=editor.who, chosen=chosen, overlap=overlap,
        notices=notices_of(editor), can_edit=can_edit(request), most=MAX_BESIDE,
    )  # fmt: skip


def _chosen(editor: Editor, asked: list[str]) -> list[Condition]:
    wanted = [one for one in editor.usable if str(one.id) in asked]
    return (wanted or editor.usable)[:MAX_BESIDE]


@page(bp, MAP, method="POST", role=WorkflowRole.EDITOR)
def add_default(request: Request, action_id: int) -> Answer:
    """Have the text write something else where a value is missing, with an undo."""
    editor = open_editor(request, action_id, lock=True)
    here = {"workflow_id": request.workflow.id, "action_id": action_id}
    before = editor.action.text
    try:
        service.add_default(
            request.session, request.user.id, editor.action, request.form.whole("column") or 0,
            request.form.get("words"),
        )  # fmt: skip
    except errors.Invalid as error:
        return redirect("actions.show_action", **here, flash=Flash(error.message, "danger"))
    if editor.action.text == before:
        return redirect("actions.show_action", **here, flash="The text has a default for it already.")
    undo = url_for("actions.restore_version", **here, version=versions.find(request.session, editor.action, before))
    return redirect("actions.show_action", **here, flash=Flash("Written instead from now on.", undo_url=undo))
