"""The log: of a workflow for those who work on it, of everything for administrators; one event; all of it as a file."""

from __future__ import annotations

import json
from typing import Any

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.audit import forms, jobs, queries
from chalicelib.audit import service as audit
from chalicelib.audit.queries import PAGE_SIZE, Search
from chalicelib.audit.words import WORDS
from chalicelib.aws import files
from chalicelib.schedules import service as schedules
from chalicelib.web.page import Access, page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect, redirect_to, render

bp = Blueprint(__name__)

LOG = "/workflows/{workflow_id}/log"
ADMIN_LOG = "/admin/log"


@page(bp, LOG, role=WorkflowRole.VIEWER)
def show_log(request: Request) -> Answer:
    """Show the events of the workflow, newest first, as a search narrows them."""
    return _list(request, request.workflow.id)


@page(bp, ADMIN_LOG, access=Access.ADMIN)
def show_all_events(request: Request) -> Answer:
    """Show the events of all workflows and of none, such as sign-ins."""
    return _list(request, None)


def _list(request: Request, workflow_id: int | None) -> Answer:
    problems: dict[str, str] = {}
    try:
        search = forms.search(request.query, workflow_id, request.user.time_zone)
    except errors.Invalid as error:
        search, problems = Search(workflow_id, time_zone=request.user.time_zone), error.fields
    found = queries.lines(
        request.session, search, before=request.query.whole("before") or 0, limit=PAGE_SIZE + 1
    )  # fmt: skip
    # What was looked for stays in the links to older lines and in the fields.
    asked = {name: value for name, value in request.query.as_dict().items() if name in jobs.ASKED and value}
    return render(
        "audit/list.html", status=422 if problems else 200, lines=found[:PAGE_SIZE], search=search, asked=asked,
        problems=problems, outcomes=forms.OUTCOMES, people=queries.people(request.session, workflow_id),
        words=sorted(set(WORDS.values())),
        older=found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None, is_all=workflow_id is None,
    )  # fmt: skip


@page(bp, LOG + "/{event_id}", role=WorkflowRole.VIEWER)
def show_event(request: Request, event_id: int) -> Answer:
    """Show one event with all that was noted."""
    return _event(request, request.workflow.id, event_id)


@page(bp, ADMIN_LOG + "/{event_id}", access=Access.ADMIN)
def show_any_event(request: Request, event_id: int) -> Answer:
    """Show one event of any workflow."""
    return _event(request, None, event_id)


def _event(request: Request, workflow_id: int | None, event_id: int) -> Answer:
    found = queries.line(request.session, workflow_id, event_id)
    if found is None:
        raise errors.NotFound
    return render("audit/event.html", line=found, facts=_facts(found.detail), is_all=workflow_id is None)


def _facts(detail: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what was noted, as texts; what has parts is indented."""
    return [
        (
            name.replace("_", " ").capitalize(),
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2),
        )
        for name, value in detail.items()
        if value not in (None, "", [], {})
    ]  # fmt: skip


@page(bp, LOG, method="POST", role=WorkflowRole.VIEWER)
def download_log(request: Request) -> Answer:
    """Have the lines that are looked for written into a file, and go where it is waited for."""
    asked = {name: value for name, value in request.form.as_dict().items() if name in jobs.ASKED and value}
    forms.search(request.form, request.workflow.id, request.user.time_zone)  # what can't be read is told now
    job = schedules.enqueue(
        request.session, jobs.EXPORT, {"asked": asked, "time_zone": request.user.time_zone},
        workflow_id=request.workflow.id, user_id=request.user.id,
    )  # fmt: skip
    audit.record(
        request.session, "log_exported", workflow_id=request.workflow.id, user_id=request.user.id,
        narrowed_by=sorted(asked),
    )  # fmt: skip
    return redirect("audit.show_log_file", workflow_id=request.workflow.id, job_id=job.id)


@page(bp, LOG + "/files/{job_id}", role=WorkflowRole.VIEWER)
def show_log_file(request: Request, job_id: int) -> Answer:
    """Show how far the file is; with `file=1` lead to it."""
    job = schedules.get(request.session, request.workflow.id, request.user.id, jobs.EXPORT, job_id)
    if request.query.get("file") and "key" in job.result:
        return redirect_to(files.download_link(job.result["key"], f"Log of {request.workflow.name}.csv"))
    return render("audit/_file.html" if request.wants_part else "audit/file.html", job=job)
