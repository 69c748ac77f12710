"""The event log for programs: of a workflow, or of everything that its person may see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalicelib.accounts.roles import Role, WorkflowRole
from chalicelib.audit import forms, queries
from chalicelib.audit.words import said
from chalicelib.web import cursors
from chalicelib.web.api import ApiRequest, answer, api, public_url
from chalicelib.web.responses import Answer

EVERYTHING, OF_WORKFLOW = "/api/v2/events", "/api/v2/workflows/{workflow_id}/events"
QUERY = {
    **cursors.QUERY, "type": "A type of event, such as run_done", "kind": "One of " + ", ".join(queries.KINDS),
    "outcome": "well or not", "text": "What to look for", "user": "Who did it, by id", "action": "An action, by id",
    "run": "A sending, by id", "row": "A learner, by the row's id", "since": "First day, as 2026-03-31",
    "until": "Last day",
}  # fmt: skip
EXAMPLE = {
    "items": [{
        "id": 7, "at": "2026-03-02T12:00:00+00:00", "type": "run_done", "said": "finished sending", "user_id": 3,
        "workflow_id": 12, "action_id": 4, "run_id": 9, "row_id": None, "origin": "worker", "outcome": "",
        "detail": {"sent": 120},
    }],
    "next": None,
}  # fmt: skip


@api("GET", OF_WORKFLOW, role=WorkflowRole.VIEWER, summary="What happened, newest first", query=QUERY, example=EXAMPLE)
def list_events(request: ApiRequest) -> Answer:
    """List the events of a workflow."""
    search = forms.search(request.query, request.workflow.id, "UTC")
    return _list(request, search, OF_WORKFLOW.replace("{workflow_id}", str(request.workflow.id)))


@api("GET", EVERYTHING, summary="What you did; for administrators what anybody did", query=QUERY, example=EXAMPLE)
def list_all_events(request: ApiRequest) -> Answer:
    """List the person's own events, of all workflows and none; an administrator's program sees all."""
    search = forms.search(request.query, None, "UTC")
    if request.user.role != Role.ADMIN:
        search = replace(search, user_id=request.user.id)
    return _list(request, search, EVERYTHING)


def _list(request: ApiRequest, search: queries.Search, path: str) -> Answer:
    size = cursors.size(request)
    search = replace(search, words=request.query.get("type"))  # of what is no words it is taken as a type
    found = queries.lines(request.session, search, before=cursors.after(request), limit=size + 1)
    following = str(found[size - 1].id) if len(found) > size else ""
    return answer(cursors.page(public_url(path), request, [_shown(line) for line in found[:size]], following))


def _shown(line: queries.Line) -> dict[str, Any]:
    return {
        "id": line.id, "at": line.at.isoformat(), "type": line.type, "said": said(line.type),
        "user_id": line.user_id, "workflow_id": line.workflow_id, "action_id": line.action_id, "run_id": line.run_id,
        "row_id": line.row_id, "origin": line.origin, "outcome": line.outcome, "detail": line.detail,
    }  # fmt: skip
