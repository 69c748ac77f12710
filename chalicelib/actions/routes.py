"""One action: its page and its text; renaming, copying, deleting it. The list is in `list_routes`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from chalice import Blueprint

from chalicelib import errors, seals
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import notices, preview, service, versions
from chalicelib.actions.editor import Editor
from chalicelib.actions.kinds import Kind
from chalicelib.actions.language import TemplateError
from chalicelib.actions.models import Action
from chalicelib.actions.preview import Learner
from chalicelib.formulas import builder
from chalicelib.schedules import needs, plans
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, data, redirect, render
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

ACTIONS = "/workflows/{workflow_id}/actions"
ACTION = ACTIONS + "/{action_id}"


def open_editor(request: Request, action_id: int, *, lock: bool = False) -> Editor:
    """Return the message of the path.

    Raises errors.NotFound when the workflow has none with this id.
    """
    action = service.get(request.session, request.workflow.id, action_id, lock=lock)
    return Editor(request.session, request.workflow, action)


def show_editor(
    request: Request, editor: Editor, *, panel: str = "", problems: dict[str, str] | None = None,
    text: str | None = None, **context: Any,
) -> Answer:  # fmt: skip
    """Answer with the page of the message; `panel` is the template of what is open beside the text."""
    return show_desk(request, editor, "actions/editor.html", panel=panel, problems=problems, text=text, **context)


def show_desk(
    request: Request, editor: Editor, template: str, *, panel: str = "", problems: dict[str, str] | None = None,
    text: str | None = None, **context: Any,
) -> Answer:  # fmt: skip
    """Answer with a page that has a text, an open panel, one learner's version, and who gets it."""
    none_holds = request.query.get("none") == "1"
    find = request.query.get("find")
    learner = editor.learner(row_of(request), none_holds=none_holds)
    draft = versions.draft(request.session, request.user.id, editor.action) if text is None else None
    if text is None:
        text = draft.text if draft else editor.text
    return render(
        template, status=422 if problems else 200, editor=editor, action=editor.action, draft=draft,
        who=editor.who, text=text, notices=notices.of(editor), names=editor.names_data, panel=panel,
        problems=problems or {}, form=request.form.as_dict(), can_edit=can_edit(request),
        learner=learner, row=learner.row_id if learner else None, subject=subject_of(editor, learner),
        none_holds=none_holds, find=find,
        found=editor.audience.search(find) if find and not editor.who.problem else [],
        builder=builder.data(editor.columns, editor.workflow.time_zone), **context,
    )  # fmt: skip


def subject_of(editor: Editor, learner: Learner | None) -> str:
    """Return the subject as the learner would get it; nothing while there is none."""
    if learner is None:
        return ""
    return preview.subject(editor.workflow, editor.action, learner, editor.fixed)


def can_edit(request: Request) -> bool:
    """Tell whether the visitor may change messages."""
    return WorkflowRole(request.role).covers(WorkflowRole.EDITOR)


#: The pages of actions by kind. The rooms of the other kinds add theirs; their blueprints are imported by `app`.
#: They take what `show_editor` does: an open panel, what is wrong with its form, and what its template needs.
EditorPage = Callable[..., Answer]
editor_pages: dict[Kind, EditorPage] = {Kind.TEXT: show_editor}


def editor_of(*kinds: Kind) -> Callable[[EditorPage], EditorPage]:
    """Declare the page of the actions of these kinds."""

    def register(answer: EditorPage) -> EditorPage:
        editor_pages.update(dict.fromkeys(kinds, answer))
        return answer

    return register


#: What is checked of a text, by ids, beside its tags before it is stored; for kinds that are written for programs. It
#: returns what the author should know all the same.
Check = Callable[[Editor, str], str]
checks: dict[Kind, Check] = {}


def check_of(*kinds: Kind) -> Callable[[Check], Check]:
    """Declare what is checked of the texts of these kinds."""

    def register(check: Check) -> Check:
        checks.update(dict.fromkeys(kinds, check))
        return check

    return register


#: How one learner's version (None where there is one for all) is shown in its frame; others have a text.
Preview = Callable[[Request, Editor, Any], Answer]
previews: dict[Kind, Preview] = {}


def preview_of(*kinds: Kind) -> Callable[[Preview], Preview]:
    """Declare how one learner's version of these kinds is shown in its frame."""

    def register(answer: Preview) -> Preview:
        previews.update(dict.fromkeys(kinds, answer))
        return answer

    return register


def row_of(request: Request) -> int | None:
    """Return the learner's row named in the address; None when there is none or it is no number."""
    text = request.query.get("row") or request.form.get("row")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


@page(bp, ACTION, role=WorkflowRole.VIEWER)
def show_action(request: Request, action_id: int) -> Answer:
    """Show the text, one learner's version of it, and who gets it."""
    editor = open_editor(request, action_id)
    return _editor_page(editor)(request, editor)


def _editor_page(editor: Editor) -> EditorPage:
    return editor_pages[Kind(editor.action.kind)]


@page(bp, ACTION + "/text", method="POST", role=WorkflowRole.EDITOR)
def save_text(request: Request, action_id: int) -> Answer:
    """Store the text; answers in JSON to the script, with a page to a form that was sent without it.

    A text that can't be stored is kept as the visitor's draft.
    """
    editor = open_editor(request, action_id, lock=True)
    wants_json = "application/json" in request.headers.get("accept", "")
    if request.form.checked("drop_draft"):
        versions.drop_draft(request.session, request.user.id, editor.action)
        if wants_json:
            return data({"version": editor.action.version})
        here = {"workflow_id": request.workflow.id, "action_id": action_id, "row": row_of(request)}
        return redirect("actions.show_action", **here, flash="Your draft is gone; this is the text that is stored.")
    source, version = request.form.get("text").replace("\r\n", "\n"), request.form.whole("version") or 0
    try:
        check = checks.get(Kind(editor.action.kind))
        saved = service.save_text(
            request.session, request.user.id, editor.action, source, version, editor.names,
            partial(check, editor) if check else None,
        )  # fmt: skip
    except (errors.Conflict, errors.Invalid) as error:
        versions.put_aside(request.session, request.user.id, editor.action, source, version)
        answer = _refused(request, editor, error, source, wants_json=wants_json)
        answer.keep = True
        return answer
    versions.drop_draft(request.session, request.user.id, editor.action)
    if wants_json:
        return data({"version": saved.version, "removed": saved.removed} | ({"note": saved.note} if saved.note else {}))
    gone = f" Taken out, because mails can’t have it: {', '.join(saved.removed)}." if saved.removed else ""
    return redirect(
        "actions.show_action", workflow_id=request.workflow.id, action_id=action_id, row=row_of(request),
        flash=f"Saved.{gone} {saved.note}".strip(),
    )  # fmt: skip


def _refused(
    request: Request, editor: Editor, error: errors.Conflict | errors.Invalid, source: str, *, wants_json: bool
) -> Answer:
    if isinstance(error, errors.Conflict):
        if wants_json:
            current = {"version": editor.action.version, "text": editor.text}
            return data({"message": error.message, **current}, 409)
        hint = "Open the message in another tab to see what is there now; saving again puts yours in its place."
        return _editor_page(editor)(request, editor, problems={"text": f"{error.message}\n{hint}"}, text=source)
    if wants_json:
        return data({"message": error.message, "problems": _places(error)}, 422)
    return _editor_page(editor)(request, editor, problems=error.fields, text=source)


def _places(error: errors.Invalid) -> list[dict[str, Any]]:
    if not isinstance(error, TemplateError):
        return [{"line": 1, "column": 1, "message": text, "suggestions": []} for text in error.fields.values()]
    return [
        {
            "line": one.line, "column": one.column, "message": one.message, "suggestions": list(one.suggestions),
            "name": one.name,
        }
        for one in error.problems
    ]  # fmt: skip


@page(bp, ACTION + "/settings", role=WorkflowRole.EDITOR)
def show_action_settings(request: Request, action_id: int) -> Answer:
    """Show name, description, and what else can be done with the message."""
    action = service.get(request.session, request.workflow.id, action_id)
    return _settings(request, action, {}, {})


def _settings(
    request: Request, action: Action, problems: dict[str, str], form: dict[str, str], status: int = 200
) -> Answer:  # fmt: skip
    schedules = plans.named(needs.using(request.session, request.workflow.id, {f"m{action.id}"}))
    return render(
        "actions/settings.html", status=status, action=action, problems=problems, form=form,
        seal=seals.seal(service.shown(action)), schedules=schedules,
    )  # fmt: skip


@page(bp, ACTION + "/settings", method="POST", role=WorkflowRole.EDITOR)
def rename_action(request: Request, action_id: int) -> Answer:
    """Give the message another name and description."""
    action = service.get(request.session, request.workflow.id, action_id, lock=True)
    form = request.form.as_dict()
    try:
        service.rename(
            request.session, request.user.id, action, request.form.get("name"), request.form.get("description"),
            seen=request.form.get("seen"),
        )  # fmt: skip
    except errors.Invalid as error:
        return _settings(request, action, error.fields, form, error.status)
    except seals.Stale as error:  # the next save is meant to go over what is told now, so the old seal goes
        return _settings(
            request, action, error.fields, form | {"seen": seals.seal(service.shown(action))}, error.status
        )
    return redirect("actions.show_action", workflow_id=request.workflow.id, action_id=action.id, flash="Saved.")


@page(bp, ACTION + "/copy", method="POST", role=WorkflowRole.EDITOR)
def copy_action(request: Request, action_id: int) -> Answer:
    """Make a copy and go there."""
    action = service.get(request.session, request.workflow.id, action_id)
    twin = service.copy(request.session, request.user.id, action)
    return redirect(
        "actions.show_action", workflow_id=request.workflow.id, action_id=twin.id,
        flash=f"This is the copy: “{twin.name}”.",
    )  # fmt: skip


@page(bp, ACTION + "/delete", method="POST", role=WorkflowRole.EDITOR)
def delete_action(request: Request, action_id: int) -> Answer:
    """Put the message aside, with an undo in what follows."""
    action = service.get(request.session, request.workflow.id, action_id)
    schedules = service.delete(request.session, request.user.id, action)
    undo = url_for("actions.restore_action", workflow_id=request.workflow.id, action_id=action.id)
    told = " ".join(filter(None, [f"“{action.name}” is deleted. What it sent stays under Activity.", schedules]))
    flash = Flash(told, undo_url=undo)
    return redirect("actions.list_actions", workflow_id=request.workflow.id, flash=flash)


@page(bp, ACTION + "/restore", method="POST", role=WorkflowRole.EDITOR)
def restore_action(request: Request, action_id: int) -> Answer:
    """Take the message back."""
    action = service.get(request.session, request.workflow.id, action_id, in_trash=True)
    service.restore(request.session, request.user.id, action)
    return redirect(
        "actions.show_action", workflow_id=request.workflow.id, action_id=action.id, flash=f"“{action.name}” is back."
    )  # fmt: skip
