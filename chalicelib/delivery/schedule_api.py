"""Schedules for programs: all kinds of sendings, at a time or again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import service as actions
from chalicelib.delivery import repeats, schedule_orders, sources
from chalicelib.schedules import crontab, occurrences, operations, plans
from chalicelib.schedules.operations import Stage
from chalicelib.schedules.plans import Schedule, Wish
from chalicelib.web import schemas
from chalicelib.web.api import ApiRequest, answer, api, check_match, nothing
from chalicelib.web.responses import Answer

LIST = "/api/v2/workflows/{workflow_id}/schedules"
ONE = LIST + "/{schedule_id}"
MAX_NEXT = 50
_TIME: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_WHEN: dict[str, Any] = {
    "description": schemas.TEXT, "starts_at": _TIME, "crontab": schemas.TEXT, "until": _TIME,
    "time_zone": schemas.TEXT, "notify": {"type": "string", "enum": list(plans.NOTIFY)},
    "addresses": {"type": "array", "items": schemas.TEXT}, "max_failures": schemas.WHOLE, "enabled": schemas.YES_NO,
}  # fmt: skip
_STEPS: dict[str, Any] = {
    "type": "array", "maxItems": 5,
    "items": schemas.fields({"action": schemas.WHOLE, "payload": {"type": "object"}}, kind=schemas.TEXT),
}  # fmt: skip
NEW = schemas.fields(
    {"name": schemas.TEXT, "action": schemas.WHOLE, "payload": {"type": "object"}}, **_WHEN, steps=_STEPS
)  # fmt: skip
CHANGE = schemas.fields(name=schemas.TEXT, payload={"type": "object"}, **_WHEN, steps=_STEPS)
EXAMPLE = {
    "id": 7, "name": "Weekly reminder", "description": "", "kind": "mail", "action": 40, "enabled": True,
    "state": "active", "problem": "", "starts_at": None, "crontab": "0 8 * * 1", "words": "At 08:00 on Monday",
    "until": None, "time_zone": "Europe/Madrid", "notify": "error", "addresses": [], "max_failures": 3,
    "payload": {"column": "email", "subject": "This week", "cc": [], "only_new": False, "left_out": []}, "steps": [],
    "next_run": "2026-03-02T07:00:00+00:00", "last_run": None,
}  # fmt: skip
_WISHED = {"start": "starts_at"}


def shown(request: ApiRequest, schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as programs see it."""
    own, *following = operations.stages(schedule)
    last = occurrences.of_schedule(request.session, schedule.id, 1)
    return {
        "id": schedule.id, "name": schedule.name, "description": schedule.description,
        **_stage(request, own), "enabled": schedule.state not in {plans.OFF, plans.BLOCKED}, "state": schedule.state,
        "problem": schedule.problem, "starts_at": _iso(schedule.starts_at), "crontab": schedule.crontab,
        "words": crontab.words(schedule.crontab), "until": _iso(schedule.until), "time_zone": schedule.time_zone,
        "notify": schedule.notify, "addresses": schedule.addresses, "max_failures": schedule.max_failures,
        "steps": [_stage(request, stage) for stage in following], "next_run": _iso(schedule.next_at),
        "last_run": {
            "at": _iso(last[0].due_at), "state": last[0].state, "message": last[0].message, "run": last[0].run_id,
        } if last else None,
    }  # fmt: skip


def _stage(request: ApiRequest, stage: Stage) -> dict[str, Any]:
    if stage.kind not in schedule_orders.NAMES:
        return {"kind": stage.kind, "action": stage.action_id, "payload": {}}
    found = sources.read(request.session, request.workflow.id, stage.action_id or 0)
    payload = schedule_orders.shown(found, stage)
    return {"kind": schedule_orders.NAMES[stage.kind], "action": stage.action_id, "payload": payload}


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def _answer(request: ApiRequest, schedule: Schedule, status: int = 200) -> Answer:
    request.session.flush()
    return answer(shown(request, schedule), status, {"ETag": f'"{schedule.version}"'})


@api("GET", LIST, role=WorkflowRole.VIEWER, summary="The schedules", example={"items": [EXAMPLE], "next": None})
def list_all(request: ApiRequest) -> Answer:
    """List the workflow's schedules, the next one first."""
    items = [shown(request, one) for one in plans.of_workflow(request.session, request.workflow.id)]
    return answer({"items": items, "next": None})


@api("POST", LIST, role=WorkflowRole.SENDER, summary="Plan a sending", body=NEW, statuses=(201,), example=EXAMPLE)
def create(request: ApiRequest) -> Answer:
    """Plan a message, a report or JSON: once at `starts_at`, or as `crontab` says."""
    sent = request.json
    stage = stage_of(request, sent["action"], sent["payload"])
    made = plans.create(
        request.session, request.user.id, workflow_id=request.workflow.id, action_id=stage.action_id, kind=stage.kind,
        payload=stage.payload, wish=_checked(request, sent, None),
    )  # fmt: skip
    if sent.get("steps"):
        made.steps = _steps(request, sent["steps"])
    if not sent.get("enabled", True):
        plans.switch(request.session, request.user.id, made, on=False)
    return _answer(request, made, 201)


@api("GET", ONE, role=WorkflowRole.VIEWER, summary="One schedule", example=EXAMPLE)
def show(request: ApiRequest, schedule_id: int) -> Answer:
    """Show a schedule."""
    return _answer(request, plans.get(request.session, request.workflow.id, schedule_id))


@api("PATCH", ONE, role=WorkflowRole.SENDER, summary="Change it", body=CHANGE, example=EXAMPLE)
def change(request: ApiRequest, schedule_id: int) -> Answer:
    """Change what is named; of the payload, too, only what is named."""
    schedule, sent = _locked(request, schedule_id), request.json
    payload, steps = None, None
    if "payload" in sent:
        own = operations.stages(schedule)[0]
        if own.kind not in schedule_orders.NAMES:
            message = "This schedule sends nothing, so it has no payload."
            raise errors.Invalid(message, {"payload": message})
        found = sources.read(request.session, request.workflow.id, own.action_id or 0)
        whole = {**schedule_orders.shown(found, own), **sent["payload"]}
        payload = stage_of(request, own.action_id or 0, whole).payload
    if "steps" in sent:
        steps = _steps(request, sent["steps"])
    if sent.keys() - {"enabled", "steps"}:
        wish = _checked(request, sent, schedule)
        plans.change(
            request.session, request.user.id, schedule, wish, version=schedule.version, payload=payload
        )  # fmt: skip
    if steps is not None:
        plans.change_work(
            request.session, request.user.id, schedule, schedule.payload, steps=steps, version=schedule.version
        )  # fmt: skip
    if "enabled" in sent:
        plans.switch(request.session, request.user.id, schedule, on=sent["enabled"])
    return _answer(request, schedule)


@api("DELETE", ONE, role=WorkflowRole.SENDER, summary="Delete it", statuses=(204,))
def delete(request: ApiRequest, schedule_id: int) -> Answer:
    """Delete a schedule; what it has begun goes on."""
    plans.delete(request.session, request.user.id, _locked(request, schedule_id))
    return nothing()


@api("POST", ONE + "/enable", role=WorkflowRole.SENDER, summary="Switch it on", example=EXAMPLE)
def enable(request: ApiRequest, schedule_id: int) -> Answer:
    """Let it go on at the next time to come; times that passed are not made up."""
    return _switched(request, schedule_id, on=True)


@api("POST", ONE + "/disable", role=WorkflowRole.SENDER, summary="Switch it off", example=EXAMPLE)
def disable(request: ApiRequest, schedule_id: int) -> Answer:
    """Let it rest until it is switched on again."""
    return _switched(request, schedule_id, on=False)


def _switched(request: ApiRequest, schedule_id: int, *, on: bool) -> Answer:
    schedule = _locked(request, schedule_id)
    plans.switch(request.session, request.user.id, schedule, on=on)
    return _answer(request, schedule)


@api("POST", ONE + "/run", role=WorkflowRole.SENDER, summary="Do it now", statuses=(202,), example=EXAMPLE)
def run(request: ApiRequest, schedule_id: int) -> Answer:
    """Do it once now, beside its own times; `last_run` says what came of it."""
    schedule = _locked(request, schedule_id)
    occurrences.now(request.session, schedule)
    return _answer(request, schedule, 202)


@api(
    "GET", ONE + "/next", role=WorkflowRole.VIEWER, summary="The next times",
    query={"count": f"How many; 5 without it, at most {MAX_NEXT}"}, example={"items": ["2026-03-02T07:00:00+00:00"]},
)  # fmt: skip
def show_next(request: ApiRequest, schedule_id: int) -> Answer:
    """List the next times, in UTC; none while it rests."""
    count = min(request.query.whole("count") or 5, MAX_NEXT)
    schedule = plans.get(request.session, request.workflow.id, schedule_id)
    return answer({"items": [_iso(moment) for moment in plans.following(schedule, count)]})


def _locked(request: ApiRequest, schedule_id: int) -> Schedule:
    schedule = plans.get(request.session, request.workflow.id, schedule_id, lock=True)
    check_match(request, str(schedule.version))
    return schedule


def stage_of(request: ApiRequest, action_id: int, sent: Mapping[str, Any], only_new: bool | None = None) -> Stage:
    """Return what is to be done as it is stored.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    try:
        action = actions.get(request.session, request.workflow.id, action_id)
    except errors.NotFound as error:
        message = f"There is no action {action_id} in this workflow."
        raise errors.Invalid(message, {"action": message}) from error
    found = sources.read(request.session, request.workflow.id, action.id)
    order = schedule_orders.order(action, found, sent)
    if only_new is not None:
        order = repeats.with_only_new(order, only_new)
    try:
        payload = repeats.checked(request.session, request.workflow, action, order)
    except errors.Invalid as error:
        raise errors.Invalid(error.message, schedule_orders.named(error.fields)) from error
    return Stage(repeats.kind_of(action), action.id, payload)


def _steps(request: ApiRequest, sent: list[Any]) -> list[dict[str, Any]]:
    stages = [stage_of(request, one["action"], one["payload"]) for one in sent]
    return [{"kind": stage.kind, "action_id": stage.action_id, "payload": stage.payload} for stage in stages]


def _checked(request: ApiRequest, sent: Mapping[str, Any], now: Schedule | None) -> Wish:
    """Return the wish: what is named, and the rest as it is now; the names of problems are those of the interface."""
    try:
        wish = wish_of(sent, now, request.user.time_zone)
        plans.checked(request.session, request.workflow.id, wish, now)
    except errors.Invalid as error:
        raise errors.Invalid(
            error.message, {_WISHED.get(name, name): said for name, said in error.fields.items()}
        ) from error
    return wish


def wish_of(sent: Mapping[str, Any], now: Schedule | None, time_zone: str) -> Wish:
    """Return the wish: what is named, and the rest as it is now.

    Raises errors.Invalid when a time or a time zone can't be read.
    """
    wish = Wish(name="", crontab="", time_zone=time_zone)
    if now is not None:
        wish = Wish(
            name=now.name, description=now.description, crontab=now.crontab, time_zone=now.time_zone,
            start=now.starts_at, until=now.until, notify=now.notify, addresses=tuple(now.addresses),
            max_failures=now.max_failures,
        )  # fmt: skip
    named = {name: sent[name] for name in ("name", "description", "crontab", "notify", "max_failures") if name in sent}
    zone = sent.get("time_zone", wish.time_zone)
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError) as error:
        raise errors.Invalid("Unknown time zone.", {"time_zone": "Use a name such as Europe/Madrid."}) from error
    start = _moment(sent["starts_at"], "starts_at", zone) if "starts_at" in sent else wish.start
    until = _moment(sent["until"], "until", zone) if "until" in sent else wish.until
    addresses = tuple(sent["addresses"]) if "addresses" in sent else wish.addresses
    return replace(wish, **named, start=start, until=until, time_zone=zone, addresses=addresses)


def _moment(written: str | None, name: str, time_zone: str) -> datetime | None:
    """Return a moment; without an offset it is read in the time zone."""
    if not written:
        return None
    try:
        moment = datetime.fromisoformat(written)
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(time_zone))).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise errors.Invalid("This is no time.", {name: "Write it as 2026-03-02T09:00:00+01:00."}) from error
