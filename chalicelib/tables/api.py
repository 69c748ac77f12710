"""The table of a workflow for programs: as a whole, and row by row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.formulas import names as formulas
from chalicelib.formulas.check import Columns, check
from chalicelib.formulas.tree import holds_nothing
from chalicelib.tables import keyed, paging, queries, service, values
from chalicelib.tables.models import Column
from chalicelib.tables.paging import Cursor, Order
from chalicelib.tables.scope import Scope
from chalicelib.tables.store import TYPES
from chalicelib.tables.uploads import frames
from chalicelib.tables.uploads.plan import ROWS, WINS
from chalicelib.tables.views import queries as views
from chalicelib.tables.views import service as view_service
from chalicelib.web import cursors, schemas
from chalicelib.web.api import MAX_BODY_BYTES, ApiRequest, answer, api, check_match, nothing, public_url
from chalicelib.web.responses import Answer
from chalicelib.workflows import flushing
from chalicelib.workflows.models import Workflow

TABLE = "/api/v2/workflows/{workflow_id}/table"
ROW_LIST, ROW = "/api/v2/workflows/{workflow_id}/rows", "/api/v2/workflows/{workflow_id}/rows/{key}"
COLUMN = schemas.fields({"name": schemas.TEXT}, type={"type": "string", "enum": list(TYPES)}, key=schemas.YES_NO)
ROW_VALUES = {"type": "object"}
DATA = {
    "rows": {"type": "array", "items": ROW_VALUES},
    "columns": {"type": "array", "items": COLUMN},
}  # fmt: skip
PUT_TABLE = schemas.fields({"rows": DATA["rows"]}, columns=DATA["columns"])
MERGE = schemas.fields(
    {"rows": DATA["rows"], "how": {"type": "string", "enum": list(ROWS)}, "left_on": schemas.TEXT,
     "right_on": schemas.TEXT},
    columns=DATA["columns"], wins={"type": "string", "enum": list(WINS)},
    unmark={"type": "array", "items": schemas.TEXT},
)  # fmt: skip
VALUES = schemas.fields({"values": ROW_VALUES})
EXAMPLE_ROW = {"sid": 1, "name": "Ana", "registered": True, "when": "2026-03-02T12:00:00+00:00"}
EXAMPLE_TABLE = {
    "columns": [{"name": "sid", "type": "integer", "key": True}, {"name": "name", "type": "text", "key": False}],
    "rows": [{"sid": 1, "name": "Ana"}],
}
BY = {"by": "The key column that the address names a value of; the first one without it"}
ANYWAY = {"anyway": "true: although something still uses a column that goes"}


def seal(request: ApiRequest) -> str:
    """Return a short text that tells two states of the table apart."""
    workflow = request.workflow
    columns = [(c.id, c.name, c.type, c.is_key) for c in queries.columns(request.session, workflow.id)]
    now = [workflow.updated_at.isoformat(), workflow.row_count, columns]
    return hashlib.sha256(json.dumps(now).encode()).hexdigest()[:20]


def columns_of(request: ApiRequest) -> list[Column]:
    """Return the columns of the table.

    Raises errors.NotFound when there is none.
    """
    if request.workflow.row_count is None:
        raise errors.NotFound("This workflow has no table yet.")
    return queries.columns(request.session, request.workflow.id)


def whole(workflow: Workflow, request: ApiRequest, columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return all rows.

    Raises errors.Limit when they are more than one answer can hold.
    """
    found, size, cursor = [], 0, None
    scope = Scope(workflow.id, queries.infos(request.session, workflow.id))
    while True:
        page = paging.read(
            request.session, scope, columns, order=Order(), size=cursors.MAX_SIZE, after=cursor, is_whole=True
        )  # fmt: skip
        for row in page.rows:
            found.append(values.row(columns, {column.id: row[f"c{column.id}"] for column in columns}))
        size += len(json.dumps(found[len(found) - len(page.rows) :]))
        if size > MAX_BODY_BYTES:
            raise errors.Limit("The table is too large for one answer. Read it in pieces, under `rows`.", 413)
        if page.after is None:
            return found
        cursor = page.after


@api("GET", TABLE, role=WorkflowRole.VIEWER, summary="The whole table, with types", example=EXAMPLE_TABLE)
def show_table(request: ApiRequest) -> Answer:
    """Show all rows of the table, as long as they fit into one answer."""
    columns = columns_of(request)
    told = [{"name": column.name, "type": column.type, "key": column.is_key} for column in columns]
    rows = whole(request.workflow, request, columns)
    return answer({"columns": told, "rows": rows}, headers={"ETag": f'"{seal(request)}"'})


@api(
    "PUT", TABLE, role=WorkflowRole.EDITOR, summary="Make these rows the table", body=PUT_TABLE, query=ANYWAY,
    example={"rows": 1, "columns": 2, "version": 5},
)  # fmt: skip
def put_table(request: ApiRequest) -> Answer:
    """Make the rows the table, in the place of one that is there; that is kept as a version and can come back."""
    check_match(request, seal(request))
    result = frames.put(
        request.session, request.workflow, request.user.id, _frame(request), anyway=request.query.checked("anyway")
    )
    request.session.flush()
    return answer(result, headers={"ETag": f'"{seal(request)}"'})


def _frame(request: ApiRequest) -> frames.Frame:
    return frames.frame(request.json["rows"], request.json.get("columns", []), ZoneInfo(request.workflow.time_zone))


@api(
    "DELETE", TABLE, role=WorkflowRole.OWNER, summary="Empty the table", statuses=(204,),
    query={"scope": "rows (the rows alone) or all (the columns and all that uses them, too); rows without it"},
)  # fmt: skip
def empty_table(request: ApiRequest) -> Answer:
    """Empty the table, or the whole workflow; it is kept as a version and can come back."""
    check_match(request, seal(request))
    flushing.flush(request.session, request.user, request.workflow, request.query.get("scope", flushing.ROWS))
    return nothing()


@api(
    "POST", TABLE + "/merge", role=WorkflowRole.EDITOR, summary="Merge rows into the table", body=MERGE,
    query={"dry_run": "true: only tell what it would do"},
    example={"new": 1, "matched": 2, "dropped": 0, "cells": 3, "after": 4},
)  # fmt: skip
def merge_table(request: ApiRequest) -> Answer:
    """Merge the rows into the table and tell what changed, as the last page of an upload does."""
    check_match(request, seal(request))
    sent = request.json
    match = frames.Match(
        sent["how"], sent["left_on"], sent["right_on"], sent.get("wins", "keep"), tuple(sent.get("unmark", ()))
    )  # fmt: skip
    report = frames.merge(
        request.session, request.workflow, request.user.id, _frame(request), match,
        dry_run=request.query.checked("dry_run"),
    )  # fmt: skip
    return answer(report)


@api(
    "GET", ROW_LIST, role=WorkflowRole.VIEWER, summary="Rows, in pieces",
    query={
        **cursors.QUERY, "view": "The id of a view: its columns, rows and order only",
        "filter": "Rules as those of a view, in JSON: rows for which they hold only",
        "search": "Rows with this text in one of the values only, whatever its case and accents",
    },
    example={"items": [EXAMPLE_ROW], "next": None},
)  # fmt: skip
def list_rows(request: ApiRequest) -> Answer:
    """List the rows of the table, or of a view; filter and search never leave the view."""
    columns, order = columns_of(request), Order()
    infos = queries.infos(request.session, request.workflow.id)
    if view_id := request.query.whole("view"):
        view = views.get(request.session, request.workflow.id, view_id)
        order = view_service.order_of(view, {column.id: column for column in columns})
        columns = view_service.columns_of(view, columns)
        scope = Scope(request.workflow.id, infos, view.filter, request.workflow.time_zone)
    else:
        scope = Scope(request.workflow.id, infos, None, request.workflow.time_zone)
    scope = replace(
        scope, held=_held(request, infos), search=request.query.get("search").strip(), searched=columns,
        time_zone=request.workflow.time_zone,
    )  # fmt: skip
    written = cursors.read(request)
    after = Cursor.read(written) if written else None
    if written and after is None:
        raise cursors.refused()
    page = paging.read(
        request.session, scope, columns, order=order, size=cursors.size(request), after=after, is_whole=True
    )  # fmt: skip
    items = [values.row(columns, {column.id: row[f"c{column.id}"] for column in columns}) for row in page.rows]
    url = public_url(ROW_LIST.replace("{workflow_id}", str(request.workflow.id)))
    return answer(cursors.page(url, request, items, str(page.after) if page.after else ""))


def _held(request: ApiRequest, infos: Columns) -> tuple[Any, ...]:
    """Return the rules that the address asks for.

    Raises errors.Invalid (field `filter`) when they are none, or can't be used with these columns.
    """
    written = request.query.get("filter")
    if not written:
        return ()
    try:
        formula = formulas.from_names(json.loads(written), infos)
        return () if holds_nothing(formula) else (check(formula, infos, request.workflow.time_zone),)
    except (ValueError, RecursionError) as error:
        message = 'Write the rules in JSON, such as {"all": [{"column": "mark", "op": "is_null"}]}.'
        raise errors.Invalid(message, {"filter": message}) from error
    except errors.Invalid as error:
        raise errors.Invalid(error.message, {"filter": error.message}) from error


def _key(request: ApiRequest, columns: Sequence[Column], written: str) -> tuple[Column, Any]:
    """Return the key column that is meant and the value of the address."""
    name = request.query.get("by")
    key = next((column for column in columns if column.is_key and name in {"", column.name}), None)
    if key is None:
        message = f"“{name}” does not tell the table’s learners apart."
        raise errors.Invalid(message, {"by": message})
    if key.type == "text":
        return key, written
    if not written.lstrip("-").isascii() or not written.lstrip("-").isdigit() or len(written) > 18:
        raise errors.NotFound("There is no such row.")
    return key, int(written)


def _row(request: ApiRequest, row_id: int, columns: Sequence[Column], status: int = 200) -> Answer:
    told = values.row(columns, service.row(request.session, request.workflow, row_id, list(columns)))
    return answer(told, status, {"ETag": f'"{_row_seal(told)}"'})


def _row_seal(told: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:20]


@api("GET", ROW, role=WorkflowRole.VIEWER, summary="One row, by its key", query=BY, example=EXAMPLE_ROW)
def show_row(request: ApiRequest, key: str) -> Answer:
    """Show a row."""
    columns = columns_of(request)
    column, value = _key(request, columns, key)
    return _row(request, keyed.find(request.session, request.workflow, column, value), columns)


@api(
    "PUT", ROW, role=WorkflowRole.EDITOR, summary="Add the row, or change it", body=VALUES, query=BY,
    statuses=(200, 201), example=EXAMPLE_ROW,
)  # fmt: skip
def put_row(request: ApiRequest, key: str) -> Answer:
    """Add a row with these values, or give them to the one that is there; values that are not named stay."""
    columns = columns_of(request)
    column, value = _key(request, columns, key)
    given = values.read(request.json["values"], columns, ZoneInfo(request.workflow.time_zone))
    _check_row(request, columns, column, value)
    row_id, is_new = keyed.put(
        request.session, request.workflow, request.user.id, columns, column, value, {column: value, **given}
    )  # fmt: skip
    return _row(request, row_id, columns, 201 if is_new else 200)


def _check_row(request: ApiRequest, columns: Sequence[Column], column: Column, value: Any) -> None:
    """Check If-Match against the row, which nobody else changes from now on."""
    if "if-match" not in request.headers:
        return
    row_id = keyed.find(request.session, request.workflow, column, value, lock=True)
    now = service.row(request.session, request.workflow, row_id, list(columns))
    check_match(request, _row_seal(values.row(columns, now)))


@api(
    "PATCH", ROW, role=WorkflowRole.EDITOR, summary="Change some values of a row", body=VALUES, query=BY,
    example=EXAMPLE_ROW,
)  # fmt: skip
def change_row(request: ApiRequest, key: str) -> Answer:
    """Give a row that is there these values; the others stay."""
    columns = columns_of(request)
    column, value = _key(request, columns, key)
    given = values.read(request.json["values"], columns, ZoneInfo(request.workflow.time_zone))
    _check_row(request, columns, column, value)
    row_id = keyed.find(request.session, request.workflow, column, value, lock=True)
    keyed.change(request.session, request.workflow, request.user.id, row_id, columns, given)
    return _row(request, row_id, columns)


@api("DELETE", ROW, role=WorkflowRole.EDITOR, summary="Delete a row", query=BY, statuses=(204,))
def delete_row(request: ApiRequest, key: str) -> Answer:
    """Delete a row; the table's history brings it back."""
    columns = columns_of(request)
    column, value = _key(request, columns, key)
    _check_row(request, columns, column, value)
    row_id = keyed.find(request.session, request.workflow, column, value, lock=True)
    service.delete_row(request.session, request.workflow, request.user.id, row_id, columns)
    return nothing()
