"""Download the table: a job writes the file, a page waits for it, a link leads to S3."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.audit import service as audit
from chalicelib.aws import files
from chalicelib.schedules import service as schedules
from chalicelib.tables import downloads, jobs, state
from chalicelib.tables.routes import zone_of
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect, redirect_to, render

bp = Blueprint(__name__)


@page(bp, "/workflows/{workflow_id}/downloads", method="POST", role=WorkflowRole.VIEWER)
def download_table(request: Request) -> Answer:
    """Have the file written, and go where it is waited for."""
    if request.workflow.row_count is None:
        raise errors.NotFound
    kind = request.form.get("format", "csv")
    if kind not in downloads.FORMATS:
        raise errors.NotFound
    shown = state.read(request.session, request.workflow, request.form, zone_of(request).key)
    query = {name: value if isinstance(value, list) else [str(value)] for name, value in shown.address().items()}
    job = schedules.enqueue(
        request.session, jobs.EXPORT,
        {
            "query": query, "format": kind, "is_safe": not request.form.checked("plain"),
            "time_zone": zone_of(request).key, "view": shown.view.name if shown.view else "",
        },
        workflow_id=request.workflow.id, user_id=request.user.id,
    )  # fmt: skip
    audit.record(
        request.session, "table_exported", workflow_id=request.workflow.id, user_id=request.user.id, format=kind,
        name=shown.view.name if shown.view else "",
    )  # fmt: skip
    return redirect("tables.show_download", workflow_id=request.workflow.id, job_id=job.id)


@page(bp, "/workflows/{workflow_id}/downloads/{job_id}", role=WorkflowRole.VIEWER)
def show_download(request: Request, job_id: int) -> Answer:
    """Show how far the file is; HTMX asks for this part again until it is there."""
    job = schedules.get(request.session, request.workflow.id, request.user.id, jobs.EXPORT, job_id)
    return render(
        "tables/_download.html" if request.wants_part else "tables/download.html", job=job,
        filename=_filename(request, job.payload, job.created_at), query=job.payload["query"],
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/downloads/{job_id}/file", role=WorkflowRole.VIEWER)
def show_file(request: Request, job_id: int) -> Answer:
    """Lead to the file, under the names of workflow and view."""
    job = schedules.get(request.session, request.workflow.id, request.user.id, jobs.EXPORT, job_id)
    if "key" not in job.result:
        raise errors.NotFound("This file is not ready.")
    return redirect_to(files.download_link(job.result["key"], _filename(request, job.payload, job.created_at)))


def _filename(request: Request, payload: dict[str, Any], asked_at: datetime) -> str:
    names = [request.workflow.name, payload["view"]]
    return downloads.filename(names, payload["format"], asked_at.astimezone(zone_of(request)))
