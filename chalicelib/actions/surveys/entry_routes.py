"""The answers of all learners: as a table, like in a spreadsheet, one learner at a time; results, reminders, files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalice import Blueprint

from chalicelib import clock, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions.editor import Editor
from chalicelib.actions.kinds import KINDS as ACTION_KINDS
from chalicelib.actions.kinds import Kind as ActionKind
from chalicelib.actions.routes import ACTION, can_edit
from chalicelib.actions.surveys import answers, jobs, results, running, sending, sheet
from chalicelib.actions.surveys.asking import Form
from chalicelib.actions.surveys.routes import open_form
from chalicelib.actions.surveys.running import Run
from chalicelib.aws import files
from chalicelib.schedules import service as schedules
from chalicelib.tables import cells, downloads
from chalicelib.tables.cells import MAX_SHOWN
from chalicelib.web.page import page
from chalicelib.web.request import Request, Values
from chalicelib.web.responses import Answer, data, redirect, redirect_to, render
from chalicelib.web.templates import zone

bp = Blueprint(__name__)

ANSWERS = ACTION + "/answers"


def _words(editor: Editor) -> dict[str, Any]:
    is_todo = editor.action.kind == ActionKind.TODO
    return {
        "action": editor.action, "noun": ACTION_KINDS[ActionKind(editor.action.kind)].noun, "is_todo": is_todo,
        "thing": "item" if is_todo else "question",
    }  # fmt: skip


@page(bp, ANSWERS, role=WorkflowRole.VIEWER)
def show_answers(request: Request, action_id: int) -> Answer:
    """Show a page of the answers, or how far their file is (`export`), or lead to it (`file`)."""
    editor = open_form(request, action_id)
    if "export" in request.query or "file" in request.query:
        return _export(request, editor)
    wish = running.wish(request.query)
    return _answers(request, editor, wish if can_edit(request) else replace(wish, is_sheet=False))


def _answers(request: Request, editor: Editor, wish: running.Wish, problems: dict[str, str] | None = None) -> Answer:
    run = Run(request.session, editor, wish, zone(request.user.time_zone), _typed(request.form))
    hindrance = _hindrance(editor, run)
    rate = results.Rate() if hindrance else results.rate(request.session, editor, run.items)
    return render(
        "actions/surveys/_answers.html" if request.wants_part else "actions/surveys/answers.html",
        status=422 if problems else 200, run=run, wish=wish, hindrance=hindrance, rate=rate, problems=problems or {},
        can_edit=can_edit(request), max_shown=MAX_SHOWN, **_words(editor),
    )  # fmt: skip


def _typed(form: Values) -> dict[str, str]:
    return {name: text for name, text in form.as_dict().items() if sheet.FIELD.fullmatch(name)}


def _hindrance(editor: Editor, run: Run) -> str:
    """Say why there is no table of answers; nothing when there is one."""
    if editor.workflow.row_count is None:
        return "The table has no learners yet."
    if not run.items:
        return "Nothing is asked yet, so there are no answers."
    if problem := editor.problem_of(editor.action.filter):
        return f"The rules for who is asked can’t be used any more. {problem}"
    return ""


@page(bp, ANSWERS, method="POST", role=WorkflowRole.EDITOR)
def change_answers(request: Request, action_id: int) -> Answer:
    """Save a sheet of answers, make a reminder, or have the answers written into a file."""
    editor = open_form(request, action_id)
    wish, do = running.wish(request.form), request.form.get("do")
    run = Run(request.session, editor, wish, zone(request.user.time_zone))
    if hindrance := _hindrance(editor, run):
        raise errors.Invalid(hindrance)
    if do == "remind":
        made = results.remind(request.session, request.user.id, editor, run.items)
        return redirect(
            "actions.show_action", workflow_id=request.workflow.id, action_id=made.id,
            flash="This message is for those who have not answered. Write what you like, then send it.",
        )  # fmt: skip
    if do == "export":
        return _ask_export(request, editor, wish)
    saved = sheet.save(request.session, editor, request.form, request.user.id, run)
    if "application/json" in request.headers.get("accept", ""):
        return data({"saved": saved.number, "problems": saved.problems, "seals": saved.seals})
    if saved.problems:
        answer = _answers(request, editor, wish, saved.problems)
        answer.keep = True  # what fits is saved
        return answer
    return redirect(
        "actions.show_answers", workflow_id=request.workflow.id, action_id=action_id, **wish.address(),
        flash=f"{saved.number} answer{'' if saved.number == 1 else 's'} saved.",
    )  # fmt: skip


@page(bp, ANSWERS + "/{row_id}", role=WorkflowRole.VIEWER)
def show_entry(request: Request, action_id: int, row_id: int) -> Answer:
    """Show the form of one learner, with everything that is asked of them."""
    editor = open_form(request, action_id)
    return _entry(request, editor, _form(request, editor, row_id), {}, {})


def _form(request: Request, editor: Editor, row_id: int) -> Form:
    return Form(
        request.session, request.workflow, editor.action, row_id, request.user.id, zone(request.user.time_zone),
        is_staff=True, editor=editor,
    )  # fmt: skip


def _entry(
    request: Request, editor: Editor, form: Form, typed: dict[str, list[str]], problems: dict[str, str]
) -> Answer:
    keys = [column for column in form.columns if column.is_key]
    return render(
        "actions/surveys/entry.html", status=422 if problems else 200, form_pages=form.pages(typed),
        problems=problems, row_id=form.row_id, can_edit=can_edit(request), wish=running.wish(request.query),
        keys=[(column.name, cells.shown(form.values[column.id], form.zone)) for column in keys], **_words(editor),
    )  # fmt: skip


@page(bp, ANSWERS + "/{row_id}", method="POST", role=WorkflowRole.EDITOR)
def save_entry(request: Request, action_id: int, row_id: int) -> Answer:
    """Keep what was entered for one learner."""
    editor = open_form(request, action_id)
    form = _form(request, editor, row_id)
    typed = sending.typed_in(request.form, form.items)
    try:
        sent = sending.send(form, typed, answers.ENTRY)
    except errors.Invalid as error:
        return _entry(request, editor, form, typed, error.fields)
    back = {"workflow_id": request.workflow.id, "action_id": action_id, **running.wish(request.query).address()}
    return redirect(
        "actions.show_answers", flash="Saved." if sent.stored else "Nothing was changed.", **back
    )  # fmt: skip


@page(bp, ACTION + "/results", role=WorkflowRole.VIEWER)
def show_results(request: Request, action_id: int) -> Answer:
    """Show how many answered, when, and what."""
    editor = open_form(request, action_id)
    reader = zone(request.user.time_zone)
    run = Run(request.session, editor, running.Wish(), reader)
    hindrance = _hindrance(editor, run)
    found = [] if hindrance else results.results(request.session, editor, run.items, reader)
    opened, latest = results.visits(request.session, editor.action)
    return render(
        "actions/surveys/results.html", run=run, hindrance=hindrance, results=found, can_edit=can_edit(request),
        rate=results.Rate() if hindrance else results.rate(request.session, editor, run.items),
        course=results.over_time(request.session, editor.action, reader),
        latest=latest, opened=opened,
        **_words(editor),
    )  # fmt: skip


def _ask_export(request: Request, editor: Editor, wish: running.Wish) -> Answer:
    kind = request.form.get("format", "csv")
    if kind not in downloads.FORMATS:
        raise errors.NotFound
    payload = {
        "action": editor.action.id, "format": kind, "is_safe": not request.form.checked("plain"),
        "time_zone": zone(request.user.time_zone).key, "query": wish.address(),
    }  # fmt: skip
    job = schedules.enqueue(
        request.session, jobs.EXPORT, payload, workflow_id=request.workflow.id, user_id=request.user.id
    )  # fmt: skip
    return redirect(
        "actions.show_answers", workflow_id=request.workflow.id, action_id=editor.action.id, export=job.id
    )  # fmt: skip


def _export(request: Request, editor: Editor) -> Answer:
    number = request.query.whole("export") or request.query.whole("file") or 0
    job = schedules.get(request.session, request.workflow.id, request.user.id, jobs.EXPORT, number)
    if job.payload["action"] != editor.action.id:
        raise errors.NotFound
    moment = (job.created_at or clock.now()).astimezone(zone(request.user.time_zone))
    name = downloads.filename([request.workflow.name, editor.action.name], job.payload["format"], moment)
    if "file" in request.query:
        if "key" not in job.result:
            raise errors.NotFound("This file is not ready.")
        return redirect_to(files.download_link(job.result["key"], name))
    return render(
        "actions/surveys/_export.html" if request.wants_part else "actions/surveys/export.html", job=job,
        filename=name, **_words(editor),
    )  # fmt: skip
