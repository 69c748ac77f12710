"""Schedules under the addresses of OnTask 11, in its shapes: mails to learners and JSON of each learner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from chalicelib import clock, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import queries as action_queries
from chalicelib.actions import service as actions
from chalicelib.actions.kinds import Kind
from chalicelib.delivery import repeats, schedule_orders, sources
from chalicelib.delivery.audience import Audience, rows
from chalicelib.delivery.models import BAD, EMPTY
from chalicelib.delivery.order import bad_addresses
from chalicelib.delivery.push import tokens
from chalicelib.schedules import plans
from chalicelib.schedules.operations import Stage
from chalicelib.schedules.plans import Schedule, Wish
from chalicelib.web.api import ApiRequest, answer, api, find_workflow, nothing
from chalicelib.web.legacy import Refused, page
from chalicelib.web.responses import Answer
from chalicelib.workflows import queries as workflows
from chalicelib.workflows.models import Workflow

CREATED, UPDATED = "Scheduled action could not be created", "Unable to update scheduled action."
#: What OnTask 11 takes as a kind; only those of the two addresses can be planned there.
TYPES = (
    "action_run_personalized_email", "action_run_personalized_canvas_email", "action_run_personalized_json",
    "action_run_json_report", "action_run_email_report", "workflow_increase_track_count", "plugin_execute",
    "workflow_update_lusers", "workflow_canvas_course_data_upload",
)  # fmt: skip
ANYTHING: Mapping[str, Any] = {"type": "object"}
WRONG_TIME = (
    "Datetime has wrong format. Use one of these formats instead: "
    "YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
)  # fmt: skip


@dataclass(frozen=True)
class Door:
    """One of the two addresses: the kind of action it is for."""

    name: str
    kind: Kind
    operation: str
    type: str

    @property
    def list(self) -> str:
        """The address of all."""
        return f"/api/v1/scheduler/scheduled_{self.name}"

    @property
    def one(self) -> str:
        """The address of one."""
        return f"/api/v1/scheduler/{{schedule_id}}/rud_{self.name}"


MAIL = Door("email", Kind.TEXT, repeats.MAIL, "action_run_personalized_email")
JSON = Door("json", Kind.JSON, repeats.PUSH, "action_run_personalized_json")


class Reason(Exception):
    """Raised with the words of OnTask 11 for what can't be planned."""


def _declare(door: Door) -> None:
    """Declare what can be done at the door's addresses."""
    api("GET", door.list, summary=f"Scheduled {door.name}, by limit and offset")(lambda request: _list(request, door))
    api("POST", door.list, summary=f"Plan {door.name}", body=ANYTHING)(lambda request: _create(request, door))

    def one(method: str, summary: str, view: Any, body: Mapping[str, Any] | None = None) -> None:
        api(method, door.one, summary=summary, body=body)(
            lambda request, schedule_id: view(request, door, schedule_id)
        )  # fmt: skip

    one("GET", f"One scheduled {door.name}", _show)
    one("PUT", f"Change scheduled {door.name}", _replace, ANYTHING)
    one("PATCH", "Change some fields", _patch, ANYTHING)
    one("DELETE", f"Delete scheduled {door.name}", _delete)


def _list(request: ApiRequest, door: Door) -> Answer:
    found = []
    for card in sorted(workflows.cards(request.session, request.user.id), key=lambda card: card.id):
        names = action_queries.kinds(request.session, card.id)
        found += [
            one for one in plans.of_workflow(request.session, card.id)
            if one.kind == door.operation and names.get(one.action_id or 0) == door.kind
        ]  # fmt: skip
    return page(request, door.list, sorted(found, key=lambda one: one.id), lambda one: _shown(request, door, one))


def _shown(request: ApiRequest, door: Door, schedule: Schedule) -> dict[str, Any]:
    zone = ZoneInfo(schedule.time_zone)
    return {
        "id": schedule.id, "name": schedule.name, "description_text": schedule.description,
        "operation_type": door.type, "execute_start": _iso(schedule.starts_at, zone), "frequency": schedule.crontab,
        "execute_until": _iso(schedule.until, zone), "workflow": schedule.workflow_id, "action": schedule.action_id,
        "payload": _payload(request, schedule, door),
    }  # fmt: skip


def _payload(request: ApiRequest, schedule: Schedule, door: Door) -> dict[str, Any]:
    kept = schedule.payload
    common = {"send_confirmation": schedule.notify == plans.ALWAYS, "exclude_values": kept.get("left_out", [])}
    if door is JSON:
        return {"item_column": kept["item_column_id"], "token": "", **common}
    found = sources.read(request.session, schedule.workflow_id, schedule.action_id or 0)
    subject = sources.subject_by_names(found, kept["subject"])
    return {
        "item_column": kept["to_column_id"], "subject": subject, "cc_email": " ".join(kept["cc"]),
        "bcc_email": " ".join(kept["bcc"]), "track_read": kept["track_opens"], "export_wf": False, **common,
    }  # fmt: skip


def _iso(moment: datetime | None, zone: ZoneInfo) -> str | None:
    return moment.astimezone(zone).isoformat() if moment else None


def _create(request: ApiRequest, door: Door) -> Answer:
    sent = _checked(request, request.json)
    try:
        find_workflow(request, sent["workflow"], WorkflowRole.SENDER)
    except (errors.NotFound, errors.Forbidden) as error:
        raise _refused(CREATED, "Incorrect permission to manipulate workflow.") from error
    try:
        wish, stage = _wanted(request, door, sent, None)
        made = plans.create(
            request.session, request.user.id, workflow_id=request.workflow.id, action_id=stage.action_id,
            kind=stage.kind, payload=stage.payload, wish=wish,
        )  # fmt: skip
    except (Reason, errors.Invalid) as error:
        raise _refused(CREATED, _words(error)) from error
    return answer(_shown(request, door, made), 201)


def _show(request: ApiRequest, door: Door, schedule_id: int) -> Answer:
    return answer(_shown(request, door, _find(request, door, schedule_id, WorkflowRole.VIEWER)))


def _replace(request: ApiRequest, door: Door, schedule_id: int) -> Answer:
    return _change(request, door, _find(request, door, schedule_id, WorkflowRole.SENDER), request.json)


def _patch(request: ApiRequest, door: Door, schedule_id: int) -> Answer:
    schedule = _find(request, door, schedule_id, WorkflowRole.SENDER)
    now, sent = _shown(request, door, schedule), request.json
    payload = {"payload": {**now["payload"], **sent["payload"]}} if isinstance(sent.get("payload"), dict) else {}
    return _change(request, door, schedule, {**now, **sent, **payload})


def _change(request: ApiRequest, door: Door, schedule: Schedule, given: Mapping[str, Any]) -> Answer:
    fixed = {"workflow": schedule.workflow_id, "action": schedule.action_id, "operation_type": door.type}
    sent = _checked(request, {**given, **fixed}, schedule.id)
    try:
        wish, stage = _wanted(request, door, sent, schedule)
        plans.change(
            request.session, request.user.id, schedule, wish, version=schedule.version, payload=stage.payload
        )  # fmt: skip
    except (Reason, errors.Invalid) as error:
        raise _refused(UPDATED, _words(error)) from error
    return answer(_shown(request, door, schedule))


def _delete(request: ApiRequest, door: Door, schedule_id: int) -> Answer:
    plans.delete(request.session, request.user.id, _find(request, door, schedule_id, WorkflowRole.SENDER))
    return nothing()


def _find(request: ApiRequest, door: Door, schedule_id: int, role: WorkflowRole) -> Schedule:
    """Return the schedule in whichever of the person's workflows it is, locked for a change.

    Raises errors.NotFound when there is none for this door, errors.Forbidden when the role is not enough.
    """
    workflow_id = plans.workflow_of(request.session, schedule_id)
    if workflow_id is None:
        raise errors.NotFound("Not found.")
    find_workflow(request, workflow_id, role)
    schedule = plans.get(request.session, workflow_id, schedule_id, lock=role is not WorkflowRole.VIEWER)
    kinds = action_queries.kinds(request.session, workflow_id)
    if schedule.kind != door.operation or kinds.get(schedule.action_id or 0) != door.kind:
        raise errors.NotFound("Not found.")
    return schedule


def _checked(request: ApiRequest, sent: Mapping[str, Any], but: int = 0) -> dict[str, Any]:
    """Return what was sent; raise Refused with the words of OnTask 11 for fields that can't be read."""
    problems: dict[str, list[str]] = {}
    name = sent.get("name")
    if "name" not in sent:
        problems["name"] = ["This field is required."]
    elif not isinstance(name, str):
        problems["name"] = ["Not a valid string."]
    elif not name.strip():
        problems["name"] = ["This field may not be blank."]
    if sent.get("operation_type") not in TYPES:
        kind = sent.get("operation_type")
        missing = "operation_type" not in sent
        problems["operation_type"] = ["This field is required." if missing else f'"{kind}" is not a valid choice.']
    workflow_id = sent.get("workflow")
    if "workflow" not in sent:
        problems["workflow"] = ["This field is required."]
    elif not isinstance(workflow_id, int) or request.session.get(Workflow, workflow_id) is None:
        problems["workflow"] = [f'Invalid pk "{workflow_id}" - object does not exist.']
    times = {}
    for field in ("execute_start", "execute_until"):
        try:
            times[field] = _moment(sent.get(field), request.user.time_zone)
        except (ValueError, TypeError, OverflowError):
            problems[field] = [WRONG_TIME]
    if problems:
        raise Refused(400, problems)
    if plans.is_name_used(request.session, int(workflow_id or 0), str(name).strip(), but):
        raise Refused(400, {"non_field_errors": ["The fields name, workflow must make a unique set."]})
    return {**sent, **times}


def _moment(written: str | None, time_zone: str) -> datetime | None:
    if not written:
        return None
    moment = datetime.fromisoformat(written)
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(time_zone))).astimezone(UTC)


def _wanted(
    request: ApiRequest, door: Door, sent: Mapping[str, Any], now: Schedule | None
) -> tuple[Wish, Stage]:  # fmt: skip
    """Return when, and what; the reasons against it in the order in which OnTask 11 gives them."""
    try:
        action = actions.get(request.session, request.workflow.id, int(sent.get("action") or 0))
    except (errors.NotFound, ValueError, TypeError) as error:
        raise Reason("Incorrect permission to manipulate action.") from error
    payload = sent.get("payload")
    wish = _wish(request, sent, payload if isinstance(payload, dict) else {}, now)
    if not isinstance(payload, dict) or not payload:
        raise Reason("Scheduled objects need a payload.")
    found = sources.read(request.session, request.workflow.id, action.id)
    column_id = _column(found, payload, door)
    if action.kind != door.kind:
        raise Reason("Incorrect type of action to schedule.")
    left_out = [str(value) for value in payload.get("exclude_values") or []]
    if door is JSON:
        order = {"column": column_id, "token": payload.get("token") or "", "left_out": left_out}
        if not order["token"] and (now is None or tokens.set_at(request.session, action.id) is None):
            raise Reason("Personalized JSON needs a token in payload.")
    else:
        order = _mail(request, payload, column_id)
        _check_addresses(request, action, found, column_id, left_out)
        order |= {"left_out": left_out}
    made = repeats.checked(request.session, request.workflow, action, schedule_orders.order(action, found, order))
    return wish, Stage(door.operation, action.id, made)


def _wish(request: ApiRequest, sent: Mapping[str, Any], payload: Mapping[str, Any], now: Schedule | None) -> Wish:
    start, frequency = sent["execute_start"], str(sent.get("frequency") or "").strip()
    is_kept = now is not None and now.starts_at == start
    if start is not None and not frequency and sent["execute_until"] is None and start <= clock.now() and not is_kept:
        raise Reason("Execution time is in the past. No execution possible.")
    wish = Wish(
        name=str(sent["name"]), description=str(sent.get("description_text") or ""), crontab=frequency, start=start,
        until=sent["execute_until"], time_zone=request.user.time_zone,
        notify=plans.ALWAYS if payload.get("send_confirmation") else plans.ON_ERROR,
    )  # fmt: skip
    if now is not None:
        wish = replace(
            wish, time_zone=now.time_zone, addresses=tuple(now.addresses), max_failures=now.max_failures
        )  # fmt: skip
    plans.checked(request.session, request.workflow.id, wish, now)
    return wish


def _column(found: sources.Sources, payload: Mapping[str, Any], door: Door) -> int | None:
    wanted, excluded = payload.get("item_column"), payload.get("exclude_values")
    try:
        column_id = schedule_orders.column(found, wanted, "item_column")
    except (errors.Invalid, TypeError) as error:
        raise Reason("Invalid column name for selecting items.") from error
    if excluded is not None and not isinstance(excluded, list):
        raise Reason("Exclude values must be a list.")
    if column_id is None and door is MAIL:
        raise Reason("Personalized text need a column name in payload field item_column.")
    if column_id is None and excluded:
        raise Reason("Exclude values need a column name in payload field item_column.")
    return column_id


def _mail(request: ApiRequest, payload: Mapping[str, Any], column_id: int | None) -> dict[str, Any]:
    subject = payload.get("subject")
    if not isinstance(subject, str) or not subject.strip():
        raise Reason("Personalized text needs a subject.")
    order: dict[str, Any] = {
        "column": column_id, "subject": subject, "track_opens": bool(payload.get("track_read")),
        "from_name": request.user.name, "reply_to": request.user.email,
    }  # fmt: skip
    for name in ("cc_email", "bcc_email"):
        written = payload.get(name) or ""
        if not isinstance(written, str) or bad_addresses(written.split()):
            raise Reason(f"{name} must be a space-separated list of emails.")
        order[name.removesuffix("_email")] = written.split()
    return order


def _check_addresses(
    request: ApiRequest, action: Any, found: sources.Sources, column_id: int | None, left_out: list[str]
) -> None:  # fmt: skip
    audience = Audience(
        workflow_id=request.workflow.id, to_column_id=column_id or 0, columns=found.columns,
        time_zone=request.workflow.time_zone, filter=action.filter, left_out=left_out, leave_out_duplicates=False,
    )  # fmt: skip
    judged = rows(audience)
    query = select(judged.c.address).where(judged.c.reason.in_([BAD, EMPTY])).order_by(judged.c.row_id).limit(1)
    if (bad := request.session.scalar(query)) is not None:
        raise Reason(f'Incorrect email value "{bad}".')


def _words(error: Exception) -> str:
    if not isinstance(error, errors.Invalid):
        return str(error)
    return " ".join(dict.fromkeys(error.fields.values())) or error.message


def _refused(said: str, reason: str) -> Refused:
    return Refused(500, {"detail": f"{said.removesuffix('.')}: {reason}" if said == CREATED else f"{said} {reason}"})


for _door in (MAIL, JSON):
    _declare(_door)
