"""Sendings at a time, or again and again: from a send form to a schedule, and from each of its moments to a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from chalicelib import database, errors
from chalicelib.actions import service as actions
from chalicelib.actions.kinds import KINDS, Channel, Kind
from chalicelib.delivery import checks, lanes, queries, service, sources, wakeups
from chalicelib.delivery.models import CANCELLED, FAILED, Run
from chalicelib.delivery.order import Sendable, SendOrder
from chalicelib.delivery.push import service as pushing
from chalicelib.delivery.push import tokens
from chalicelib.delivery.push.service import PushOrder
from chalicelib.delivery.reporting import service as reporting
from chalicelib.delivery.reporting.forms import ReportOrder
from chalicelib.schedules import doing, occurrences, operations, plans
from chalicelib.schedules.jobs import Task, job
from chalicelib.schedules.operations import Doing, Operation, Outcome, Stage
from chalicelib.workflows.models import Workflow
from chalicelib.workflows.references import SCHEDULED, found_by

MAIL, REPORT, PUSH = SENT = "delivery.repeat", "delivery.report", "delivery.push"
#: What schedules can send.
KINDS_SENT = tuple(kind for kind, traits in KINDS.items() if traits.channel is not Channel.FORM)
Order = SendOrder | ReportOrder | PushOrder
#: What of an order belongs to one sending, not to each of them; the token of another system is kept by itself.
_ONCE = {"due_at", "token", "form_token", "schedule_id", "expected", "typed", "exclude", "also"}
NOBODY = "There was nobody to send it to."


@dataclass(frozen=True)
class _Sending:
    """How a kind of sending is kept and begun: what may be stored, the order it is again, and the run it becomes."""

    stored: Callable[[Session, Workflow, Any, sources.Sources, Any], Order]
    order: Callable[[sources.Sources, dict[str, Any]], Order]
    confirm: Callable[[Session, int, Workflow, Any, Any], Run]


def kind_of(action: Sendable) -> str:
    """Return the kind of operation that sends the action.

    Raises errors.Invalid when it is a form: forms are open for a time instead.
    """
    traits = KINDS[Kind(action.kind)]
    if traits.channel is Channel.FORM:
        raise errors.Invalid("This is a form: instead of sending it again and again, say when its link is open.")
    if traits.channel is Channel.PUSH:
        return PUSH
    return MAIL if traits.per_learner else REPORT


def create(
    session: Session, user_id: int, workflow: Workflow, action: Sendable, order: Order, wish: plans.Wish
) -> plans.Schedule:  # fmt: skip
    """Have the action sent as the order and the wish say.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    kind = kind_of(action)
    payload = checked(session, workflow, action, order)
    return plans.create(
        session, user_id, workflow_id=workflow.id, action_id=action.id, kind=kind, payload=payload, wish=wish
    )  # fmt: skip


def checked(session: Session, workflow: Workflow, action: Sendable, order: Order) -> dict[str, Any]:
    """Return the order as it is stored.

    Raises errors.Invalid with a message for each field that can't stay.
    """
    found = sources.read(session, workflow.id, action.id)
    stored = asdict(_SENDINGS[kind_of(action)].stored(session, workflow, action, found, order))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in stored.items()
            if name not in _ONCE}  # fmt: skip


def with_only_new(order: Order, only_new: bool) -> Order:
    """Return the order for those alone who have not got it from its schedule; a report is about nobody."""
    return order if isinstance(order, ReportOrder) else replace(order, only_new=only_new)


def order_of(found: sources.Sources, stage: Stage) -> Order:
    """Return the order that is stored, with names in its subject."""
    return _SENDINGS[stage.kind].order(found, stage.payload)


def _stored_mail(
    _session: Session, _workflow: Workflow, action: Sendable, found: sources.Sources, order: SendOrder
) -> SendOrder:  # fmt: skip
    checks.check(found, order)
    if not action.text.strip():
        raise errors.Invalid(service.NOTHING_WRITTEN)
    # Nobody is there to decide about a bad address each time.
    return replace(order, subject=sources.subject_by_ids(found, order.subject), leave_out_bad=True)


def _mail_of(found: sources.Sources, payload: dict[str, Any]) -> SendOrder:
    return SendOrder(**_kept(payload) | {"subject": sources.subject_by_names(found, payload["subject"])})


def _stored_report(
    session: Session, workflow: Workflow, action: Sendable, found: sources.Sources, order: ReportOrder
) -> ReportOrder:  # fmt: skip
    reporting.check(session, found, order)
    reporting.draft(session, workflow, action)
    return replace(order, subject=sources.subject_by_ids(found, order.subject, reporting.IN_SUBJECT))


def _report_of(found: sources.Sources, payload: dict[str, Any]) -> ReportOrder:
    return ReportOrder(**_kept(payload) | {"subject": sources.subject_by_names(found, payload["subject"])})


def _stored_push(
    session: Session, workflow: Workflow, action: Any, found: sources.Sources, order: PushOrder
) -> PushOrder:  # fmt: skip
    if order.token:
        tokens.put(session, action.id, order.token)
    pushing.check(session, action, found, order)
    pushing.draft(session, workflow, action, order)
    return order


def _push_of(_found: sources.Sources, payload: dict[str, Any]) -> PushOrder:
    return PushOrder(**_kept(payload))


def _kept(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an order: JSON has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in payload.items()}


_SENDINGS = {
    MAIL: _Sending(_stored_mail, _mail_of, service.confirm),
    REPORT: _Sending(_stored_report, _report_of, reporting.confirm),
    PUSH: _Sending(_stored_push, _push_of, pushing.confirm),
}


# -- each moment


def _begin(session: Session, doing: Doing) -> Outcome:
    """Begin the run of one moment; it is the same run however often somebody asks for it."""
    stage, workflow, schedule = doing.stage, doing.workflow, doing.schedule
    action = actions.get(session, workflow.id, stage.action_id or 0)
    found = sources.read(session, workflow.id, action.id)
    if gone := _gone(found, stage):
        return Outcome(FAILED, gone, is_final=True)
    order = _of_moment(session, order_of(found, stage), schedule.id, doing.token)
    user_id = schedule.user_id or 0
    try:
        with session.begin_nested():  # what is refused leaves nothing behind
            run = _SENDINGS[stage.kind].confirm(session, user_id, workflow, action, order)
    except checks.Nobody:
        return Outcome(occurrences.DONE, NOBODY)
    except errors.Invalid as error:
        reason = " ".join(dict.fromkeys([error.message, *error.fields.values()]))
        refused = service.refuse(session, user_id, workflow, action, doing.token, schedule.id, reason)
        return Outcome(occurrences.FAILED, reason, refused.id)
    return Outcome(occurrences.RUNNING, run_id=run.id)


def _of_moment(session: Session, order: Order, schedule_id: int, token: str) -> Order:
    if isinstance(order, PushOrder):
        return replace(order, schedule_id=schedule_id, form_token=token)
    if isinstance(order, ReportOrder):
        return replace(order, schedule_id=schedule_id, token=token)
    if order.opens_column == checks.NEW and (made := _opens_column(session, schedule_id)):
        order = replace(order, opens_column=made)
    return replace(order, schedule_id=schedule_id, token=token)


def _opens_column(session: Session, schedule_id: int) -> str:
    """Return the column that the schedule's first run has made for its opens; "" when there is none."""
    query = select(Run.opens_column_id).where(Run.schedule_id == schedule_id, Run.opens_column_id.is_not(None))
    return str(session.scalar(query.order_by(Run.id.desc()).limit(1)) or "")


def _gone(found: sources.Sources, stage: Stage) -> str:
    needed = {int(one[1:]) for one in found_by(SCHEDULED[stage.kind], stage.payload) if one.startswith("c")}
    return "" if needed <= found.columns.keys() else "A column that it needs was deleted."


def _ended(session: Session, run_id: int) -> Outcome:
    """Say what came of a run that has ended."""
    run, totals = session.get_one(Run, run_id), queries.totals(session, run_id)
    if run.state == FAILED:
        return Outcome(occurrences.FAILED, run.pause_reason)
    if run.state == CANCELLED:
        return Outcome(occurrences.SKIPPED, "Somebody cancelled it.")
    noun = "object" if lanes.is_push(run.lane) else "mail"
    sent = f"{totals.sent:,} {noun if totals.sent == 1 else noun + 's'} sent"
    bad = totals.failed + totals.unknown
    if not totals.planned:
        return Outcome(occurrences.DONE, NOBODY)
    said = f"{sent}, {bad:,} not." if bad else f"{sent}."
    return Outcome(occurrences.DONE if totals.sent or not bad else occurrences.FAILED, said, is_trouble=bool(bad))


@job(wakeups.ENDED)
def note_end(task: Task) -> dict[str, Any]:
    """Write down at its schedule that a run has ended. Payload: `run`."""
    with database.scope() as session:
        doing.run_ended(session, int(task.payload["run"]))
    return {}


# -- what is told of them


def _mail_facts(session: Session, workflow_id: int, stage: Stage) -> list[tuple[str, str]]:
    found = sources.read(session, workflow_id, stage.action_id or 0)
    column = found.columns.get(stage.payload["to_column_id"])
    facts = [
        ("To the addresses in", column.name if column else "a column that was deleted"),
        ("Subject", sources.subject_by_names(found, stage.payload["subject"])),
        ("Who", _who(stage.payload)),
    ]
    return (
        facts
        + _copies(stage.payload)
        + _left_out(len(stage.payload["skip_rows"]) + len(stage.payload.get("left_out", ())))
    )


def _report_facts(session: Session, workflow_id: int, stage: Stage) -> list[tuple[str, str]]:
    found, payload = sources.read(session, workflow_id, stage.action_id or 0), stage.payload
    empty = "is sent all the same" if payload["send_empty"] else "is not sent"
    return [
        ("To", ", ".join(payload["to"])), ("Subject", sources.subject_by_names(found, payload["subject"])),
        ("About nobody", empty), *_copies(payload),
    ]  # fmt: skip


def _push_facts(session: Session, workflow_id: int, stage: Stage) -> list[tuple[str, str]]:
    action = actions.get(session, workflow_id, stage.action_id or 0)
    url = (action.target or {}).get("url", "") or "no address yet"
    who = [] if pushing.is_report(action) else [("Who", _who(stage.payload))]
    return [("To", url), *who, *_left_out(len(stage.payload["left_out"]))]


def _who(payload: dict[str, Any]) -> str:
    if payload["only_new"]:
        return "those who have not got it from this schedule"
    return "everybody who is chosen, each time"


def _copies(payload: dict[str, Any]) -> list[tuple[str, str]]:
    addresses = [*payload["cc"], *payload["bcc"]]
    return [("Copies", ", ".join(addresses))] if addresses else []


def _left_out(count: int) -> list[tuple[str, str]]:
    return [("Left out by name", f"{count:,}")] if count else []


for _kind, _title, _facts in (
    (MAIL, "Mail to learners", _mail_facts), (REPORT, "Report by mail", _report_facts),
    (PUSH, "JSON to another system", _push_facts),
):  # fmt: skip
    operations.register(
        Operation(
            kind=_kind, title=_title, begin=_begin, facts=_facts, ended=_ended,
            references=lambda payload, walk=SCHEDULED[_kind]: found_by(walk, payload),  # type: ignore[misc]
        )
    )  # fmt: skip


def runs_of(session: Session, schedule_id: int) -> dict[int, Run]:
    """Return the schedule's runs by id."""
    return {run.id: run for run in session.scalars(select(Run).where(Run.schedule_id == schedule_id))}


def forget_reached(session: Session, user_id: int, schedule: plans.Schedule) -> int:
    """Let everybody get it once more who has got it from this schedule; return the first run that is forgotten."""
    mine = (Run.schedule_id == schedule.id) & ~Run.is_forgotten
    first = session.scalar(select(func.min(Run.id)).where(mine)) or 0
    session.execute(update(Run).where(mine).values(is_forgotten=True))
    plans.record(session, "schedule_reset", user_id, schedule)
    return first


def remember_reached(session: Session, user_id: int, schedule: plans.Schedule, first: int) -> None:
    """Take `forget_reached` back, for the runs from `first` on."""
    session.execute(
        update(Run).where(Run.schedule_id == schedule.id, Run.id >= first).values(is_forgotten=False)
    )  # fmt: skip
    plans.record(session, "schedule_reset_undone", user_id, schedule)
