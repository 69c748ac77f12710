"""The list of workflows, the trash, and one workflow's overview and settings."""

from __future__ import annotations

from zoneinfo import available_timezones

from chalice import Blueprint

from chalicelib import errors, seals
from chalicelib.accounts.roles import STAFF, WorkflowRole
from chalicelib.actions.language.filters import MAX_DECIMALS
from chalicelib.actions.language.formats import USUAL
from chalicelib.schedules import plans
from chalicelib.web.page import Access, page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for
from chalicelib.workflows import people, queries, service

bp = Blueprint(__name__)
#: What numbers in texts can have, with words.
DECIMALS = [
    ("", "As many as there are"),
    ("0", "None"),
    *((str(count), str(count)) for count in range(1, MAX_DECIMALS + 1)),
]
#: Longer lists can be searched.
SEARCHED = 8


@page(bp, "/", access=Access.SIGNED_IN)
def home(request: Request) -> Answer:
    """The way in leads to the list, learners to theirs."""
    return redirect("workflows.list_workflows" if request.user.role in STAFF else "accounts.show_home")


@page(bp, "/workflows", access=Access.STAFF)
def list_workflows(request: Request) -> Answer:
    """Show the cards and the form for a new workflow."""
    return _list(request, {})


def _list(request: Request, problems: dict[str, str]) -> Answer:
    search = request.query.get("search").strip()
    cards = queries.cards(request.session, request.user.id, search=search)
    return render(
        "workflows/list.html", status=422 if problems else 200, cards=cards, problems=problems, search=search,
        is_long=bool(search) or len(cards) > SEARCHED, form=request.form.as_dict(),
    )  # fmt: skip


@page(bp, "/workflows", method="POST", access=Access.STAFF)
def create_workflow(request: Request) -> Answer:
    """Create one and go there."""
    try:
        workflow = service.create(
            request.session, request.user.id, request.form.get("name"), request.form.get("description"),
            request.user.time_zone,
        )  # fmt: skip
    except errors.Invalid as error:
        return _list(request, error.fields)
    return redirect("workflows.show_overview", workflow_id=workflow.id)


@page(bp, "/trash", access=Access.STAFF)
def show_trash(request: Request) -> Answer:
    """Show what was deleted in the last 30 days."""
    return render("workflows/trash.html", cards=queries.cards(request.session, request.user.id, in_trash=True))


@page(bp, "/trash/{workflow_id}/restore", method="POST", access=Access.STAFF)
def restore_workflow(request: Request, workflow_id: int) -> Answer:
    """Take a workflow out of the trash."""
    workflow = service.get(request.session, request.user.id, workflow_id, WorkflowRole.OWNER, in_trash=True)
    service.restore(request.session, request.user.id, workflow)
    return redirect("workflows.show_overview", workflow_id=workflow.id, flash=f"“{workflow.name}” is back.")


@page(bp, "/workflows/{workflow_id}", role=WorkflowRole.VIEWER)
def show_overview(request: Request) -> Answer:
    """Show what there is, what happened, and what to do next."""
    people.note_opened(request.session, request.workflow.id, request.user.id)
    (card,) = queries.cards(request.session, request.user.id, only=request.workflow.id)
    happenings = queries.happenings(request.session, request.workflow.id)
    return render("workflows/overview.html", card=card, happenings=happenings)


@page(bp, "/workflows/{workflow_id}/settings", role=WorkflowRole.EDITOR)
def show_settings(request: Request) -> Answer:
    """Show name, description and formats, and the ways to a copy, to an empty table and to the trash."""
    return _settings(request, {}, {})


def _settings(request: Request, problems: dict[str, str], form: dict[str, str], status: int = 200) -> Answer:
    seal = seals.seal(service.shown(request.workflow))
    schedules = plans.named(plans.of_workflow(request.session, request.workflow.id))
    formats = service.shown_formats(request.workflow)
    return render(
        "workflows/settings.html", status=status, problems=problems, form=form, seal=seal, schedules=schedules,
        formats=formats, formats_seal=seals.seal(formats), zones=sorted(available_timezones()),
        decimals=DECIMALS, usual_date=USUAL.date,
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/settings", method="POST", role=WorkflowRole.EDITOR)
def change_settings(request: Request) -> Answer:
    """Rename the workflow, or say how its texts show numbers and times: the form says which."""
    try:
        if request.form.checked("formats"):
            service.set_formats(
                request.session, request.user.id, request.workflow, request.form.get("time_zone"),
                request.form.get("decimals"), request.form.get("date"), seen=request.form.get("formats_seen"),
            )  # fmt: skip
            return redirect("workflows.show_settings", workflow_id=request.workflow.id, flash="Saved.")
        service.rename(
            request.session, request.user.id, request.workflow, request.form.get("name"),
            request.form.get("description"), seen=request.form.get("seen"),
        )  # fmt: skip
    except errors.Invalid as error:
        return _settings(request, error.fields, request.form.as_dict(), 422)
    except seals.Stale as error:  # the next save is meant to go over what is told now, so the old seal goes
        typed = {name: value for name, value in request.form.as_dict().items() if name not in {"seen", "formats_seen"}}
        return _settings(request, error.fields, typed, error.status)
    return redirect("workflows.show_settings", workflow_id=request.workflow.id, flash="Saved.")


@page(bp, "/workflows/{workflow_id}/delete", method="POST", role=WorkflowRole.OWNER)
def delete_workflow(request: Request) -> Answer:
    """Move the workflow to the trash, with an undo in the message that follows."""
    workflow = request.workflow
    service.delete(request.session, request.user.id, workflow)
    flash = Flash(
        f"“{workflow.name}” is in the trash for 30 days.",
        undo_url=url_for("workflows.restore_workflow", workflow_id=workflow.id),
    )
    return redirect("workflows.list_workflows", flash=flash)


@page(bp, "/help", access=Access.SIGNED_IN)
def show_help(request: Request) -> Answer:
    """Explain the product on one page."""
    return render("help.html")
