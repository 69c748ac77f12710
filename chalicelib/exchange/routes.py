"""Export a workflow or messages; import them: send the file, look at what will come, have it created."""

from __future__ import annotations

from typing import Any

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.aws import files
from chalicelib.exchange import jobs, queries, service
from chalicelib.exchange.document import MESSAGES, WORKFLOW
from chalicelib.exchange.models import CREATING, DONE, READ, REFUSED, Import
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings
from chalicelib.tables.cells import TYPE_NAMES
from chalicelib.tables.routes import zone_of
from chalicelib.web.page import Access, page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, data, redirect, redirect_to, render
from chalicelib.web.urls import url_for

bp = Blueprint(__name__)


@page(bp, "/workflows/{workflow_id}/export", role=service.MAY_EXPORT)
def show_export(request: Request) -> Answer:
    """Show what can go into the file; with `?action=` only that message is ticked."""
    return _export(request, {})


def _export(request: Request, problems: dict[str, str]) -> Answer:
    return render(
        "exchange/export.html", status=422 if problems else 200, problems=problems,
        messages=queries.messages(request.session, request.workflow.id),
        kinds={"workflow": WORKFLOW, "messages": MESSAGES},
        kind=request.form.get("kind") or request.query.get("kind") or WORKFLOW, only=request.query.whole("action"),
    )  # fmt: skip


@page(bp, "/workflows/{workflow_id}/export", method="POST", role=service.MAY_EXPORT)
def export(request: Request) -> Answer:
    """Have the file written, and go where it is waited for."""
    kind = MESSAGES if request.form.get("kind") == MESSAGES else WORKFLOW
    actions = request.form.wholes("action")
    if kind == MESSAGES and not actions:
        return _export(request, {"action": "Tick at least one message."})
    payload = {"kind": kind, "actions": actions, "learners": request.form.checked("learners")}
    job = schedules.enqueue(
        request.session, jobs.EXPORT, payload, workflow_id=request.workflow.id, user_id=request.user.id
    )
    return redirect("exchange.show_exported", workflow_id=request.workflow.id, job_id=job.id)


@page(bp, "/workflows/{workflow_id}/export/{job_id}", role=service.MAY_EXPORT)
def show_exported(request: Request, job_id: int) -> Answer:
    """Show how far the file is; HTMX asks for this part until it is there. With `?file=1` lead to it."""
    job = schedules.get(request.session, request.workflow.id, request.user.id, jobs.EXPORT, job_id)
    name = jobs.filename(request.workflow.name, job.payload["kind"], job.created_at.astimezone(zone_of(request)))
    if request.query.checked("file"):
        if "key" not in job.result:
            raise errors.NotFound("This file is not ready.")
        return redirect_to(files.download_link(job.result["key"], name))
    template = "exchange/_exported.html" if request.wants_part else "exchange/exported.html"
    return render(template, job=job, filename=name)


@page(bp, "/imports", access=Access.STAFF)
def start_import(request: Request) -> Answer:
    """Show where to drop the file of a workflow."""
    return _start(request, None)


@page(bp, "/imports", method="POST", access=Access.STAFF)
def begin_import(request: Request) -> Answer:
    """Answer with the form by which the browser sends the file to S3, as JSON."""
    return _begin(request, None)


@page(bp, "/imports/{import_id}", access=Access.STAFF)
def show_import(request: Request, import_id: int) -> Answer:
    """Show how far the import is, what will come, or what has come."""
    return _show(request, service.get(request.session, request.user.id, import_id))


@page(bp, "/imports/{import_id}", method="POST", access=Access.STAFF)
def change_import(request: Request, import_id: int) -> Answer:
    """Take the next step: the file has arrived, create it, or give it up."""
    return _change(request, service.get(request.session, request.user.id, import_id))


@page(bp, "/workflows/{workflow_id}/imports", role=WorkflowRole.EDITOR)
def start_messages(request: Request) -> Answer:
    """Show where to drop a file with messages for this workflow."""
    return _start(request, request.workflow.id)


@page(bp, "/workflows/{workflow_id}/imports", method="POST", role=WorkflowRole.EDITOR)
def begin_messages(request: Request) -> Answer:
    """Answer with the form by which the browser sends the file to S3, as JSON."""
    return _begin(request, request.workflow.id)


@page(bp, "/workflows/{workflow_id}/imports/{import_id}", role=WorkflowRole.EDITOR)
def show_messages(request: Request, import_id: int) -> Answer:
    """Show how far the import of messages is, or what will come."""
    return _show(request, service.get(request.session, request.user.id, import_id, request.workflow.id))


@page(bp, "/workflows/{workflow_id}/imports/{import_id}", method="POST", role=WorkflowRole.EDITOR)
def change_messages(request: Request, import_id: int) -> Answer:
    """Take the next step of an import of messages."""
    return _change(request, service.get(request.session, request.user.id, import_id, request.workflow.id))


def _start(request: Request, workflow_id: int | None) -> Answer:
    return render(
        "exchange/start.html", max_mb=settings().max_upload_mb, address=_addresses(request)[0],
        unfinished=queries.unfinished(request.session, request.user.id, workflow_id), links=_links(request),
    )  # fmt: skip


def _begin(request: Request, workflow_id: int | None) -> Answer:
    try:
        imported, form = service.begin(
            request.session, request.user.id, request.form.get("filename"), request.form.whole("size") or 0, workflow_id
        )
    except errors.AppError as error:
        return data({"message": error.message}, error.status)
    return data({"url": form.url, "fields": form.fields, "arrived": _address(request, imported)})


def _addresses(request: Request) -> tuple[str, str]:
    """Return where imports begin here, and the endpoint of one of them."""
    if request._workflow is None:
        return url_for("exchange.start_import"), "exchange.show_import"
    return url_for("exchange.start_messages", workflow_id=request.workflow.id), "exchange.show_messages"


def _links(request: Request) -> Any:
    """Return a function from an import's id to its page."""
    endpoint = _addresses(request)[1]
    here = {} if request._workflow is None else {"workflow_id": request.workflow.id}
    return lambda import_id: url_for(endpoint, import_id=import_id, **here)


def _address(request: Request, imported: Import) -> str:
    return str(_links(request)(imported.id))


def _show(request: Request, imported: Import, problems: dict[str, str] | None = None) -> Answer:
    context: dict[str, Any] = {
        "imported": imported,
        "address": _address(request, imported),
        "start": _addresses(request)[0],
    }
    if imported.state in {READ, REFUSED, DONE} and request.wants_part:
        return redirect_to(context["address"])
    if imported.state == READ:
        document = service.document_of(imported)
        return render(
            "exchange/review.html", status=422 if problems else 200, problems=problems or {}, document=document,
            counts=service.counts(document), coming=queries.coming(document), type_names=TYPE_NAMES,
            name=service.offered_name(request.session, imported), form=request.form.as_dict(), **context,
        )  # fmt: skip
    if imported.state == REFUSED:
        return render("exchange/refused.html", **context)
    if imported.state == DONE:
        return render("exchange/done.html", document=service.document_of(imported), **context)
    template = "exchange/_progress.html" if request.wants_part else "exchange/progress.html"
    return render(template, progress=queries.progress(request.session, imported), **context)


def _change(request: Request, imported: Import) -> Answer:
    match request.form.get("step"):
        case "create":
            return _create(request, imported)
        case "discard":
            service.discard(request.session, imported)
            return redirect_to(_addresses(request)[0], flash=f"“{imported.filename}” was not imported.")
        case _:
            return _arrived(request, imported)


def _arrived(request: Request, imported: Import) -> Answer:
    try:
        service.arrived(request.session, imported)
    except errors.AppError as error:
        return data({"message": error.message}, error.status)
    return data({"page": _address(request, imported)})


def _create(request: Request, imported: Import) -> Answer:
    if imported.state not in {CREATING, DONE}:  # not a second click
        try:
            service.confirm(request.session, imported, request.form.get("name"))
        except errors.Invalid as error:
            return _show(request, imported, error.fields or {"name": error.message})
    return redirect_to(_address(request, imported))
