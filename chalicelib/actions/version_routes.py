"""The versions of a text: who wrote what and when, what is different, and the way back."""

from __future__ import annotations

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import service, versions
from chalicelib.actions.compare import compare
from chalicelib.actions.editor import Editor
from chalicelib.actions.routes import ACTION, can_edit, open_editor
from chalicelib.actions.versions import Version
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

VERSIONS = ACTION + "/versions"


@page(bp, VERSIONS, role=WorkflowRole.VIEWER)
def show_versions(request: Request, action_id: int) -> Answer:
    """Show the versions of the text; one of them beside the text before it, or beside another one."""
    editor = open_editor(request, action_id)
    kept = versions.kept(request.session, editor.action)
    chosen = _chosen(kept, request.query.whole("version"))
    other = _other(kept, chosen, request.query.whole("beside"))
    return render(
        "actions/versions.html", action=editor.action, kept=kept, chosen=chosen, other=other,
        most=versions.MAX_KEPT, can_edit=can_edit(request),
        comparison=compare(_written(editor, other), _written(editor, chosen)) if chosen else None,
    )  # fmt: skip


def _chosen(kept: list[Version], version_id: int | None) -> Version | None:
    if version_id is None:
        return kept[0] if kept else None
    found = next((one for one in kept if one.id == version_id), None)
    if found is None:
        raise errors.NotFound("This version is not kept any more.")
    return found


def _other(kept: list[Version], chosen: Version | None, beside: int | None) -> Version | None:
    """Return what is compared with: the version that was asked for, or the one before."""
    if chosen is None:
        return None
    if beside is not None:
        return _chosen(kept, beside)
    at = kept.index(chosen) + 1
    return kept[at] if at < len(kept) else None


def _written(editor: Editor, version: Version | None) -> str:
    return editor.written(version.text) if version else ""


@page(bp, VERSIONS, method="POST", role=WorkflowRole.EDITOR)
def restore_version(request: Request, action_id: int) -> Answer:
    """Put an earlier version in the place of the text, with an undo: the text of now stays a version."""
    editor = open_editor(request, action_id, lock=True)
    before = editor.action.text
    service.restore_text(request.session, request.user.id, editor.action, request.query.whole("version") or 0)
    versions.drop_draft(request.session, request.user.id, editor.action)
    here = {"workflow_id": request.workflow.id, "action_id": action_id}
    last = versions.find(request.session, editor.action, before)
    undo = url_for("actions.restore_version", **here, version=last) if last else ""
    return redirect("actions.show_action", **here, flash=Flash("This is the earlier text.", undo_url=undo))
