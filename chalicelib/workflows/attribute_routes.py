"""The attributes of a workflow: values that texts can show to everybody alike."""

from __future__ import annotations

from collections.abc import Mapping

from chalice import Blueprint

from chalicelib import errors, seals
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for
from chalicelib.workflows import attributes, queries

bp = Blueprint(__name__)
ATTRIBUTES = "/workflows/{workflow_id}/attributes"


@page(bp, ATTRIBUTES, role=WorkflowRole.VIEWER)
def show_attributes(request: Request) -> Answer:
    """Show names and values; with `edit` the form of one of them."""
    return _attributes(request, request.query.whole("edit") or 0)


def _attributes(
    request: Request, edit: int, problems: Mapping[str, str] | None = None, warning: str = "", status: int = 200
) -> Answer:
    found = queries.attributes(request.session, request.workflow.id)
    form = request.form.as_dict()
    if status == seals.Stale.status:
        form.pop("seen", None)  # the next save is meant to go over what was told now
    return render(
        "workflows/attributes.html", status=status, attributes=found, edit=edit, problems=problems or {},
        warning=warning, form=form, seals={one.id: seals.seal(attributes.shown(one)) for one in found},
        can_edit=WorkflowRole(request.role).covers(WorkflowRole.EDITOR),
    )  # fmt: skip


@page(bp, ATTRIBUTES, method="POST", role=WorkflowRole.EDITOR)
def change_attributes(request: Request) -> Answer:
    """Do what `action` says: add, change or delete; or take a deleted one back (`back`, its id)."""
    edit = request.form.whole("attribute") or 0
    try:
        flash = _change(request, edit)
    except errors.NotFound as error:
        return redirect(
            "workflows.show_attributes", workflow_id=request.workflow.id, flash=Flash(error.message, "danger")
        )
    except (errors.Invalid, seals.Stale) as error:
        return _attributes(request, edit, error.fields, status=error.status)
    except errors.Conflict as error:
        return _attributes(request, edit, warning=error.message, status=error.status)
    return redirect("workflows.show_attributes", workflow_id=request.workflow.id, flash=flash)


def _change(request: Request, attribute_id: int) -> Flash:
    session, user_id, workflow = request.session, request.user.id, request.workflow
    if deleted_id := request.query.whole("back"):
        attribute = attributes.restore(session, user_id, workflow, deleted_id)
        return Flash(f"“{attribute.name}” is back.")
    form = attributes.AttributeForm(request.form.get("name"), request.form.get("value"), request.form.get("seen"))
    action = request.form.get("action")
    if action == "add":
        attribute = attributes.add(session, user_id, workflow, form)
        return Flash(f"“{attribute.name}” can be used in every message now.")
    if action == "delete":
        anyway = request.form.checked("anyway")
        attribute = attributes.delete(session, user_id, workflow, attribute_id, anyway=anyway)
        undo = url_for("workflows.change_attributes", workflow_id=workflow.id, back=attribute.id)
        return Flash(f"“{attribute.name}” is deleted.", undo_url=undo)
    attribute = attributes.change(session, user_id, workflow, attribute_id, form)
    return Flash(f"“{attribute.name}” is saved.")
