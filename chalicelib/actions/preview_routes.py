"""One learner's version of a message: shown, searched for, sent to oneself."""

from __future__ import annotations

from chalice import Blueprint
from markupsafe import escape

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import preview
from chalicelib.actions.editor import Editor
from chalicelib.actions.kinds import KINDS, Channel, Kind
from chalicelib.actions.routes import ACTION, can_edit, open_editor, previews, row_of, subject_of
from chalicelib.delivery import queries as delivery_queries
from chalicelib.delivery import service as delivery
from chalicelib.delivery.reporting import service as reporting
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, document, redirect, render

bp = Blueprint(__name__)


@page(bp, ACTION + "/learner", role=WorkflowRole.VIEWER)
def show_learner(request: Request, action_id: int) -> Answer:
    """Show another learner's version; the part of the page on the right."""
    editor = open_editor(request, action_id)
    none_holds = request.query.get("none") == "1"
    learner = editor.learner(row_of(request), none_holds=none_holds)
    return render(
        "actions/_preview.html", action=editor.action, who=editor.who, none_holds=none_holds, find="", found=[],
        learner=learner, subject=subject_of(editor, learner), can_edit=can_edit(request),
    )  # fmt: skip


@page(bp, ACTION + "/learners", role=WorkflowRole.VIEWER)
def find_learners(request: Request, action_id: int) -> Answer:
    """Show the learners a search found."""
    editor = open_editor(request, action_id)
    find = request.query.get("find")
    found = [] if editor.who.problem else editor.audience.search(find)
    return render("actions/_found.html", action=editor.action, find=find, found=found)


@page(bp, ACTION + "/preview", role=WorkflowRole.VIEWER)
def show_preview(request: Request, action_id: int) -> Answer:
    """Show the message as one learner reads it, for the frame on the page."""
    editor = open_editor(request, action_id)
    kind = Kind(editor.action.kind)
    learner = editor.learner(row_of(request)) if KINDS[kind].per_learner else None
    show = previews.get(kind)
    if show and (learner or not KINDS[kind].per_learner):
        return show(request, editor, learner)
    if learner is None:
        raise errors.NotFound
    if editor.trouble:
        return document(preview.PAGE.format("Problem", escape(editor.trouble)))
    try:
        shown = preview.page(
            editor.workflow, editor.action, learner, editor.fixed, editor.criteria, mark=editor.names.name
        )  # fmt: skip
        return document(shown)
    except errors.Invalid as error:
        return document(preview.PAGE.format("Problem", escape(error.message)))


@page(bp, ACTION + "/test", method="POST", role=WorkflowRole.EDITOR)
def send_test(request: Request, action_id: int) -> Answer:
    """Send one learner's version to the visitor's own address."""
    editor = open_editor(request, action_id)
    if editor.action.kind == Kind.REPORT:
        return _send_report(request, editor)
    if KINDS[Kind(editor.action.kind)].channel is Channel.PUSH:
        raise errors.NotFound
    row_id = row_of(request)
    here = {"workflow_id": request.workflow.id, "action_id": action_id, "row": row_id}
    learner = None if row_id is None else editor.learner(row_id)
    if learner is None or learner.row_id != row_id:
        message = "This learner is not in the table any more. Choose another one."
        return redirect("actions.show_action", **here | {"row": None}, flash=Flash(message, "danger"))
    if editor.trouble:
        return redirect("actions.show_action", **here, flash=Flash(editor.trouble, "danger"))
    subject = str(delivery_queries.defaults(request.session, editor.action, request.workflow.id).get("subject", ""))
    try:
        delivery.send_test(request.session, request.user, request.workflow, editor.action, learner.row_id, subject)
    except errors.Invalid as error:
        return redirect("actions.show_action", **here, flash=Flash(error.message, "danger"))
    message = f"On its way to {request.user.email}: the message as {learner.name} would get it."
    return redirect("actions.show_action", **here, flash=message)


def _send_report(request: Request, editor: Editor) -> Answer:
    """Send a report as it is now to the visitor."""
    here = {"workflow_id": request.workflow.id, "action_id": editor.action.id}
    subject = str(delivery_queries.defaults(request.session, editor.action, request.workflow.id).get("subject", ""))
    try:
        reporting.send_test(request.session, request.user, request.workflow, editor.action, subject)
    except errors.Invalid as error:
        return redirect("actions.show_action", **here, flash=Flash(error.message, "danger"))
    message = f"On its way to {request.user.email}: the report with its files."
    return redirect("actions.show_action", **here, flash=message)
