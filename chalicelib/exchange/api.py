"""Exports and imports of whole workflows for programs; administrators do both for others, too."""

from __future__ import annotations

from typing import Any

from chalicelib import errors
from chalicelib.accounts import service as accounts
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import STAFF, Role, WorkflowRole
from chalicelib.actions import queries as actions
from chalicelib.exchange import queries, service
from chalicelib.exchange.document import WORKFLOW
from chalicelib.exchange.models import Import
from chalicelib.schedules import service as schedules
from chalicelib.web import schemas
from chalicelib.web.api import ApiRequest, answer, api, public_url
from chalicelib.web.responses import Answer
from chalicelib.workflows import api as workflow_api
from chalicelib.workflows import service as workflows

EXPORT = "export_workflow"
EXPORTS = "/api/v2/workflows/{workflow_id}/export"
IMPORTS, IMPORT = "/api/v2/imports", "/api/v2/imports/{import_id}"
USER = {"user": "For administrators: the address of the person for whom this is done"}
EXAMPLE = {"id": 3, "state": "read", "name": "Chem 101", "problem": "", "workflow": None, "holds": {"learners": 120}}


def owner(request: ApiRequest) -> User:
    """Return for whom the request is: its sender, or for an administrator anybody who may have workflows.

    Raises errors.Forbidden for others, errors.Invalid (field `user`) when there is nobody of this address.
    """
    email = request.query.get("user").strip().lower()
    if not email or email == request.user.email:
        return request.user
    if request.user.role != Role.ADMIN:
        raise errors.Forbidden("Only administrators do this for others.")
    found = accounts.find_by_email(request.session, email)
    if found is None or not found.is_active or found.role not in STAFF:
        message = f"Nobody of the address {email} may have workflows."
        raise errors.Invalid(message, {"user": message})
    return found


@api(
    "POST", EXPORTS, summary="Have it written into a file", statuses=(202,), query=USER,
    body=schemas.fields(learners=schemas.YES_NO), example={"id": 7, "state": "queued"},
)  # fmt: skip
def export_workflow(request: ApiRequest, workflow_id: int) -> Answer:
    """Have the workflow written with all its messages; the job has the address of the file when it is done."""
    person = owner(request)
    workflow = workflows.get(request.session, person.id, workflow_id, WorkflowRole.VIEWER)
    payload = {
        "kind": WORKFLOW, "actions": list(actions.labels(request.session, workflow.id)),
        "learners": request.json.get("learners", True),
    }  # fmt: skip
    job = schedules.enqueue(
        request.session, EXPORT, payload, workflow_id=workflow.id, user_id=request.user.id
    )  # fmt: skip
    return workflow_api.accepted(job.id)


@api(
    "POST", IMPORTS, summary="Announce a file, and learn where to send it", statuses=(201,), query=USER,
    body=schemas.fields({"filename": schemas.TEXT, "size": schemas.WHOLE}),
    example={"id": 3, "url": "https://bucket.example/", "fields": {"key": "uploads/1/import-3"}},
)  # fmt: skip
def begin_import(request: ApiRequest) -> Answer:
    """Answer with the form by which the file of a workflow goes to S3, within 15 minutes."""
    sent = request.json
    imported, form = service.begin(request.session, owner(request).id, sent["filename"], sent["size"])
    return answer({"id": imported.id, "url": form.url, "fields": form.fields}, 201, {"Location": _address(imported)})


def _address(imported: Import) -> str:
    return public_url(IMPORT.replace("{import_id}", str(imported.id)))


def _shown(request: ApiRequest, imported: Import) -> dict[str, Any]:
    document = imported.document and service.document_of(imported)
    return {
        "id": imported.id, "state": imported.state, "name": imported.name, "problem": imported.problem,
        "progress": queries.progress(request.session, imported).percent,
        "workflow": imported.workflow_id if imported.state == "done" else None,
        "holds": imported.result or (service.counts(document) if document else {}),
    }  # fmt: skip


@api("GET", IMPORT, summary="How far it is, and what the file holds", query=USER, example=EXAMPLE)
def show_import(request: ApiRequest, import_id: int) -> Answer:
    """Show an import: `waiting`, `reading`, `read` (now confirm it), `creating`, `done`, or `refused`."""
    return answer(_shown(request, service.get(request.session, owner(request).id, import_id)))


@api("POST", IMPORT + "/arrived", summary="Have the file read", query=USER, statuses=(202,), example=EXAMPLE)
def read_import(request: ApiRequest, import_id: int) -> Answer:
    """Have the file read that was sent; asking twice is harmless."""
    imported = service.get(request.session, owner(request).id, import_id)
    service.arrived(request.session, imported)
    return answer(_shown(request, imported), 202, {"Location": _address(imported)})


@api(
    "POST", IMPORT + "/confirm", summary="Have the workflow made", query=USER, statuses=(202,), example=EXAMPLE,
    body=schemas.fields(name=schemas.TEXT, replace=schemas.YES_NO),
)  # fmt: skip
def confirm_import(request: ApiRequest, import_id: int) -> Answer:
    """Have the workflow made; with `replace` the one of this name goes to the trash first."""
    person = owner(request)
    imported = service.get(request.session, person.id, import_id)
    name = " ".join(request.json.get("name", "").split())
    if request.json.get("replace"):
        service.put_away(request.session, person.id, name or imported.name)
    service.confirm(request.session, imported, name)
    return answer(_shown(request, imported), 202, {"Location": _address(imported)})
