"""Workflows for programs."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from chalicelib import errors
from chalicelib.accounts.roles import Role, WorkflowRole
from chalicelib.aws import files
from chalicelib.schedules import service as schedules
from chalicelib.web import cursors, schemas
from chalicelib.web.api import ApiRequest, answer, api, check_match, nothing, public_url
from chalicelib.web.responses import Answer
from chalicelib.workflows import attributes, cloning, queries, service
from chalicelib.workflows.attributes import AttributeForm
from chalicelib.workflows.models import Workflow

LIST, ONE = "/api/v2/workflows", "/api/v2/workflows/{workflow_id}"
JOB = "/api/v2/jobs/{job_id}"
ATTRIBUTES = {"type": "object", "additionalProperties": schemas.TEXT}
NEW = schemas.fields({"name": schemas.TEXT}, description=schemas.TEXT, attributes=ATTRIBUTES)
CHANGE = schemas.fields(name=schemas.TEXT, description=schemas.TEXT, attributes=ATTRIBUTES)
EXAMPLE = {
    "id": 12, "name": "Chem 101", "description": "", "attributes": {"semester": "S1"}, "role": "owner",
    "rows": 120, "columns": 8, "updated_at": "2026-03-02T12:00:00+00:00",
}  # fmt: skip


def is_admin(request: ApiRequest) -> bool:
    """Tell whether the program is an administrator's, which reaches all workflows."""
    return request.user.role == Role.ADMIN


def shown(request: ApiRequest, workflow: Workflow) -> dict[str, Any]:
    """Return a workflow as programs see it."""
    (card,) = queries.cards(request.session, request.user.id, only=workflow.id, everything=is_admin(request))
    found = queries.attributes(request.session, workflow.id)
    return _of_card(card) | {"attributes": {one.name: one.value for one in found}}


def _of_card(card: queries.Card) -> dict[str, Any]:
    return {
        "id": card.id, "name": card.name, "description": card.description, "role": card.role, "rows": card.row_count,
        "columns": card.column_count, "updated_at": card.updated_at.isoformat(),
    }  # fmt: skip


def seal(told: dict[str, Any]) -> str:
    """Return a short text that tells two states of a workflow's own fields apart."""
    own = [told["name"], told["description"], told["attributes"]]
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:20]


def _answer(request: ApiRequest, workflow: Workflow, status: int = 200, **headers: str) -> Answer:
    told = shown(request, workflow)
    return answer(told, status, {"ETag": f'"{seal(told)}"', **headers})


@api(
    "GET", LIST, summary="Your workflows, and those shared with you",
    query={**cursors.QUERY, "search": "Part of a name or description"}, example={"items": [EXAMPLE], "next": None},
)  # fmt: skip
def list_workflows(request: ApiRequest) -> Answer:
    """List the workflows that the person may see, by id; an administrator's program sees all."""
    size, after = cursors.size(request), cursors.after(request)
    search, user_id = request.query.get("search"), request.user.id
    cards = queries.cards(request.session, user_id, search=search, everything=is_admin(request))
    found = sorted((card for card in cards if card.id > after), key=lambda card: card.id)
    following = str(found[size - 1].id) if len(found) > size else ""
    return answer(cursors.page(public_url(LIST), request, [_of_card(card) for card in found[:size]], following))


@api("POST", LIST, summary="Make an empty workflow", body=NEW, statuses=(201,), example=EXAMPLE)
def create_workflow(request: ApiRequest) -> Answer:
    """Make a workflow of the person's own."""
    sent, user = request.json, request.user
    workflow = service.create(request.session, user.id, sent["name"], sent.get("description", ""), user.time_zone)
    set_attributes(request, workflow, sent.get("attributes", {}))
    return _answer(request, workflow, 201, Location=public_url(f"{LIST}/{workflow.id}"))


@api("GET", ONE, role=WorkflowRole.VIEWER, summary="One workflow", example=EXAMPLE)
def show_workflow(request: ApiRequest) -> Answer:
    """Show a workflow."""
    return _answer(request, request.workflow)


@api("PATCH", ONE, role=WorkflowRole.EDITOR, summary="Change some of its fields", body=CHANGE, example=EXAMPLE)
def change_workflow(request: ApiRequest) -> Answer:
    """Change what is named and leave the rest; attributes that are named replace all there are."""
    sent, workflow = request.json, request.workflow
    request.session.refresh(workflow, with_for_update=True)
    check_match(request, seal(shown(request, workflow)))
    name, description = sent.get("name", workflow.name), sent.get("description", workflow.description)
    service.rename(request.session, request.user.id, workflow, name, description)
    if "attributes" in sent:
        set_attributes(request, workflow, sent["attributes"])
    return _answer(request, workflow)


def set_attributes(request: ApiRequest, workflow: Workflow, wanted: dict[str, str]) -> None:
    """Make these the workflow's attributes: others are deleted, unless a text still speaks of them.

    Raises errors.Invalid (field `attributes`) for one that can't be, errors.Conflict for one that has to stay.
    """
    session, user_id = request.session, request.user.id
    present = {one.name: one for one in queries.attributes(session, workflow.id)}
    try:
        for name, one in present.items():
            if name not in wanted:
                attributes.delete(session, user_id, workflow, one.id, anyway=False)
        for name, value in wanted.items():
            form = AttributeForm(name, value)
            if name not in present:
                attributes.add(session, user_id, workflow, form)
            elif value != present[name].value:
                attributes.change(session, user_id, workflow, present[name].id, form)
    except errors.Invalid as error:
        raise errors.Invalid(f"An attribute can't stay: {error.message}", {"attributes": error.message}) from error


@api("DELETE", ONE, role=WorkflowRole.OWNER, summary="Put it into the trash, for 30 days", statuses=(204,))
def delete_workflow(request: ApiRequest) -> Answer:
    """Put the workflow into the trash, from where its owner can take it back."""
    check_match(request, seal(shown(request, request.workflow)))
    service.delete(request.session, request.user.id, request.workflow)
    return nothing()


@api(
    "POST", ONE + "/clone", role=WorkflowRole.EDITOR, summary="Copy it", statuses=(202,),
    body=schemas.fields(shares=schemas.YES_NO, learners=schemas.YES_NO), example={"id": 7, "state": "queued"},
)  # fmt: skip
def clone_workflow(request: ApiRequest) -> Answer:
    """Have the workflow copied by a job; its result names the copy."""
    wish = cloning.Wish(shares=request.json.get("shares", False), learners=request.json.get("learners", False))
    job_id = cloning.ask(request.session, request.user.id, request.workflow, wish, "")
    return accepted(job_id)


def accepted(job_id: int) -> Answer:
    """Answer that a job does it."""
    path = JOB.replace("{job_id}", str(job_id))
    return answer({"id": job_id, "state": "queued"}, 202, {"Location": public_url(path)})


@api("GET", JOB, summary="How far long work is", example={"id": 7, "state": "done", "progress": 100})
def show_job(request: ApiRequest, job_id: int) -> Answer:
    """Show a job that the person started."""
    job = schedules.own(request.session, request.user.id, job_id)
    if job.workflow_id is not None and not is_admin(request):
        service.get(request.session, request.user.id, job.workflow_id, WorkflowRole.VIEWER)
    told = {
        "id": job.id, "kind": job.kind, "state": job.state, "progress": job.progress, "message": job.message,
        "result": {name: value for name, value in job.result.items() if name != "key"},
    }  # fmt: skip
    if key := job.result.get("key"):
        told["file"] = files.download_link(key, key.rpartition("/")[2])
    return answer(told)
