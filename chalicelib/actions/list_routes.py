"""The list of actions, the making of a new one, and the bin."""

from __future__ import annotations

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import listing, service
from chalicelib.actions.kinds import KINDS, Kind, offered
from chalicelib.actions.routes import ACTIONS, can_edit
from chalicelib.tables import queries as tables
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect, render

bp = Blueprint(__name__)

#: What people choose from; the keys are those of `listing.SORTS`.
SORT_WORDS = {"changed": "Changed last", "name": "Name", "type": "Type", "run": "Sent last"}


@page(bp, ACTIONS, role=WorkflowRole.VIEWER)
def list_actions(request: Request) -> Answer:
    """Show the actions that are asked for, with the form for a new one; or the bin."""
    if request.query.checked("deleted"):
        found = listing.deleted(request.session, request.workflow.id)
        return render(
            "actions/bin.html", deleted=found, kinds=KINDS, can_edit=can_edit(request), days=service.IN_BIN.days
        )
    return _list(request, {})


def _list(request: Request, problems: dict[str, str]) -> Answer:
    columns = tables.infos(request.session, request.workflow.id)
    asked = listing.shown(
        request.session, request.user.id, search=request.query.get("search"), kind=request.query.get("kind"),
        sort=request.query.get("sort"), layout=request.query.get("layout"),
    )  # fmt: skip
    return render(
        "actions/list.html", status=422 if problems else 200, problems=problems, form=request.form.as_dict(),
        cards=listing.cards(request.session, request.workflow, columns, asked), asked=asked, sorts=SORT_WORDS,
        can_edit=can_edit(request), kinds=KINDS, offered=offered(),
    )  # fmt: skip


@page(bp, ACTIONS, method="POST", role=WorkflowRole.EDITOR)
def create_action(request: Request) -> Answer:
    """Add an action and go there."""
    try:
        action = service.create(
            request.session, request.user.id, request.workflow, request.form.get("name"),
            request.form.get("description"), request.form.get("kind") or Kind.TEXT,
        )  # fmt: skip
    except errors.Invalid as error:
        return _list(request, error.fields)
    return redirect("actions.show_action", workflow_id=request.workflow.id, action_id=action.id)
