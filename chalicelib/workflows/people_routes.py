"""Who works on a workflow."""

from __future__ import annotations

from collections.abc import Mapping

from chalice import Blueprint

from chalicelib import errors, seals
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for
from chalicelib.workflows import people, queries

bp = Blueprint(__name__)
PEOPLE = "/workflows/{workflow_id}/people"
#: What each role may do, as people read it; every one may do what the ones before may.
ROLES = {
    WorkflowRole.VIEWER: "Viewer: looks at everything, changes nothing",
    WorkflowRole.EDITOR: "Editor: changes the table and the messages",
    WorkflowRole.SENDER: "Sender: sends messages, too",
}


@page(bp, PEOPLE, role=WorkflowRole.VIEWER)
def show_people(request: Request) -> Answer:
    """Show who works on the workflow."""
    return _people(request, {})


def _people(request: Request, problems: Mapping[str, str], status: int = 200) -> Answer:
    found = queries.people(request.session, request.workflow.id)
    return render(
        "workflows/people.html", status=status, people=found, problems=problems, roles=ROLES,
        form=request.form.as_dict(), seals={one.user_id: seals.seal({"role": one.role}) for one in found},
    )  # fmt: skip


@page(bp, PEOPLE, method="POST", role=WorkflowRole.OWNER)
def change_people(request: Request) -> Answer:
    """Do what `action` says: share, role, remove or transfer; or let somebody in again (`back`, an event's id)."""
    try:
        flash = _change(request, request.form.get("action"))
    except (errors.Invalid, seals.Stale) as error:
        return _people(request, error.fields, error.status)
    return redirect("workflows.show_people", workflow_id=request.workflow.id, flash=flash)


def _change(request: Request, action: str) -> Flash:
    session, user, workflow, form = request.session, request.user, request.workflow, request.form
    user_id = form.whole("user") or 0
    if event_id := request.query.whole("back"):
        other = people.let_in_again(session, user, workflow, event_id)
        return Flash(f"{other.email} is in again.")
    if action == "share":
        other = people.share(session, user, workflow, form.get("email"), form.get("role"))
        return Flash(f"{other.email} can open this workflow now, and is told so by mail.")
    if action == "role":
        other = people.change_role(session, user, workflow, user_id, form.get("role"), seen=form.get("seen"))
        return Flash(f"{other.email} is {form.get('role')} now.")
    if action == "remove":
        event_id = people.remove(session, user, workflow, user_id)
        undo = url_for("workflows.change_people", workflow_id=workflow.id, back=event_id)
        return Flash("They can’t open this workflow any more.", undo_url=undo)
    if action == "transfer":
        if not form.checked("sure"):
            raise errors.Invalid("Tick the box.", {"sure": "Tick this to say that you mean it."})
        other = people.transfer(session, user, workflow, user_id)
        return Flash(f"{other.email} owns this workflow now. You can still change and send everything.")
    raise errors.Invalid("Nothing was chosen.", {"email": "Choose what to do."})


@page(bp, PEOPLE + "/leave", method="POST", role=WorkflowRole.VIEWER)
def leave_workflow(request: Request) -> Answer:
    """Go out of somebody else's workflow."""
    people.remove(request.session, request.user, request.workflow, request.user.id)
    message = f"You have left “{request.workflow.name}”. Its owner can let you in again."
    return redirect("workflows.list_workflows", flash=message)
