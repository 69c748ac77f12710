"""The page of JSON for other systems: its source, where it goes, each learner's object, one object sent to try."""

from __future__ import annotations

from typing import Any

from chalice import Blueprint
from markupsafe import escape

from chalicelib import errors, seals
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import objects, preview, targets
from chalicelib.actions.editor import Editor
from chalicelib.actions.jsons import checking, service
from chalicelib.actions.kinds import KINDS, Channel, Kind
from chalicelib.actions.preview import Learner
from chalicelib.actions.routes import ACTION, check_of, editor_of, open_editor, preview_of, row_of, show_desk
from chalicelib.actions.targets import Target
from chalicelib.delivery.push import service as pushing
from chalicelib.delivery.push import tokens
from chalicelib.settings import settings
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, document, redirect, redirect_to
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

TARGET = ACTION + "/target"
BOTH = (Kind.JSON, Kind.JSON_REPORT)


@editor_of(*BOTH)
def show_json_editor(
    request: Request, editor: Editor, *, panel: str = "", problems: dict[str, str] | None = None,
    text: str | None = None, **context: Any,
) -> Answer:  # fmt: skip
    """Answer with the page of JSON."""
    target = Target.of(editor.action.target)
    typed = {
        "url": target.url, "method": target.method, "headers": targets.headers_text(target.headers),
        "is_form": "1" if target.is_form else "",
    }  # fmt: skip
    return show_desk(
        request, editor, "actions/jsons/editor.html", panel=panel, problems=problems, text=text,
        **{
            "target": typed, "seal": seals.seal(service.shown(editor.action)), "methods": targets.METHODS,
            "token_set_at": tokens.set_at(request.session, editor.action.id), "tried": _tried(request, editor),
            "is_safe_mode": bool(settings().safe_mode_address),
        } | context,
    )  # fmt: skip


check_of(*BOTH)(checking.check)


@preview_of(*BOTH)
def show_json_preview(request: Request, editor: Editor, learner: Learner | None) -> Answer:
    """Show one object as it would be sent, with one value a line; or where it is no JSON."""
    del request
    return document(preview.PAGE.format("The object", _shown(editor, learner)))


def _shown(editor: Editor, learner: Learner | None) -> str:
    from chalicelib.actions.language.compile import compile_template

    if editor.trouble:
        return f"<p>{escape(editor.trouble)}</p>"
    stored = editor.action.text
    if not stored.strip():
        return ""
    try:
        template = compile_template(stored, "json", time_zone=editor.workflow.time_zone)
        values = checking.report(editor, stored) if learner is None else learner.context
        text = template.render({**editor.fixed, **values})
    except errors.Invalid as error:
        return f"<p>{escape(error.message)}</p>"
    try:
        return f'<pre style="white-space:pre-wrap;font-size:14px">{escape(objects.pretty(text))}</pre>'
    except objects.NotJson as error:
        style = "background:#fdecea;color:#8a1c12;padding:.75rem;border:1px solid #d9534f"
        return (
            f'<p role="alert" style="{style}"><strong>This is no JSON.</strong> {escape(str(error))}</p>'
            f'<pre style="white-space:pre-wrap;font-size:14px">{escape(text)}</pre>'
        )


def _open_json(request: Request, action_id: int) -> Editor:
    editor = open_editor(request, action_id, lock=True)
    if KINDS[Kind(editor.action.kind)].channel is not Channel.PUSH:
        raise errors.NotFound
    return editor


def _tried(request: Request, editor: Editor) -> dict[str, Any] | None:
    """Return what became of the object that was sent to try, as far as it is known."""
    job_id = request.query.whole("tried")
    if job_id is None:
        return None
    return pushing.tested(request.session, editor.workflow.id, request.user.id, editor.action.id, job_id)


@page(bp, TARGET, method="POST", role=WorkflowRole.EDITOR)
def change_target(request: Request, action_id: int) -> Answer:
    """Store where the JSON goes, set or forget the token, or send one object to try: the button says which."""
    editor = _open_json(request, action_id)
    here = {"workflow_id": request.workflow.id, "action_id": action_id, "row": row_of(request)}
    match request.form.get("do"):
        case "try":
            return _try(request, editor)
        case "forget":
            tokens.drop(request.session, editor.action.id)
            return redirect("actions.show_action", **here, flash="The token is forgotten. Set another before you send.")
    try:
        _store(request, editor)
    except (errors.Invalid, seals.Stale) as error:
        typed = {name: request.form.get(name) for name in ("url", "method", "headers", "is_form")}
        seal = seals.seal(service.shown(editor.action))
        return show_json_editor(request, editor, problems=error.fields, target=typed, seal=seal)
    return redirect("actions.show_action", **here, flash="Saved.")


def _store(request: Request, editor: Editor) -> None:
    form = request.form
    problems: dict[str, str] = {}
    token = form.get("token").strip()
    try:
        target = Target(
            form.get("url"), form.get("method"), targets.headers_of(form.get("headers")), form.checked("is_form")
        )  # fmt: skip
        targets.check(target)
    except errors.Invalid as error:
        problems |= error.fields
    try:
        tokens.check(token)
    except errors.Invalid as error:
        problems |= error.fields
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
    service.set_target(request.session, request.user.id, editor.action, target, seen=form.get("seen"))
    if token:
        tokens.put(request.session, editor.action.id, token)


def _try(request: Request, editor: Editor) -> Answer:
    """Ask for one object to be sent; the page that follows tells what was answered."""
    here = {"workflow_id": request.workflow.id, "action_id": editor.action.id, "row": row_of(request)}
    learner = editor.learner(row_of(request)) if KINDS[Kind(editor.action.kind)].per_learner else None
    try:
        job_id = pushing.send_test(
            request.session, request.user.id, request.workflow, editor.action, learner.row_id if learner else None
        )  # fmt: skip
    except errors.Invalid as error:
        return redirect("actions.show_action", **here, flash=Flash(error.message, "danger"))
    return redirect_to(url_for("actions.show_action", **here, tried=job_id))
