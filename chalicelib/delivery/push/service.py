"""JSON for other systems: check and confirm a run, plan a report, send one object to try."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock, errors, logs
from chalicelib.actions import targets
from chalicelib.actions.kinds import KINDS, Kind
from chalicelib.actions.language import tables
from chalicelib.actions.reports import rows as report_rows
from chalicelib.actions.targets import Target
from chalicelib.delivery import checks, plan, service, sources
from chalicelib.delivery.audience import Audience, only_new, rows
from chalicelib.delivery.models import HELD, PUSH, RANKS, SCHEDULED, Message, Run
from chalicelib.delivery.order import Sendable
from chalicelib.delivery.push import tokens
from chalicelib.delivery.push.objects import ObjectRenderer, parcel
from chalicelib.delivery.push.pusher import Parcel
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings
from chalicelib.tables import queries as table_queries
from chalicelib.workflows.models import Workflow

TEST = "push.test"
SAMPLES = 3
#: The one message of a report is about no single learner.
ALL = 0
EMPTY = "There is no JSON yet. Write it first."
NOT_SET = "Type the token that the other system gave you."
GONE = "This column is not in the table any more. Choose another one."


class Pushable(Sendable, Protocol):
    """What is needed of an action whose JSON goes to another system."""

    target: dict[str, Any] | None


@dataclass(frozen=True)
class PushOrder:
    """A filled-in form. `left_out` are values of the column `item_column_id` whose learners are left out.

    `also` are the columns that were looked at beside it, when `exclude` asked for that; `expected`, `typed`,
    `schedule_id` and `only_new` are as in SendOrder.
    """

    item_column_id: int | None = None
    left_out: tuple[str, ...] = ()
    token: str = ""
    form_token: str = ""
    due_at: datetime | None = None
    also: tuple[int, ...] = ()
    exclude: bool = False
    wants_snapshot: bool = False
    expected: int | None = None
    typed: str | None = None
    schedule_id: int | None = None
    only_new: bool = False


@dataclass(frozen=True)
class Sample:
    """An object as it would be sent; `problem` says why it can't be."""

    label: str
    text: str
    problem: str = ""


@dataclass(frozen=True)
class Draft:
    """What a run comes to: objects, learners left out, the first objects."""

    count: int
    left_out: int
    samples: list[Sample]


def is_report(action: Pushable) -> bool:
    """Tell whether there is one object for all learners."""
    return not KINDS[Kind(action.kind)].per_learner


def target_of(action: Pushable) -> Target:
    """Return where the JSON goes.

    Raises errors.Invalid when no address was given that can be sent to.
    """
    target = Target.of(action.target)
    if problem := targets.url_problem(target.url):
        raise errors.Invalid(f"There is no address to send to yet. {problem}" if not target.url else problem)
    return target


def _written(session: Session, workflow: Workflow, action: Pushable) -> tuple[sources.Sources, sources.DraftText]:
    if not action.text.strip():
        raise errors.Invalid(EMPTY)
    found = sources.read(session, workflow.id, action.id)
    sources.used(found, action.text, "json")
    details: dict[str, Any] = {"target": target_of(action).stored()}
    if is_report(action):
        details["tables"] = {
            table.key: {
                "names": [found.columns[int(name[1:])].name for name in table.columns],
                "types": [found.columns[int(name[1:])].type for name in table.columns],
            }
            for table in tables(action.text, "json")
        }
    return found, sources.DraftText(found, "", action.text, workflow.time_zone, details, "json")


def _audience(
    workflow: Workflow, action: Pushable, found: sources.Sources, order: PushOrder, text: sources.DraftText | None,
    only_rows: Any = None, *, everybody: bool = False,
) -> Audience:  # fmt: skip
    return Audience(
        workflow_id=workflow.id, to_column_id=item_column(found, order), columns=found.columns,
        time_zone=workflow.time_zone, filter=None if everybody else action.filter,
        conditions=text.conditions if text else (),
        values=text.value_ids if text else (), left_out=order.left_out, leave_out_duplicates=False, addresses=False,
        only_rows=only_rows, not_reached_by=only_new(order, action.id),
    )  # fmt: skip


def item_column(found: sources.Sources, order: PushOrder) -> int:
    """Return the column by which learners are called in the run: the chosen one, or the first key.

    Raises errors.Invalid when it is not there, or there is no table.
    """
    if not found.columns:
        raise errors.Invalid("The table has no learners yet.")
    chosen = order.item_column_id or found.label_column_id or min(found.columns)
    if chosen not in found.columns:
        raise errors.Invalid(GONE, {"to_column_id": GONE})
    return chosen


def check(session: Session, action: Pushable, found: sources.Sources, order: PushOrder) -> None:
    """Check a form.

    Raises errors.Invalid with every field that is wrong.
    """
    problems: dict[str, str] = {}
    if not order.token and tokens.set_at(session, action.id) is None:
        problems["token"] = NOT_SET
    if order.item_column_id is not None and order.item_column_id not in found.columns:
        problems["to_column_id"] = GONE
    if order.due_at and order.due_at <= clock.now():
        problems["due_at"] = "Choose a time that is still to come."
    if problems:
        message = "Some fields need another look." if len(problems) > 1 else next(iter(problems.values()))
        raise errors.Invalid(message, problems)


def draft(session: Session, workflow: Workflow, action: Pushable, order: PushOrder) -> Draft:
    """Return what a run would come to now.

    Raises errors.Invalid when it can't be run.
    """
    found, text = _written(session, workflow, action)
    renderer = ObjectRenderer(text)
    if is_report(action):
        return Draft(1, 0, [_sample(renderer, "All learners", _report_values(session, workflow, action), {})])
    counts = plan.tally(session, _audience(workflow, action, found, order, None))
    chosen = rows(_audience(workflow, action, found, order, None))
    first = sa.select(chosen.c.row_id).where(chosen.c.reason == "").order_by(chosen.c.row_id).limit(SAMPLES)
    full = rows(_audience(workflow, action, found, order, text, first))
    query = sa.select(full.c.address, full.c["values"], full.c.flags).order_by(full.c.row_id)
    samples = [_sample(renderer, *row) for row in session.execute(query)]
    return Draft(counts.get("", 0), sum(counts.values()) - counts.get("", 0), samples)


def _sample(renderer: ObjectRenderer, label: str, values: dict[str, Any], flags: dict[str, Any]) -> Sample:
    from chalicelib.actions import objects

    try:
        return Sample(label, objects.pretty(renderer.render(values, flags)))
    except errors.Invalid as error:
        return Sample(label, "", error.message)


def _report_values(session: Session, workflow: Workflow, action: Any) -> dict[str, Any]:
    columns = table_queries.infos(session, workflow.id)
    found = report_rows.read(
        session, workflow.id, columns, tables(action.text, "json"), action.filter, workflow.time_zone
    )  # fmt: skip
    return report_rows.frozen(found)


def confirm(session: Session, user_id: int, workflow: Workflow, action: Pushable, order: PushOrder) -> Run:
    """Start a run, held for the undo window. The form's token makes it safe to confirm twice.

    Raises errors.Invalid (fields named as in PushOrder).
    """
    if known := service.confirmed(session, workflow.id, order.form_token):
        return known
    if order.token:
        tokens.put(session, action.id, order.token)
    found, text = _written(session, workflow, action)
    check(session, action, found, order)
    made = draft(session, workflow, action, order)
    if not made.count and not order.due_at:
        raise checks.Nobody("There is nobody to send an object for. Look at the filter and at who is left out.")
    if is_report(action) and made.samples[0].problem:
        raise errors.Invalid(made.samples[0].problem)
    checks.check_number(made.count, order.expected, order.typed)
    now = clock.now()
    run = Run(
        workflow_id=workflow.id, action_id=action.id, user_id=user_id, token=order.form_token or None,
        kind=action.kind, details=text.details,
        state=SCHEDULED if order.due_at else HELD, lane=PUSH + target_of(action).host, subject="",
        text=action.text, conditions=text.conditions, filter=action.filter, value_types=text.value_types,
        attributes=text.attributes, time_zone=workflow.time_zone, to_column_id=item_column(found, order), cc=[],
        bcc=[], skip_rows=[], left_out=list(order.left_out), leave_out_duplicates=False, track_opens=False,
        track_clicks=False, due_at=order.due_at,
        release_at=order.due_at or now + timedelta(seconds=settings().undo_seconds), created_at=now,
        correlation_id=logs.correlation_id(), schedule_id=order.schedule_id, only_new=order.only_new,
        wants_snapshot=order.wants_snapshot,
    )  # fmt: skip
    return service.start(session, action, run, defaults_of(run, order), None if is_report(action) else made.count)


def defaults_of(run: Run, order: PushOrder) -> dict[str, Any]:
    """Return what the next send form of this action starts with."""
    chosen = {"to_column_id": run.to_column_id} if order.item_column_id else {}
    return {
        **chosen, "exclude": order.exclude, "also": list(order.also), "wants_snapshot": order.wants_snapshot,
    }  # fmt: skip


def fill_report(session: Session, run: Run) -> int:
    """Freeze the rows of a report and write its one message, held.

    Raises errors.Invalid when a column is gone.
    """
    found = sources.read(session, run.workflow_id, run.action_id)
    if not {int(name[1:]) for name in run.value_types} <= found.columns.keys():
        raise errors.Invalid("A column that this report needs was deleted, so nothing is sent.")
    workflow = session.get_one(Workflow, run.workflow_id)
    session.add(
        Message(
            run_id=run.id, lane=run.lane, row_id=ALL, recipient="All learners",
            values=_report_values(session, workflow, run), flags={}, state=HELD, rank=RANKS[HELD], cost=1,
        )
    )  # fmt: skip
    return 1


# -- one object to try


def send_test(session: Session, user_id: int, workflow: Workflow, action: Pushable, row_id: int | None) -> int:
    """Have one object sent as it is now; return the id of the job that does it.

    Raises errors.Invalid when it can't be sent.
    """
    test_parcel(session, workflow, action, row_id, 0)
    payload = {"action": action.id, "row": row_id}
    return schedules.enqueue(session, TEST, payload, workflow_id=workflow.id, user_id=user_id).id


def test_parcel(session: Session, workflow: Workflow, action: Pushable, row_id: int | None, number: int) -> Parcel:
    """Return the request for one object of a test.

    Raises errors.Invalid when it can't be made.
    """
    target, token = target_of(action), tokens.read(session, action.id)
    found, text = _written(session, workflow, action)
    renderer, key = ObjectRenderer(text), f"test-{number}"
    if is_report(action):
        return parcel(target, token, renderer.render(_report_values(session, workflow, action), {}), key)
    chosen = rows(_audience(workflow, action, found, PushOrder(), text, [row_id or 0], everybody=True))
    row = session.execute(sa.select(chosen.c["values"], chosen.c.flags)).one_or_none()
    if row is None:
        raise errors.Invalid("This learner is not in the table any more. Choose another one.")
    return parcel(target, token, renderer.render(row[0], row[1]), key)


def tested(session: Session, workflow_id: int, user_id: int, action_id: int, job_id: int) -> dict[str, Any] | None:
    """Return what became of a test: `id`, `is_over`, `answer`, `is_good`; None when there is none of this action."""
    job = schedules.get(session, workflow_id, user_id, TEST, job_id)
    if job.payload["action"] != action_id:
        return None
    is_over = job.ended_at is not None
    answer = job.result.get("answer") or job.message
    return {"id": job.id, "is_over": is_over, "answer": answer, "is_good": bool(job.result.get("is_good"))}
