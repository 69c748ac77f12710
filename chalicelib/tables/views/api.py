"""Views for programs. Their rows are read under `rows`, with `view`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalicelib.accounts.roles import WorkflowRole
from chalicelib.formulas import names as formulas
from chalicelib.formulas.check import Columns
from chalicelib.formulas.tree import holds_nothing
from chalicelib.tables import queries as tables
from chalicelib.tables.models import View
from chalicelib.tables.views import forms, queries, service
from chalicelib.tables.views.service import Draft
from chalicelib.web import schemas
from chalicelib.web.api import ApiRequest, answer, api, check_match, nothing
from chalicelib.web.responses import Answer

LIST = "/api/v2/workflows/{workflow_id}/views"
ONE = LIST + "/{view_id}"
NAMES = {"type": "array", "items": schemas.TEXT}
SORT = {"type": "array", "items": schemas.fields({"column": schemas.TEXT}, descending=schemas.YES_NO)}
#: A group, {"all": [rules]} or {"any": [rules], "not": true}; a rule is {"column": name, "op": …, "value": …}.
FILTER = {"type": ["object", "null"]}
NEW = schemas.fields(
    {"name": schemas.TEXT, "columns": NAMES}, description=schemas.TEXT, sort=SORT, filter=FILTER
)  # fmt: skip
CHANGE = schemas.fields(name=schemas.TEXT, columns=NAMES, description=schemas.TEXT, sort=SORT, filter=FILTER)
EXAMPLE = {
    "id": 4, "name": "At risk", "description": "", "columns": ["sid", "mark"],
    "sort": [{"column": "mark", "descending": False}], "is_filtered": True,
    "filter": {"all": [{"column": "mark", "op": "less", "value": "5"}]},
}  # fmt: skip


def _shown(view: View, columns: Columns) -> dict[str, Any]:
    return {
        "id": view.id, "name": view.name, "description": view.description,
        "columns": [columns[key].name for key in view.columns if key in columns],
        "sort": [{**one, "column": columns[one["column"]].name} for one in view.sort if one["column"] in columns],
        "is_filtered": view.filter is not None, "filter": formulas.with_names(view.filter, columns),
    }  # fmt: skip


def _answer(request: ApiRequest, view: View, status: int = 200) -> Answer:
    columns = tables.infos(request.session, request.workflow.id)
    return answer(_shown(view, columns), status, {"ETag": f'"{view.version}"'})


def _draft(request: ApiRequest, now: Draft) -> Draft:
    """Return what the view is to be: what the program names, and `now` for the rest.

    Raises errors.Invalid for a column that there is not (fields `columns`, `sort`, `filter`).
    """
    sent, columns = request.json, tables.infos(request.session, request.workflow.id)
    draft = replace(now, name=sent.get("name", now.name), description=sent.get("description", now.description))
    if "columns" in sent:
        draft = replace(draft, columns=tuple(formulas.id_of(name, columns, "columns") for name in sent["columns"]))
    if "sort" in sent:
        found = {formulas.id_of(one["column"], columns, "sort"): one.get("descending", False) for one in sent["sort"]}
        draft = replace(draft, sort=forms.stored(found))
    if "filter" in sent:
        formula = formulas.from_names(sent["filter"], columns)
        draft = replace(draft, filter=None if holds_nothing(formula) else formula)
    return draft


@api("GET", LIST, role=WorkflowRole.VIEWER, summary="The views", example={"items": [EXAMPLE], "next": None})
def list_views(request: ApiRequest) -> Answer:
    """List the views by name."""
    columns = tables.infos(request.session, request.workflow.id)
    items = [_shown(view, columns) for view in queries.listed(request.session, request.workflow.id)]
    return answer({"items": items, "next": None})


@api("GET", ONE, role=WorkflowRole.VIEWER, summary="A view", example=EXAMPLE)
def show_view(request: ApiRequest, view_id: int) -> Answer:
    """Show a view."""
    return _answer(request, queries.get(request.session, request.workflow.id, view_id))


@api("POST", LIST, role=WorkflowRole.EDITOR, summary="Make a view", body=NEW, statuses=(201,), example=EXAMPLE)
def create_view(request: ApiRequest) -> Answer:
    """Make a view of these columns; the filter and the sorting name columns, too."""
    view = service.create(request.session, request.user.id, request.workflow, _draft(request, Draft("")))
    return _answer(request, view, 201)


@api("PATCH", ONE, role=WorkflowRole.EDITOR, summary="Change a view", body=CHANGE, example=EXAMPLE)
def change_view(request: ApiRequest, view_id: int) -> Answer:
    """Change what is named; messages that share the view's filter follow."""
    view = queries.get(request.session, request.workflow.id, view_id, lock=True)
    check_match(request, str(view.version))
    draft = _draft(request, forms.of(view))
    service.change(request.session, request.user.id, request.workflow, view, draft, view.version)
    return _answer(request, view)


@api("DELETE", ONE, role=WorkflowRole.EDITOR, summary="Delete a view", statuses=(204,))
def delete_view(request: ApiRequest, view_id: int) -> Answer:
    """Delete a view; messages that share its filter keep it."""
    view = queries.get(request.session, request.workflow.id, view_id, lock=True)
    check_match(request, str(view.version))
    service.delete(request.session, request.user.id, request.workflow, view)
    return nothing()
