"""The time lines: of a workflow, of one message or form, of one learner."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import service as actions
from chalicelib.audit import forms
from chalicelib.audit import queries as log
from chalicelib.delivery import learners, models, queries, words
from chalicelib.tables import queries as tables
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, render

bp = Blueprint(__name__)

PAGE_SIZE = 40
#: Learners that a search for one shows.
MAX_FOUND = 20
#: What the links to older lines keep, by the names in the form.
ASKED = ("kind", "user", "action", "row", "since", "until")


@page(bp, "/workflows/{workflow_id}/runs", role=WorkflowRole.VIEWER)
def list_runs(request: Request) -> Answer:
    """Show what happened, newest first: to everything, to one action (`action`) or with one learner (`row`).

    The runs under way come first; `learner` looks for somebody.
    """
    asked = {name: value for name, value in request.query.as_dict().items() if name in ASKED and value}
    if asked.get("kind", "") not in {"", *log.KINDS}:
        raise errors.NotFound
    problems: dict[str, str] = {}
    try:
        search = forms.search(request.query, request.workflow.id, request.user.time_zone)
    except errors.Invalid as error:
        search, problems = log.Search(request.workflow.id, time_zone=request.user.time_zone), error.fields
    # What became of each mail would bury all else, but for the one learner somebody looks at.
    search = replace(search, is_line=not search.row_id)
    before = request.query.whole("before") or 0
    found = log.lines(request.session, search, before=before, limit=PAGE_SIZE + 1)
    return render(
        "delivery/activity.html", status=422 if problems else 200, kinds=log.KINDS, before=before, asked=asked,
        problems=problems, search=search, kept={name: value for name, value in asked.items() if name != "kind"},
        states=words.RUN_STATES, lines=found[:PAGE_SIZE],
        older=found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None,
        people=log.people(request.session, request.workflow.id), open_runs=_open_runs(request, search, before),
        **_scope(request, search),
    )  # fmt: skip


def _open_runs(request: Request, search: log.Search, before: int) -> list[queries.RunCard]:
    if before or search.row_id:
        return []
    cards = queries.runs(request.session, request.workflow.id, action_id=search.action_id)
    return [card for card in cards if card.state not in models.ENDED]


def _scope(request: Request, search: log.Search) -> dict[str, Any]:
    """Return what the time line is about, and the learners that a search for one has found."""
    called = learners.Called(request.session, request.workflow.id)
    wanted = request.query.get("learner").strip()
    matches = called.labels(called.search(wanted)[:MAX_FOUND]) if wanted else {}
    action = actions.get(request.session, request.workflow.id, search.action_id) if search.action_id else None
    label = called.labels([search.row_id]).get(search.row_id, "a learner who is gone") if search.row_id else ""
    names = {str(column.id): column.name for column in tables.columns(request.session, request.workflow.id)}
    return {
        "wanted": wanted, "matches": matches, "action": action, "label": label, "names": names if search.row_id else {},
        "is_owner": WorkflowRole(request.role).covers(WorkflowRole.OWNER),
    }  # fmt: skip
