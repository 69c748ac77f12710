"""The table under the addresses of OnTask 11, in its shapes: columns of values by the number of the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.logs import logger
from chalicelib.tables import api as tables
from chalicelib.tables import queries, values
from chalicelib.tables.uploads import frames
from chalicelib.web.api import ApiRequest, answer, api, nothing
from chalicelib.web.legacy import Refused
from chalicelib.web.responses import Answer
from chalicelib.workflows import flushing

OPS, MERGE = "/api/v1/table/{workflow_id}/ops", "/api/v1/table/{workflow_id}/merge"
PICKLED = {
    "/api/v1/table/{workflow_id}/pops": ("GET", "POST", "PUT", "DELETE"),
    "/api/v1/table/{workflow_id}/pmerge": ("GET", "PUT"),
}
UTC = ZoneInfo("UTC")
NO_KEY = "The data has no column with unique values per row. At least one column must have unique values."
#: Everything is checked where the words of OnTask 11 are.
ANYTHING: Mapping[str, Any] = {"type": "object"}


def _data_frame(request: ApiRequest) -> dict[str, dict[str, Any]] | None:
    if request.workflow.row_count is None:
        return None
    columns = queries.columns(request.session, request.workflow.id)
    rows = tables.whole(request.workflow, request, columns)
    return {
        column.name: {str(number): _written(row[column.name], column.type) for number, row in enumerate(rows)}
        for column in columns
    }


def _written(value: Any, kind: str) -> Any:
    """Return a value as pandas writes it: times to the millisecond, in UTC."""
    if kind != "datetime" or value is None:
        return value
    moment = values.parsed(value, "datetime", UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _frame(sent: Mapping[str, Any], name: str) -> frames.Frame:
    """Return what was sent under the name as a frame; columns of several kinds become texts, as in OnTask 11."""
    if name not in sent:
        raise Refused(400, {name: ["This field is required."]})
    if sent[name] is None:
        raise Refused(400, {name: ["This field may not be null."]})
    found = _columns(sent[name])
    if not found:
        raise Refused(400, {name: ["Unable to create dataframe with the given data"]})
    columns = []
    for column, items in found.items():
        try:
            columns.append({"name": column, "type": values.guess(items, UTC)})
        except ValueError:
            found[column] = [item if item is None else str(item) for item in items]
            columns.append({"name": column, "type": "text"})
    length = len(next(iter(found.values())))
    rows = [{column: items[number] for column, items in found.items()} for number in range(length)]
    made = frames.frame(rows, columns, UTC)
    frames.mark_unique(made)
    return made


def _columns(sent: Any) -> dict[str, list[Any]]:
    """Return the values by column; nothing when it is no table."""
    if isinstance(sent, list) and all(isinstance(row, dict) for row in sent):
        names = dict.fromkeys(name for row in sent for name in row)
        return {name: [row.get(name) for row in sent] for name in names}
    if not isinstance(sent, dict):
        return {}
    if all(isinstance(items, list) for items in sent.values()):
        lengths = {len(items) for items in sent.values()}
        return {name: list(items) for name, items in sent.items()} if len(lengths) == 1 else {}
    if not all(isinstance(items, dict) for items in sent.values()):
        return {}
    indexes = list(dict.fromkeys(index for items in sent.values() for index in items))
    return {name: [items.get(index) for index in indexes] for name, items in sent.items()}


@api("GET", OPS, role=WorkflowRole.VIEWER, summary="The table")
def show_ops(request: ApiRequest) -> Answer:
    """Show the table."""
    return answer({"data_frame": _data_frame(request)})


@api("POST", OPS, role=WorkflowRole.EDITOR, summary="The first table", body=ANYTHING)
def create_ops(request: ApiRequest) -> Answer:
    """Make the first table."""
    if request.workflow.row_count is not None:
        raise Refused(500, {"detail": "Post request requires workflow without a table"})
    return _put(request)


@api("PUT", OPS, role=WorkflowRole.EDITOR, summary="Another table", body=ANYTHING)
def replace_ops(request: ApiRequest) -> Answer:
    """Make another table, in the place of the one that is there."""
    return _put(request)


def _put(request: ApiRequest) -> Answer:
    made = _frame(request.json, "data_frame")
    if not made.keys:
        logger().error(NO_KEY)
        raise Refused(400, "Error when overriding dataframe")
    frames.put(request.session, request.workflow, request.user.id, made)
    return nothing(201)


@api("DELETE", OPS, role=WorkflowRole.OWNER, summary="Empty the workflow")
def delete_ops(request: ApiRequest) -> Answer:
    """Delete the table and all that uses it."""
    if request.workflow.row_count:
        flushing.flush(request.session, request.user, request.workflow, flushing.ALL)
    return nothing()


@api("GET", MERGE, role=WorkflowRole.VIEWER, summary="The table, as a merge")
def show_merge(request: ApiRequest) -> Answer:
    """Show the table in the shape of a merge."""
    return answer({"how": "", "left_on": "", "right_on": "", "src_df": _data_frame(request)})


@api("PUT", MERGE, role=WorkflowRole.EDITOR, summary="Merge", body=ANYTHING)
def put_merge(request: ApiRequest) -> Answer:
    """Merge what was sent into the table, and say what was sent."""
    sent = request.json
    if not request.workflow.row_count:
        raise Refused(400, "Merge request requires a workflow with a non-empty table")
    names = ("how", "left_on", "right_on")
    problems = {name: [said] for name in names if (said := _missing(sent, name))}
    if problems:
        raise Refused(400, problems)
    made = _frame(sent, "src_df")
    if not made.keys:
        raise Refused(500, {"detail": "'Missing key column in table to upload/merge.'"})
    if sent["how"] not in {"inner", "outer", "left", "right"}:
        raise Refused(500, {"detail": "'Merge method must be one of inner, outer, left, right.'"})
    match = frames.Match(sent["how"], sent["left_on"], sent["right_on"])
    try:
        frames.merge(request.session, request.workflow, request.user.id, made, match)
    except errors.Invalid as error:
        said = error.message
        if said.startswith("No learner would be left"):
            said = "Unable to perform merge operation: 'Merge operation produced a result with no rows'"
            logger().error(said)
        raise Refused(500, {"detail": f"'{said}'"}) from error
    return answer({**{name: sent[name] for name in names}, "src_df": _by_index(made)}, 201)


def _missing(sent: Mapping[str, Any], name: str) -> str:
    if name not in sent:
        return "This field is required."
    if not isinstance(sent[name], str):
        return "Not a valid string."
    return "" if sent[name].strip() else "This field may not be blank."


def _by_index(made: frames.Frame) -> dict[str, dict[str, Any]]:
    return {
        name: {str(number): _written(values.shown(row[place]), kind) for number, row in enumerate(made.rows)}
        for place, (name, kind) in enumerate(made.types.items())
    }


def refuse_pickles(_request: ApiRequest) -> Answer:
    """Refuse: what is pickled runs as a program when it is read."""
    message = (
        "Pickled tables are not taken, because reading one runs whatever its sender put into it. Send JSON to the "
        "address that ends in ops or merge; PUT /api/v2/workflows/{id}/table keeps exact types."
    )
    raise Refused(400, {"detail": message})


for _path, _methods in PICKLED.items():
    for _method in _methods:
        api(_method, _path, role=WorkflowRole.VIEWER, summary="Pickled tables are refused")(refuse_pickles)
