"""Columns for programs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.tables import cells, queries, values
from chalicelib.tables.columns import create, remove, settings, uses
from chalicelib.tables.columns.create import Details
from chalicelib.tables.models import Column
from chalicelib.tables.store import TYPES
from chalicelib.web import schemas
from chalicelib.web.api import ApiRequest, answer, api, nothing
from chalicelib.web.responses import Answer

LIST = "/api/v2/workflows/{workflow_id}/columns"
ONE = LIST + "/{column_id}"
ALLOWED = {"type": ["array", "null"], "items": {"type": ["string", "number"]}}
NEW = schemas.fields(
    {"name": schemas.TEXT, "type": {"type": "string", "enum": list(TYPES)}}, description=schemas.TEXT,
    allowed_values=ALLOWED, initial={"type": ["string", "number", "boolean", "null"]},
)  # fmt: skip
CHANGE = schemas.fields(name=schemas.TEXT, description=schemas.TEXT, key=schemas.YES_NO, position=schemas.WHOLE)
EXAMPLE = {
    "id": 31, "name": "mark", "type": "double", "key": False, "position": 3, "description": "", "allowed_values": None,
}  # fmt: skip


def _shown(column: Column) -> dict[str, Any]:
    return {
        "id": column.id, "name": column.name, "type": column.type, "key": column.is_key, "position": column.position,
        "description": column.description, "allowed_values": column.allowed_values,
    }  # fmt: skip


@api("GET", LIST, role=WorkflowRole.VIEWER, summary="The columns", example={"items": [EXAMPLE], "next": None})
def list_columns(request: ApiRequest) -> Answer:
    """List the columns in their order."""
    columns = queries.columns(request.session, request.workflow.id)
    return answer({"items": [_shown(column) for column in columns], "next": None})


@api("POST", LIST, role=WorkflowRole.EDITOR, summary="Add a column", body=NEW, statuses=(201,), example=EXAMPLE)
def create_column(request: ApiRequest) -> Answer:
    """Add a column, with one value for everybody or none."""
    sent, zone = request.json, ZoneInfo(request.workflow.time_zone)
    allowed = sent.get("allowed_values")
    try:
        draft = Column(name=sent["name"], type=sent["type"], is_key=False, allowed_values=allowed)
        initial = values.parsed(sent.get("initial"), sent["type"], zone)
        if initial is not None:
            cells.check(initial, draft, zone, "initial")
    except ValueError as error:
        raise errors.Invalid(f"The first value does not fit: {error}.", {"initial": f"{error}."}) from error
    details = Details(sent["name"], sent["type"], sent.get("description", ""), allowed=allowed)
    made = create.add(request.session, request.workflow, request.user.id, details, initial)
    request.session.flush()
    return answer(_shown(made), 201)


@api("PATCH", ONE, role=WorkflowRole.EDITOR, summary="Rename it, move it, make it a key", body=CHANGE, example=EXAMPLE)
def change_column(request: ApiRequest, column_id: int) -> Answer:
    """Change what is named; texts and conditions follow a new name by themselves."""
    column = queries.column(request.session, request.workflow.id, column_id)
    now, sent = settings.of(request.session, column), request.json
    wanted = replace(
        now, name=sent.get("name", now.name), description=sent.get("description", now.description),
        is_key=sent.get("key", now.is_key), position=sent.get("position", now.position),
    )  # fmt: skip
    try:
        settings.change(request.session, request.workflow, request.user.id, column, wanted)
    except errors.Invalid as error:
        raise errors.Invalid(
            error.message, {"key" if name == "is_key" else name: said for name, said in error.fields.items()}
        ) from error
    return answer(_shown(column))


@api(
    "DELETE", ONE, role=WorkflowRole.EDITOR, summary="Delete it", statuses=(204,),
    query={"anyway": "true: although something still uses it"},
)  # fmt: skip
def delete_column(request: ApiRequest, column_id: int) -> Answer:
    """Delete a column; what still uses it is listed and has to be accepted. The table's history brings it back."""
    column = queries.column(request.session, request.workflow.id, column_id)
    found = uses.of_column(request.session, request.workflow, column)
    if found and not request.query.checked("anyway"):
        told = "; ".join(f"{line.words} {line.outcome}" for line in found)
        raise errors.Conflict(f"“{column.name}” is still used: {told}. Say `anyway=true` to delete it.")
    remove.delete(request.session, request.workflow, request.user.id, column)
    return nothing()
