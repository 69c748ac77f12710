"""Workflows under the addresses of OnTask 11, in its shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.web.api import ApiRequest, answer, api, nothing
from chalicelib.web.legacy import Refused, page
from chalicelib.web.responses import Answer
from chalicelib.workflows import api as workflows
from chalicelib.workflows import queries, service
from chalicelib.workflows.models import Workflow

LIST, ONE = "/api/v1/workflow/workflows", "/api/v1/workflow/{workflow_id}/rud"
LOCK = "/api/v1/workflow/{workflow_id}/lock"
ANYTHING: Mapping[str, Any] = {"type": "object"}


def _shown(request: ApiRequest, workflow_id: int, name: str, description: str) -> dict[str, Any]:
    found = queries.attributes(request.session, workflow_id)
    return {
        "id": workflow_id, "name": name, "description_text": description,
        "attributes": {one.name: one.value for one in found},
    }  # fmt: skip


def _of(request: ApiRequest, workflow: Workflow) -> dict[str, Any]:
    return _shown(request, workflow.id, workflow.name, workflow.description)


@api("GET", LIST, summary="Workflows, by limit and offset")
def list_legacy(request: ApiRequest) -> Answer:
    """List the workflows that the person may see; an administrator's program sees all."""
    found = queries.cards(request.session, request.user.id, everything=workflows.is_admin(request))
    cards = sorted(found, key=lambda card: card.id)
    return page(request, LIST, cards, lambda card: _shown(request, card.id, card.name, card.description))


@api("POST", LIST, summary="A new workflow", body=ANYTHING)
def create_legacy(request: ApiRequest) -> Answer:
    """Make a workflow."""
    sent = _checked(request.json, {"name"}, 500)
    name = sent["name"]
    if service.is_name_used(request.session, request.user.id, " ".join(name.split())):
        raise Refused(500, {"detail": "Workflow could not be created. There is a workflow with this name already."})
    made = service.create(
        request.session, request.user.id, name, sent.get("description_text", ""), request.user.time_zone
    )  # fmt: skip
    workflows.set_attributes(request, made, sent.get("attributes", {}))
    return answer(_of(request, made), 201)


def _checked(sent: Mapping[str, Any], required: set[str], attributes_status: int = 400) -> dict[str, Any]:
    """Return what was sent, with the words of OnTask 11 for what does not fit."""
    problems: dict[str, list[str]] = {}
    for name, limit in {"name": service.MAX_NAME_LENGTH, "description_text": service.MAX_DESCRIPTION_LENGTH}.items():
        value = sent.get(name)
        if name not in sent:
            if name in required:
                problems[name] = ["This field is required."]
        elif not isinstance(value, str):
            problems[name] = ["Not a valid string."]
        elif name == "name" and not value.strip():
            problems[name] = ["This field may not be blank."]
        elif len(value) > limit:
            problems[name] = [f"Ensure this field has no more than {limit} characters."]
    if problems:
        raise Refused(400, problems)
    attributes = sent.get("attributes", {})
    if not isinstance(attributes, dict):
        raise Refused(attributes_status, {"detail": "Attributes must be a dictionary of (string, string) pairs."})
    if not all(isinstance(value, str) for value in attributes.values()):
        raise Refused(attributes_status, {"detail": "Attributes must be a dictionary (str, str)"})
    return dict(sent)


@api("GET", ONE, role=WorkflowRole.VIEWER, summary="One workflow")
def show_legacy(request: ApiRequest) -> Answer:
    """Show a workflow."""
    return answer(_of(request, request.workflow))


@api("PUT", ONE, role=WorkflowRole.EDITOR, summary="Change a workflow", body=ANYTHING)
def replace_legacy(request: ApiRequest) -> Answer:
    """Give the workflow these fields; those that are optional and not named stay."""
    return _change(request, _checked(request.json, {"name"}))


@api("PATCH", ONE, role=WorkflowRole.EDITOR, summary="Change some fields", body=ANYTHING)
def change_legacy(request: ApiRequest) -> Answer:
    """Change what is named."""
    return _change(request, _checked(request.json, set()))


def _change(request: ApiRequest, sent: Mapping[str, Any]) -> Answer:
    workflow = request.workflow
    name, description = sent.get("name", workflow.name), sent.get("description_text", workflow.description)
    owner = service.owner_id(request.session, workflow.id)
    if service.is_name_used(request.session, owner, " ".join(name.split()), workflow.id):
        raise errors.Conflict("There is a workflow with this name already.")
    service.rename(request.session, request.user.id, workflow, name, description)
    if "attributes" in sent:
        workflows.set_attributes(request, workflow, sent["attributes"])
    return answer(_of(request, workflow))


@api("DELETE", ONE, role=WorkflowRole.OWNER, summary="Delete a workflow")
def delete_legacy(request: ApiRequest) -> Answer:
    """Put the workflow into the trash."""
    service.delete(request.session, request.user.id, request.workflow)
    return nothing()


@api("GET", LOCK, role=WorkflowRole.VIEWER, summary="Nobody locks a workflow")
def show_lock(_request: ApiRequest) -> Answer:
    """Say that nobody keeps others out: several people may work on a workflow at once."""
    return answer({"lock": False})


@api("POST", LOCK, role=WorkflowRole.EDITOR, summary="Nobody has to lock a workflow")
def take_lock(_request: ApiRequest) -> Answer:
    """Do nothing: each change keeps others out for as long as it takes."""
    return nothing(201)


@api("DELETE", LOCK, role=WorkflowRole.EDITOR, summary="Nobody has to release a workflow")
def release_lock(_request: ApiRequest) -> Answer:
    """Do nothing."""
    return nothing(200)
