"""The link of an action: its page for instructors, and the pages that learners find there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from chalice import Blueprint

from chalicelib import errors, seals
from chalicelib.accounts import home
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import preview
from chalicelib.actions import service as actions
from chalicelib.actions.editor import Editor
from chalicelib.actions.kinds import KINDS, Kind
from chalicelib.actions.models import Action
from chalicelib.actions.routes import ACTION
from chalicelib.actions.serving import queries, service, visiting
from chalicelib.actions.serving.service import LinkForm
from chalicelib.actions.serving.visiting import Visit
from chalicelib.audit import origins
from chalicelib.audit import service as audit
from chalicelib.web.page import Access, page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, document, redirect, render
from chalicelib.web.templates import zone
from chalicelib.web.urls import absolute_url_for, url_for

bp = Blueprint(__name__)

SERVED = "/a/{token}"

ServedPage = Callable[[Request, Visit], Answer]
#: What is at the links of actions by kind, for GET and for POST; the rooms of the other kinds add theirs.
_pages: dict[Kind, ServedPage] = {}


def served_page_of(*kinds: Kind) -> Callable[[ServedPage], ServedPage]:
    """Declare what a visitor sees at the links of these kinds, once it is known to be open and whose row it is.

    It is called for a POST, too: `request.method` tells. `served` draws a page inside the frame of all of them.
    """

    def register(answer: ServedPage) -> ServedPage:
        _pages.update(dict.fromkeys(kinds, answer))
        return answer

    return register


#: What a visitor is shown of a form that they sent after its end, by kind: pairs of a question and what was typed.
Late = Callable[[Request, Visit], list[tuple[str, str]]]
_late: dict[Kind, Late] = {}


def late_form_of(*kinds: Kind) -> Callable[[Late], Late]:
    """Declare what stays in sight of a form of these kinds that came too late."""

    def register(typed: Late) -> Late:
        _late.update(dict.fromkeys(kinds, typed))
        return typed

    return register


home.SOURCES.append(queries.open_to)


# -- for instructors


@page(bp, ACTION + "/link", role=WorkflowRole.EDITOR)
def show_link(request: Request, action_id: int) -> Answer:
    """Show the link, its switch and its window."""
    return _link(request, _servable(request, action_id))


def _servable(request: Request, action_id: int, *, lock: bool = False) -> Action:
    action = actions.get(request.session, request.workflow.id, action_id, lock=lock)
    if not KINDS[Kind(action.kind)].is_served:
        raise errors.NotFound
    return action


def _link(
    request: Request, action: Action, problems: dict[str, str] | None = None, alert: str = "", status: int = 200
) -> Answer:  # fmt: skip
    link = service.find(request.session, action.id)
    columns = service.candidates(request.session, request.workflow)
    here = zone(request.user.time_zone)
    form = {
        "is_on": "1" if link and link.is_on else "",
        "open_from": _local(link.open_from, here) if link else "",
        "open_until": _local(link.open_until, here) if link else "",
        "column": str(link.column_id if link and link.column_id else service.guessed(columns, request.workflow) or ""),
    }
    return render(
        "actions/serving/link.html", status=status, action=action, link=link, columns=columns, problems=problems or {},
        alert=alert, form=request.form.as_dict() if problems else form, seal=seals.seal(service.shown(link)),
        address=absolute_url_for("actions.show_served", token=link.token) if link else "",
        state=visiting.opened(link) if link else visiting.Answer.OFF, kind=KINDS[Kind(action.kind)],
        trouble=Editor(request.session, request.workflow, action).trouble,
    )  # fmt: skip


def _local(moment: datetime | None, here: Any) -> str:
    return "" if moment is None else f"{moment.astimezone(here):%Y-%m-%dT%H:%M}"


@page(bp, ACTION + "/link", method="POST", role=WorkflowRole.SENDER)
def change_link(request: Request, action_id: int) -> Answer:
    """Switch the link and set its window, or with `renew=1` give it another address."""
    action = _servable(request, action_id, lock=True)
    here = {"workflow_id": request.workflow.id, "action_id": action.id}
    if request.query.get("renew") or request.form.get("renew"):
        old = service.renew(request.session, request.user.id, action, request.query.get("token"))
        undo = url_for("actions.change_link", renew=1, token=old, **here)
        told = Flash("The link has another address now; the old one leads nowhere.", undo_url=undo)
        return redirect("actions.show_link", **here, flash=told)
    try:
        form = _form(request)
        service.change(
            request.session, request.user.id, request.workflow, action, form, seen=request.form.get("seen")
        )  # fmt: skip
    except errors.Invalid as error:
        return _link(request, action, error.fields or {"column": error.message}, error.message, 422)
    except seals.Stale as error:
        return _link(request, action, error.fields, error.message, 409)
    told = Flash("The link works." if form.is_on else "Saved. The link is off.")
    return redirect("actions.show_link", **here, flash=told)


def _form(request: Request) -> LinkForm:
    problems: dict[str, str] = {}
    here = zone(request.user.time_zone)
    moments: dict[str, datetime | None] = {}
    for name in ("open_from", "open_until"):
        typed = request.form.get(name)
        try:
            moments[name] = datetime.fromisoformat(typed).replace(tzinfo=here).astimezone(UTC) if typed else None
        except (ValueError, OverflowError):
            problems[name] = "Choose the day and the time."
    if problems:
        raise errors.Invalid("Some fields need another look.", problems)
    return LinkForm(request.form.checked("is_on"), **moments, column_id=request.form.whole("column"))


# -- for learners


@page(bp, SERVED, access=Access.LEARNER)
def show_served(request: Request, token: str) -> Answer:
    """Show the visitor's own version, or say why there is none."""
    return _served(request, token)


@page(bp, SERVED, method="POST", access=Access.LEARNER)
def answer_served(request: Request, token: str) -> Answer:
    """Take what the visitor has filled in."""
    return _served(request, token)


def _served(request: Request, token: str) -> Answer:
    visit = _visit(request, token)
    if request.method == "GET":  # what is sent has an event of its own
        with origins.through(origins.LINK):
            audit.record(
                request.session, "action_served", workflow_id=visit.workflow.id, user_id=request.user.id,
                action_id=visit.action.id, name=visit.action.name, outcome=visit.answer.value, row_id=visit.row_id,
                as_member=visit.is_member,
            )  # fmt: skip
    if visit.answer is not visiting.Answer.OPEN:
        late = _late.get(Kind(visit.action.kind)) if request.method == "POST" else None
        return Answer(
            status=403, template="actions/serving/closed.html", keep=True,
            context={"answer": visit.answer.value, "link": visit.link, "late": late(request, visit) if late else []},
        )  # fmt: skip
    return _pages[Kind(visit.action.kind)](request, visit)


def _visit(request: Request, token: str) -> Visit:
    row = request.query.get("row")
    return visiting.visit(
        request.session, token, request.user, is_learner=request.is_learner,
        grace=visiting.GRACE if request.method == "POST" else visiting.NO_GRACE,
        row_id=int(row) if row.isascii() and row.isdigit() and len(row) <= 18 else None,
        known=request.query.get("known"),
    )  # fmt: skip


def served(template: str, visit: Visit, *, status: int = 200, **context: Any) -> Answer:
    """Answer with a page at a link; `template` extends actions/serving/page.html, which says how it is seen."""
    return render(template, status=status, visit=visit, action=visit.action, link=visit.link, **context)


@served_page_of(Kind.TEXT, Kind.RUBRIC)
def show_text(request: Request, visit: Visit) -> Answer:
    """Show the visitor's version of a message, in a frame of its own."""
    if request.method != "GET":
        raise errors.NotFound
    return served("actions/serving/text.html", visit, token=visit.link.token, known=visiting.note(visit))


@page(bp, "/action/serve", access=Access.LEARNER)
def show_old_address(_request: Request) -> Answer:
    """Lead on whoever comes by an address of OnTask 11, still in many a course: its numbers mean nothing here."""
    told = "That link was made for an earlier OnTask. What is open to you now stands here."
    return redirect("accounts.show_home", flash=Flash(told, "warning"))


@page(bp, "/action/serve", method="POST", access=Access.LEARNER)
def answer_old_address(request: Request) -> Answer:
    """Do the same for a form; a launch to this address comes in like any other and then looks."""
    return show_old_address(request)


@page(bp, SERVED + "/text", access=Access.LEARNER)
def show_served_text(request: Request, token: str) -> Answer:
    """Show the text alone, for the frame on the page of the link."""
    visit = _visit(request, token)
    if visit.answer is not visiting.Answer.OPEN or KINDS[Kind(visit.action.kind)].output != "html":
        raise errors.NotFound
    editor = Editor(request.session, visit.workflow, visit.action)
    learner = editor.audience.alone(visit.row_id) if visit.row_id else None
    if learner is None or editor.trouble:
        raise errors.NotFound
    try:
        return document(preview.page(visit.workflow, visit.action, learner, editor.fixed, editor.criteria))
    except errors.Invalid as error:
        raise errors.NotFound from error
