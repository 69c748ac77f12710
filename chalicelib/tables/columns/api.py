"""Columns for programs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.tables import cells, changes, queries, values
from chalicelib.tables.charts import figures
from chalicelib.tables.columns import (
    api_formulas,
    create,
    forms,
    lists,
    recipes,
    redefine,
    remove,
    retype,
    settings,
    uses,
)
from chalicelib.tables.columns.create import Details
from chalicelib.tables.models import Column
from chalicelib.tables.scope import Scope
from chalicelib.tables.store import TYPES
from chalicelib.web import schemas
from chalicelib.web.api import ApiRequest, answer, api, nothing
from chalicelib.web.request import Values
from chalicelib.web.responses import Answer
from chalicelib.workflows.api import accepted

LIST = "/api/v2/workflows/{workflow_id}/columns"
ONE = LIST + "/{column_id}"
ALLOWED = {"type": ["array", "null"], "items": {"type": ["string", "number"]}}
#: When learners are asked for it in surveys.
MOMENT = {"type": ["string", "null"]}
NEW = schemas.fields(
    {"name": schemas.TEXT}, type={"type": "string", "enum": list(TYPES)}, description=schemas.TEXT,
    allowed_values=ALLOWED, initial={"type": ["string", "number", "boolean", "null"]}, formula=api_formulas.FORMULA,
    position=schemas.WHOLE, active_from=MOMENT, active_until=MOMENT,
)  # fmt: skip
CHANGE = schemas.fields(
    name=schemas.TEXT, description=schemas.TEXT, key=schemas.YES_NO, position=schemas.WHOLE, allowed_values=ALLOWED,
    active_from=MOMENT, active_until=MOMENT, in_charts=schemas.YES_NO,
)  # fmt: skip
#: What another type can mean: texts can be read as numbers or dates in more than one way.
CHOICES = sorted({choice for choices in retype.CHOICES.values() for choice in choices})
_PLAIN_TEXTS = {"integer": "integer_decimals", "boolean": "boolean_words"}
REDEFINE = schemas.fields({"formula": api_formulas.FORMULA}, may_empty=schemas.WHOLE)
TYPE = schemas.fields({"to": {"type": "string", "enum": CHOICES}}, may_lose=schemas.WHOLE)
_FIGURES = (
    "present", "missing", "distinct", "lowest", "q1", "median", "q3", "highest", "mean", "deviation", "mode",
)  # fmt: skip
#: What the page's fields are called here.
_MOMENTS = ("active_from", "active_until")
_FIELDS = {"is_key": "key", "allowed": "allowed_values"}
EXAMPLE = {
    "id": 31, "name": "mark", "type": "double", "key": False, "position": 3, "description": "", "allowed_values": None,
    "formula": None, "active_from": None, "active_until": None, "in_charts": True,
}  # fmt: skip


def _shown(request: ApiRequest, column: Column) -> dict[str, Any]:
    return {
        "id": column.id, "name": column.name, "type": column.type, "key": column.is_key, "position": column.position,
        "description": column.description, "allowed_values": column.allowed_values,
        "formula": api_formulas.shown(column, queries.columns(request.session, request.workflow.id)),
        "active_from": values.shown(column.active_from), "active_until": values.shown(column.active_until),
        "in_charts": column.in_charts,
    }  # fmt: skip


@api("GET", LIST, role=WorkflowRole.VIEWER, summary="The columns", example={"items": [EXAMPLE], "next": None})
def list_columns(request: ApiRequest) -> Answer:
    """List the columns in their order."""
    columns = queries.columns(request.session, request.workflow.id)
    return answer({"items": [_shown(request, column) for column in columns], "next": None})


@api(
    "POST", LIST, role=WorkflowRole.EDITOR, summary="Add a column", body=NEW, statuses=(201, 202), example=EXAMPLE
)  # fmt: skip
def create_column(request: ApiRequest) -> Answer:
    """Add a column of a type, with one value for everybody or none; or one that a formula works out of others."""
    sent, zone = request.json, ZoneInfo(request.workflow.time_zone)
    if "formula" in sent:
        return _create_computed(request)
    if "type" not in sent:
        message = "Say its type, or the formula by which it is worked out."
        raise errors.Invalid(message, {"type": message})
    allowed = _allowed(sent.get("allowed_values"), sent["type"], zone)
    try:
        draft = Column(name=sent["name"], type=sent["type"], is_key=False, allowed_values=allowed)
        initial = values.parsed(sent.get("initial"), sent["type"], zone)
        if initial is not None:
            cells.check(initial, draft, zone, "initial")
    except ValueError as error:
        raise errors.Invalid(f"The first value does not fit: {error}.", {"initial": f"{error}."}) from error
    details = Details(
        sent["name"], sent["type"], sent.get("description", ""), sent.get("position", 0),
        _moment(sent, "active_from", zone), _moment(sent, "active_until", zone), allowed,
    )  # fmt: skip
    made = create.add(request.session, request.workflow, request.user.id, details, initial)
    request.session.flush()
    return answer(_shown(request, made), 201)


def _create_computed(request: ApiRequest) -> Answer:
    sent = request.json
    if too_much := {"type", "allowed_values", "initial"} & sent.keys():
        message = "The formula says what the column holds."
        raise errors.Invalid(message, dict.fromkeys(sorted(too_much), message))
    form = api_formulas.form(sent["formula"], queries.columns(request.session, request.workflow.id))
    form |= {name: [str(sent.get(name) or "")] for name in ("name", "description", "position", *_MOMENTS)}
    with api_formulas.named():
        return _made(request, changes.FORMULA, form, 201)


def _moment(sent: dict[str, Any], name: str, zone: ZoneInfo) -> Any:
    """Return a moment that was sent; None for none.

    Raises errors.Invalid when it can't be read.
    """
    try:
        return values.parsed(sent.get(name) or None, "datetime", zone)
    except ValueError as error:
        raise errors.Invalid(f"“{name}” can’t be read: {error}.", {name: f"{error}."}) from error


def _allowed(sent: list[Any] | None, column_type: str, zone: ZoneInfo) -> list[Any] | None:
    """Return the values that the column is to have, as they are stored; None for any.

    Raises errors.Invalid (field `allowed_values`) when one is not of the type, or they are no list of choices.
    """
    if sent is None:
        return None
    if any("\n" in str(value) for value in sent) or len(sent) < lists.LEAST:
        message = f"List at least {lists.LEAST} values, each of one line; or null to allow any."
        raise errors.Invalid(message, {"allowed_values": message})
    return lists.read("\n".join(map(str, sent)), column_type, zone, field="allowed_values")


@api(
    "PATCH", ONE, role=WorkflowRole.EDITOR, summary="Rename it, move it, make it a key, say which values it may have",
    body=CHANGE, example=EXAMPLE,
)  # fmt: skip
def change_column(request: ApiRequest, column_id: int) -> Answer:
    """Change what is named; texts and conditions follow a new name by themselves."""
    column = queries.column(request.session, request.workflow.id, column_id)
    now, sent = settings.of(request.session, column), request.json
    wanted = replace(
        now, name=sent.get("name", now.name), description=sent.get("description", now.description),
        is_key=sent.get("key", now.is_key), position=sent.get("position", now.position),
        in_charts=sent.get("in_charts", now.in_charts),
    )  # fmt: skip
    zone = ZoneInfo(request.workflow.time_zone)
    wanted = replace(wanted, **{name: _moment(sent, name, zone) for name in _MOMENTS if name in sent})
    if "allowed_values" in sent:
        wanted = replace(wanted, allowed=_allowed(sent["allowed_values"], column.type, zone))
    try:
        settings.change(request.session, request.workflow, request.user.id, column, wanted)
    except errors.Invalid as error:
        fields = {_FIELDS.get(name, name): said for name, said in error.fields.items()}
        raise errors.Invalid(error.message, fields) from error
    return answer(_shown(request, column))


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


@api(
    "POST", ONE + "/type", role=WorkflowRole.EDITOR, summary="Give it another type", body=TYPE, statuses=(200, 202),
    query={"dry_run": "true: only tell what would be lost"}, example=EXAMPLE,
)  # fmt: skip
def retype_column(request: ApiRequest, column_id: int) -> Answer:
    """Give the column another type; refused when more cells would be lost than `may_lose` says (0 without it)."""
    column = queries.column(request.session, request.workflow.id, column_id)
    choice = request.json["to"]
    if column.type == "text":
        choice = _PLAIN_TEXTS.get(choice, choice)
    if not request.query.checked("dry_run"):
        return _changed(request, column, changes.RETYPE, to=choice, may_lose=request.json.get("may_lose", 0))
    found = retype.preview(request.session, request.workflow, column, choice)
    return answer(
        {"type": found.type, "kept": found.kept, "missing": found.missing, "lost": found.lost,
         "emptied": found.emptied, "samples": [value for _, value in found.samples], "refusal": found.refusal or None,
         "broken": found.broken}
    )  # fmt: skip


@api(
    "POST", ONE + "/copy", role=WorkflowRole.EDITOR, summary="Copy it, with its values", statuses=(201, 202),
    example=EXAMPLE,
)  # fmt: skip
def copy_column(request: ApiRequest, column_id: int) -> Answer:
    """Add a copy of the column as the last one."""
    column = queries.column(request.session, request.workflow.id, column_id)
    return _changed(request, column, changes.COPY, status=201)


@api(
    "POST", ONE + "/compute", role=WorkflowRole.EDITOR, summary="Work its formula out again", statuses=(200, 202),
    example=EXAMPLE,
)  # fmt: skip
def compute_column(request: ApiRequest, column_id: int) -> Answer:
    """Work out the values of a column that was made by a formula."""
    return _changed(request, _computed(request, column_id), changes.COMPUTE)


def _computed(request: ApiRequest, column_id: int) -> Column:
    column = queries.column(request.session, request.workflow.id, column_id)
    if recipes.formula(column.recipe) is None:
        raise errors.Invalid("This column is not worked out by a formula. Add a new one with a formula.")
    return column


@api(
    "POST", ONE + "/formula", role=WorkflowRole.EDITOR, summary="Give it another formula", statuses=(200, 202),
    body=REDEFINE, query={"dry_run": "true: only tell what would change"}, example=EXAMPLE,
)  # fmt: skip
def redefine_column(request: ApiRequest, column_id: int) -> Answer:
    """Work it out by another formula; refused when more cells would lose their value than `may_empty` says (or 0)."""
    column = _computed(request, column_id)
    columns = queries.columns(request.session, request.workflow.id)
    form = api_formulas.form(request.json["formula"], columns)
    with api_formulas.named():
        wanted = forms.definition(Values(form), ZoneInfo(request.workflow.time_zone), columns)
        found = redefine.preview(request.session, request.workflow, column, wanted)
        if request.query.checked("dry_run"):
            samples = [{"before": before, "after": after} for _, before, after in found.samples]
            return answer(
                {"type": found.type, "changed": found.changed, "filled": found.filled, "emptied": found.emptied,
                 "same": found.same, "samples": samples, "refusal": found.refusal or None, "broken": found.broken}
            )  # fmt: skip
        may_empty = request.json.get("may_empty", 0)
        if found.emptied > may_empty:
            raise errors.Conflict(f"{found.emptied:,} cells would lose their value. Say so as `may_empty`.")
        form |= {"column": [str(column.id)], "may_empty": [str(may_empty)]}
        return _made(request, changes.REDEFINE, form)


def _changed(request: ApiRequest, column: Column, kind: str, *, status: int = 200, **fields: object) -> Answer:
    return _made(
        request, kind, {name: [str(value)] for name, value in {"column": column.id, **fields}.items()}, status
    )  # fmt: skip


def _made(request: ApiRequest, kind: str, form: dict[str, list[str]], status: int = 200) -> Answer:
    """Make the change, at once or, where it writes many cells, by a job; answer with the column that it is about."""
    wish = changes.Wish(kind, Values(form), ZoneInfo(request.workflow.time_zone))
    if changes.is_long(request.session, request.workflow, wish):
        return accepted(changes.ask(request.session, request.workflow, request.user.id, wish))
    outcome = changes.carry_out(request.session, request.workflow, request.user.id, wish)
    made = queries.column(request.session, request.workflow.id, outcome.column_id or 0)
    return answer(_shown(request, made), status)


@api(
    "GET", ONE + "/statistics", role=WorkflowRole.VIEWER, summary="Its values in figures",
    example={"present": 118, "missing": 2, "distinct": 40, "lowest": 1.0, "q1": 4.0, "median": 5.5, "q3": 7.0,
             "highest": 10.0, "mean": 5.6, "deviation": 1.9, "bars": [{"from": 0.0, "to": 1.0, "count": 3}]},
)  # fmt: skip
def column_statistics(request: ApiRequest, column_id: int) -> Answer:
    """Show the figures of a column over all learners."""
    column = queries.column(request.session, request.workflow.id, column_id)
    infos = queries.infos(request.session, request.workflow.id)
    found = figures.read(request.session, Scope(request.workflow.id, infos), column)
    told = {name: values.shown(getattr(found, name)) for name in _FIGURES}
    bars = [{"from": values.shown(bar.start), "to": values.shown(bar.end), "count": bar.count}
            for bar in found.bars]  # fmt: skip
    return answer({**told, "bars": bars})
