"""The history of the data: what was changed, what it was like before, and the way back."""

from __future__ import annotations

from dataclasses import replace

from chalice import Blueprint

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.tables import cells
from chalicelib.tables import queries as tables
from chalicelib.tables.columns import uses
from chalicelib.tables.history import queries, versions, words
from chalicelib.tables.history.models import TableVersion
from chalicelib.tables.routes import zone_of
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, Flash, redirect, render
from chalicelib.web.urls import url_for
from chalicelib.workflows import flushing

bp = Blueprint(__name__)

#: Comparing more cells than this takes longer than people wait for a page; it comes after the page then.
COMPARED_AT_ONCE = 2_000_000


@page(bp, "/workflows/{workflow_id}/history", role=WorkflowRole.VIEWER)
def show_history(request: Request) -> Answer:
    """List the changes of the data, the latest first, with what can still be done about each."""
    found = queries.lines(request.session, request.workflow.id, request.query.whole("before"))
    shown = found[: queries.PAGE_SIZE]
    facts = {line.id: words.facts(line.type, line.detail) for line in shown}
    return render(
        "tables/history/list.html", lines=shown, facts=facts, older=shown[-1].id if len(found) > len(shown) else None,
        kept=queries.kept(request.session, request.workflow.id), size=words.size,
        most=versions.KEPT, can_edit=_can_edit(request), is_first="before" not in request.query,
    )  # fmt: skip


def _can_edit(request: Request) -> bool:
    return WorkflowRole(request.role).covers(WorkflowRole.EDITOR)


@page(bp, "/workflows/{workflow_id}/history/{version_id}", role=WorkflowRole.VIEWER)
def show_version(request: Request, version_id: int) -> Answer:
    """Show an earlier table and how it differs from today's; `compare=1` gives that part alone."""
    session, workflow = request.session, request.workflow
    version = versions.get(session, workflow.id, version_id)
    wanted = request.query.checked("compare")
    is_small = max(version.row_count or 0, workflow.row_count or 0) * (len(version.columns) + 1) <= COMPARED_AT_ONCE
    difference = queries.difference(session, workflow, version) if wanted or is_small else None
    ids = {column["id"] for column in version.columns}
    lost = [column for column in tables.columns(session, workflow.id) if column.id not in ids]
    used = [(column, uses.of_column(session, workflow, column)) for column in lost]
    return render(
        "tables/history/_difference.html" if request.wants_part and wanted else "tables/history/version.html",
        version=version, rows=queries.first_rows(session, version), difference=difference,
        told=words.columns(difference.columns) if difference else [], type_names=cells.TYPE_NAMES, shown=cells.shown,
        uses=used, blocked=_blocked(request, version), others=queries.event_of(session, version)[2],
        zone=zone_of(request), max_shown=cells.MAX_SHOWN, can_edit=_can_edit(request), size=words.size,
    )  # fmt: skip


def _blocked(request: Request, version: TableVersion) -> list[str]:
    """Return what could not be used any more because columns had another type, or another list of values, then."""
    infos = {
        one["id"]: ColumnInfo(
            one["id"], one["name"], one["type"], one["allowed_values"] and tuple(one["allowed_values"])
        )
        for one in version.columns
    }
    now = tables.infos(request.session, request.workflow.id)
    others = [key for key, info in infos.items() if key in now and replace(now[key], name=info.name) != info]
    return uses.blocked(request.session, request.workflow, infos, others)


@page(bp, "/workflows/{workflow_id}/history/{version_id}", method="POST", role=WorkflowRole.EDITOR)
def restore_version(request: Request, version_id: int) -> Answer:
    """Bring an earlier table back, with an undo in the message that follows; a second click changes nothing."""
    session, workflow = request.session, request.workflow
    try:
        version = versions.get(session, workflow.id, version_id)
    except errors.NotFound:
        if not queries.was_restored(session, workflow.id, version_id):
            raise
        return redirect("tables.show_history", workflow_id=workflow.id, flash="This table was brought back already.")
    event_id, event_type, _ = queries.event_of(session, version)
    if event_type == "workflow_flushed":  # messages and views went with the table, and come back with it
        flushing.take_back(session, request.user, workflow, event_id)
        before = versions.listed(session, workflow.id)[0]
    else:
        before = versions.restore(session, workflow, version_id, request.user.id)
    rows = workflow.row_count
    flash = Flash(
        "The table is empty again." if rows is None else "The earlier table is back.",
        undo_url=url_for("tables.restore_version", workflow_id=workflow.id, version_id=before.id),
    )
    return redirect("tables.show_upload" if rows is None else "tables.show_table", workflow_id=workflow.id, flash=flash)
