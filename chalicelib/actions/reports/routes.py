"""The page of a report: its text with tables, what it will look like, the views that go with it as files."""

from __future__ import annotations

from typing import Any

from chalice import Blueprint
from markupsafe import escape

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import preview
from chalicelib.actions.editor import Editor
from chalicelib.actions.kinds import Kind
from chalicelib.actions.reports import queries, service
from chalicelib.actions.reports.kinds import FORMATS
from chalicelib.actions.routes import ACTION, editor_of, open_editor, preview_of, show_desk
from chalicelib.delivery.reporting import service as reporting
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, document, redirect
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

ATTACHMENTS = ACTION + "/attachments"


def open_report(request: Request, action_id: int) -> Editor:
    """Return the report of the path, locked.

    Raises errors.NotFound when the action is none.
    """
    editor = open_editor(request, action_id, lock=True)
    if editor.action.kind != Kind.REPORT:
        raise errors.NotFound
    return editor


@editor_of(Kind.REPORT)
def show_report_editor(
    request: Request, editor: Editor, *, panel: str = "", problems: dict[str, str] | None = None,
    text: str | None = None, **context: Any,
) -> Answer:  # fmt: skip
    """Answer with the page of a report."""
    files = queries.files(
        request.session, editor.action.id, editor.workflow.id, editor.columns, editor.workflow.time_zone
    )  # fmt: skip
    return show_desk(
        request, editor, "actions/reports/editor.html", panel=panel, problems=problems, text=text, files=files,
        formats=FORMATS, unattached=queries.unattached(request.session, editor.workflow.id, files), **context,
    )  # fmt: skip


@preview_of(Kind.REPORT)
def show_report_preview(request: Request, editor: Editor, learner: Any) -> Answer:
    """Show the report as it would arrive now, for the frame on the page."""
    del learner  # it is the same for everybody
    if not editor.action.text.strip():
        return document(preview.PAGE.format("The report", ""))
    try:
        draft = reporting.draft(request.session, request.workflow, editor.action)
    except errors.Invalid as error:
        return document(preview.PAGE.format("Problem", escape(error.message)))
    return document(preview.PAGE.format("The report", draft.mail.html))


@page(bp, ATTACHMENTS, method="POST", role=WorkflowRole.EDITOR)
def attach_view(request: Request, action_id: int) -> Answer:
    """Have the report carry a view as a file; the fields may come from the address, when that takes something back."""
    editor = open_report(request, action_id)
    values = request.form if "view_id" in request.form else request.query
    try:
        made = service.attach(
            request.session, request.user.id, editor.action, values.whole("view_id"), values.get("format")
        )  # fmt: skip
    except errors.Invalid as error:
        return show_report_editor(request, editor, problems=error.fields)
    return _back(request, editor, f"Attached as a {FORMATS[made.format]} file.")


@page(bp, ATTACHMENTS + "/{attachment_id}", method="POST", role=WorkflowRole.EDITOR)
def change_attachment(request: Request, action_id: int, attachment_id: int) -> Answer:
    """Have the file be of another kind, or take it off."""
    editor = open_report(request, action_id)
    attachment = service.get(request.session, editor.action, attachment_id)
    if request.form.get("do") != "remove":
        service.change(request.session, request.user.id, editor.action, attachment, request.form.get("format"))
        return _back(request, editor, "Saved.")
    view_id, kind = attachment.view_id, attachment.format
    service.detach(request.session, request.user.id, editor.action, attachment)
    undo = url_for(
        "actions.attach_view", workflow_id=request.workflow.id, action_id=action_id, view_id=view_id, format=kind
    )  # fmt: skip
    return _back(request, editor, Flash("The file is off the report. The view is still there.", undo_url=undo))


def _back(request: Request, editor: Editor, note: Flash | str) -> Answer:
    return redirect(
        "actions.show_action", workflow_id=request.workflow.id, action_id=editor.action.id, flash=note
    )  # fmt: skip
