"""The page on which a survey or to-do list is made: its questions, and the form as one learner sees it."""

from __future__ import annotations

from typing import Any

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions.editor import Editor
from chalicelib.actions.kinds import KINDS as ACTION_KINDS
from chalicelib.actions.kinds import Kind as ActionKind
from chalicelib.actions.preview import Learner
from chalicelib.actions.routes import ACTION, editor_of, open_editor, preview_of, row_of, show_desk
from chalicelib.actions.surveys import forms, learner, queries, service
from chalicelib.actions.surveys.asking import Form
from chalicelib.actions.surveys.kinds import HEADINGS, KINDS, Kind, fitting, offered
from chalicelib.actions.surveys.queries import Item
from chalicelib.tables import cells
from chalicelib.tables.columns import lists
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, data, redirect, render
from chalicelib.web.templates import zone
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)

QUESTIONS = ACTION + "/questions"
QUESTION = QUESTIONS + "/{question_id}"
FORMS = (ActionKind.SURVEY, ActionKind.TODO)


def open_form(request: Request, action_id: int, *, lock: bool = False) -> Editor:
    """Return the survey or to-do list of the path.

    Raises errors.NotFound when the action is none.
    """
    editor = open_editor(request, action_id, lock=lock)
    if editor.action.kind not in FORMS:
        raise errors.NotFound
    return editor


@editor_of(*FORMS)
def show_form_editor(
    request: Request, editor: Editor, *, panel: str = "", problems: dict[str, str] | None = None,
    text: str | None = None, **context: Any,
) -> Answer:  # fmt: skip
    """Answer with the page of a survey or to-do list."""
    return show_desk(
        request, editor, "actions/surveys/editor.html", panel=panel, problems=problems, text=text,
        **_context(request, editor, queries.with_columns(editor.questions, editor.table)), **context,
    )  # fmt: skip


def _context(request: Request, editor: Editor, items: list[Item]) -> dict[str, Any]:
    return {
        "items": items, "kinds": KINDS, "noun": ACTION_KINDS[ActionKind(editor.action.kind)].noun, "Kind": Kind,
        "thing": "item" if editor.action.kind == ActionKind.TODO else "question",
        "offered": offered(editor.action.kind), "conditions": {one.id: one.name for one in editor.conditions},
        "headings": HEADINGS, "warnings": _warnings(editor, items),
    }  # fmt: skip


def _warnings(editor: Editor, items: list[Item]) -> list[str]:
    """Say what would keep learners from answering."""
    if editor.workflow.row_count is None:
        return ["The table has no learners yet. Add your learners first: answers become columns of the table."]
    found = []
    if not queries.asked(items):
        found.append("Nothing is asked yet. Add a question.")
    broken = {one.id for one in editor.conditions if editor.problem_of(one.formula)}
    if count := sum(item.question.condition_id in broken for item in items):
        found.append(f"{count} of the questions depend on a condition that can’t be used any more: nobody is asked.")
    if editor.who.counts is not None and not editor.who.counts.selected:
        found.append("Nobody is asked: the rules below let no learner through.")
    return found


@page(bp, QUESTIONS, role=WorkflowRole.EDITOR)
def new_question(request: Request, action_id: int) -> Answer:
    """Open an empty question, or with `existing` the columns that can be asked for."""
    editor = open_form(request, action_id)
    if request.query.checked("existing"):
        return _existing_panel(request, editor)
    return _question_panel(request, editor, None)


@page(bp, QUESTIONS, method="POST", role=WorkflowRole.EDITOR)
def change_questions(request: Request, action_id: int) -> Answer:
    """Add a question, ask for columns that are there, put questions in order, switch the shuffling."""
    editor = open_form(request, action_id, lock=True)
    session, user_id, action = request.session, request.user.id, editor.action
    do = request.form.get("do")
    if do == "order":
        service.reorder(session, user_id, action, [int(one) for one in request.form.all("id") if one.isdecimal()])
        return _back(request, editor, "Saved.")
    if do == "shuffle":
        service.shuffle(session, user_id, action, request.form.checked("is_shuffled"))
        return _back(request, editor, "Saved.")
    if do == "insert":
        try:
            made = service.insert(session, user_id, action, request.form.wholes("columns"))
        except errors.Invalid as error:
            return _existing_panel(request, editor, error.fields)
        return _back(request, editor, f"{len(made)} column{'' if len(made) == 1 else 's'} added.")
    try:
        wish = forms.read(request.form, offered(action.kind), zone(request.user.time_zone))
        question = service.add(session, request.workflow, user_id, action, wish)
    except (errors.Invalid, errors.Conflict) as error:
        fields = error.fields if isinstance(error, errors.Invalid) else {"description": error.message}
        return _question_panel(request, editor, None, fields)
    return _back(request, editor, "Added.", question.id)


@page(bp, QUESTION, role=WorkflowRole.EDITOR)
def show_question(request: Request, action_id: int, question_id: int) -> Answer:
    """Open a question beside the list."""
    editor = open_form(request, action_id)
    return _question_panel(request, editor, _item(request, editor, question_id))


@page(bp, QUESTION, method="POST", role=WorkflowRole.EDITOR)
def change_question(request: Request, action_id: int, question_id: int) -> Answer:
    """Save, copy, move, remove or restore a question, or let its first answer stay."""
    editor = open_form(request, action_id, lock=True)
    session, user_id, action = request.session, request.user.id, editor.action
    do = request.form.get("do") or request.query.get("do")
    question = service.get(session, action, question_id, in_trash=do == "restore")
    if do == "restore":
        service.restore(session, user_id, action, question)
        return _back(request, editor, "It is back.", question.id)
    if do in {"up", "down"}:
        service.move(session, user_id, action, question, -1 if do == "up" else 1)
        return _back(request, editor, "Moved.", question.id)
    if do == "once":
        service.switch_once(session, user_id, action, question, request.form.checked("is_once"))
        return _back(request, editor, "Saved.", question.id)
    item = _item(request, editor, question_id)
    if do == "copy":
        twin = service.copy(session, request.workflow, user_id, action, question)
        return redirect(
            "actions.show_question", workflow_id=request.workflow.id, action_id=action_id, question_id=twin.id,
            flash="This is the copy.",
        )  # fmt: skip
    if do == "remove":
        service.remove(session, user_id, action, question)
        undo = url_for(
            "actions.change_question", workflow_id=request.workflow.id, action_id=action_id, question_id=question_id,
            do="restore",
        )  # fmt: skip
        stays = "" if item.is_heading else " Its column and all answers stay in the table."
        return _back(request, editor, Flash(f"“{item.label}” is removed.{stays}", undo_url=undo))
    try:
        kinds = _kinds(editor, item)
        wish = forms.read(request.form, kinds, zone(request.user.time_zone), item.column.type if item.column else "")
        service.change(session, request.workflow, user_id, action, question, wish)
    except (errors.Invalid, errors.Conflict) as error:
        fields = error.fields if isinstance(error, errors.Invalid) else {"description": error.message}
        return _question_panel(request, editor, item, fields)
    return _back(request, editor, "Saved.", question.id)


def _item(request: Request, editor: Editor, question_id: int) -> Item:
    question = service.get(request.session, editor.action, question_id)
    return queries.with_columns([question], editor.table)[0]


def _kinds(editor: Editor, item: Item) -> list[Kind]:
    """Return how the question can be asked, now that its column is there."""
    if item.is_heading:
        return [Kind.SECTION, Kind.PAGE]
    if item.column is None:
        return [item.kind]
    found = fitting(editor.action.kind, item.column)
    if item.column.type in KINDS[item.kind].types:
        found = [item.kind, *(kind for kind in found if kind is not item.kind)]
    if item.column.type == "text":
        found += [kind for kind in (Kind.TEXT, Kind.LONG, Kind.CHOICE, Kind.CHOICES) if kind not in found]
    return found


def _question_panel(
    request: Request, editor: Editor, item: Item | None, problems: dict[str, str] | None = None
) -> Answer:
    reader = zone(request.user.time_zone)
    kinds = offered(editor.action.kind) if item is None else _kinds(editor, item)
    column, options = (item.column, item.question.options) if item else (None, {})
    if item and item.kind is Kind.CHOICES:
        choices = "\n".join(options.get("choices", []))
    else:
        choices = lists.written(column.allowed_values, column.type, reader) if column else ""
    return _panel(
        request, editor, "actions/surveys/_question.html", problems, item=item, question_kinds=kinds,
        choices=choices, options=options, window=_window(column, item, reader),
    )  # fmt: skip


def _window(column: Any, item: Item | None, reader: Any) -> dict[str, str]:
    moments = {
        "active_from": column.active_from if column else None,
        "active_until": column.active_until if column else None, "due_at": item.question.due_at if item else None,
    }  # fmt: skip
    return {name: cells.written(moment, reader).replace(" ", "T") for name, moment in moments.items()}


def _existing_panel(request: Request, editor: Editor, problems: dict[str, str] | None = None) -> Answer:
    items = queries.with_columns(editor.questions, editor.table)
    return _panel(
        request, editor, "actions/surveys/_existing.html", problems, type_names=cells.TYPE_NAMES,
        unused=queries.unused_columns(editor.action.kind, items, editor.table), ticked=request.form.all("columns"),
    )  # fmt: skip


def _panel(request: Request, editor: Editor, template: str, problems: dict[str, str] | None, **context: Any) -> Answer:
    if not request.wants_part:
        return show_form_editor(request, editor, panel=template, problems=problems, **context)
    return render(
        template, status=422 if problems else 200, action=editor.action, problems=problems or {},
        form=request.form.as_dict(), row=row_of(request), **_context(request, editor, []), **context,
    )  # fmt: skip


def _back(request: Request, editor: Editor, note: Flash | str, question_id: int | None = None) -> Answer:
    return redirect(
        "actions.show_action", workflow_id=request.workflow.id, action_id=editor.action.id, row=row_of(request),
        flash=note, question=question_id,
    )  # fmt: skip


@preview_of(*FORMS)
def show_form_preview(request: Request, editor: Editor, found: Learner) -> Answer:
    """Show the form as the learner would see it, for the frame on the page; nothing can be sent from there."""
    form = Form(
        request.session, request.workflow, editor.action, found.row_id, request.user.id,
        zone(request.user.time_zone), editor=editor,
    )  # fmt: skip
    return render(
        "actions/surveys/preview.html", form_pages=form.pages({}), intro=form.introduction(),
        action=editor.action, problems={}, is_disabled=True,
    )  # fmt: skip


@page(bp, ACTION + "/form", role=WorkflowRole.EDITOR)
def try_form(request: Request, action_id: int) -> Answer:
    """Show the form as a learner fills it in, to be tried: nothing is stored."""
    editor = open_form(request, action_id)
    found = _whom_to_try(request, editor)
    form = _form_to_try(request, editor, found)
    return _trial(request, editor, form, learner.show(form), found)


@page(bp, ACTION + "/form", method="POST", role=WorkflowRole.EDITOR)
def send_trial(request: Request, action_id: int) -> Answer:
    """Do what the buttons of the form do, but store no answer."""
    editor = open_form(request, action_id)
    found = _whom_to_try(request, editor)
    form = _form_to_try(request, editor, found)
    shown = learner.take(form, request.form, is_trial=True)
    if request.form.get("do") == learner.DRAFT:
        return data({"kept": True})
    return _trial(request, editor, form, shown, found)


def _whom_to_try(request: Request, editor: Editor) -> Learner:
    found = editor.learner(row_of(request)) if editor.workflow.row_count else None
    if found is None:
        raise errors.NotFound("There is no learner to try the form as. Add your learners, or change who is asked.")
    return found


def _form_to_try(request: Request, editor: Editor, found: Learner) -> Form:
    place = zone(request.user.time_zone)
    return Form(
        request.session, request.workflow, editor.action, found.row_id, request.user.id, place, editor=editor
    )  # fmt: skip


def _trial(request: Request, editor: Editor, form: Form, shown: learner.Shown, found: Learner) -> Answer:
    here = {"workflow_id": request.workflow.id, "action_id": editor.action.id, "row": form.row_id}
    answer = render(
        "actions/surveys/trial.html", status=422 if shown.problems else 200, action=editor.action, shown=shown,
        learner=found, intro=form.introduction(), reopen=True,
        form_target=url_for("actions.try_form", **here), back=url_for("actions.show_action", **here),
    )  # fmt: skip
    answer.keep = True  # what was typed stays, as it does for learners
    return answer
