"""Views for programs: which there are. Their rows are read under `rows`, with `view`."""

from __future__ import annotations

from chalicelib.accounts.roles import WorkflowRole
from chalicelib.tables import queries as tables
from chalicelib.tables.views import queries
from chalicelib.web.api import ApiRequest, answer, api
from chalicelib.web.responses import Answer

LIST = "/api/v2/workflows/{workflow_id}/views"
EXAMPLE = {"id": 4, "name": "At risk", "description": "", "columns": ["sid", "mark"], "is_filtered": True}


@api("GET", LIST, role=WorkflowRole.VIEWER, summary="The views", example={"items": [EXAMPLE], "next": None})
def list_views(request: ApiRequest) -> Answer:
    """List the views by name."""
    names = {column.id: column.name for column in tables.columns(request.session, request.workflow.id)}
    items = [
        {"id": view.id, "name": view.name, "description": view.description,
         "columns": [names[one] for one in view.columns if one in names], "is_filtered": view.filter is not None}
        for view in queries.listed(request.session, request.workflow.id)
    ]  # fmt: skip
    return answer({"items": items, "next": None})
