"""JSON for other systems: check and confirm a run, plan a report, send one object to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock, database, errors, logs
from chalicelib.actions import targets
from chalicelib.actions.kinds import KINDS, Kind
from chalicelib.actions.language import tables
from chalicelib.actions.reports import rows as report_rows
from chalicelib.actions.targets import Target
from chalicelib.delivery import plan, service, sources, wakeups
from chalicelib.delivery.audience import Audience, rows
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


class Pushable(Sendable, Protocol):
    """What is needed of an action whose JSON goes to another system."""

    target: dict[str, Any] | None


@dataclass(frozen=True)
class PushOrder:
    """A filled-in form. `left_out` are values of the column `item_column_id` whose learners are left out."""

    item_column_id: int | None = None
    left_out: tuple[str, ...] = ()
    token: str = ""
    form_token: str = ""


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
    skip_rows: Sequence[int], only_rows: Any = None, *, everybody: bool = False,
) -> Audience:  # fmt: skip
    return Audience(
        workflow_id=workflow.id, to_column_id=item_column(found, order), columns=found.columns,
        time_zone=workflow.time_zone, filter=None if everybody else action.filter,
        conditions=text.conditions if text else (),
        values=text.value_ids if text else (), skip_rows=skip_rows, leave_out_duplicates=False, addresses=False,
        only_rows=only_rows,
    )  # fmt: skip


def item_column(found: sources.Sources, order: PushOrder) -> int:
    """Return the column by which learners are called in the run: the chosen one, or the first key.

    Raises errors.Invalid when it is not there, or there is no table.
    """
    if not found.columns:
        raise errors.Invalid("The table has no learners yet.")
    chosen = order.item_column_id or found.label_column_id or min(found.columns)
    if chosen not in found.columns:
        raise errors.Invalid("Choose a column.", {"item_column_id": "This column is not in the table any more."})
    return chosen


def _skipped(session: Session, workflow: Workflow, found: sources.Sources, order: PushOrder) -> list[int]:
    """Return the rows of the values that are left out.

    Raises errors.Invalid (field `left_out`) for values that nobody has.
    """
    if not order.left_out:
        return []
    if order.item_column_id is None:
        message = "Choose the column that these values are of."
        raise errors.Invalid(message, {"item_column_id": message})
    audience = Audience(workflow_id=workflow.id, to_column_id=item_column(found, order), columns=found.columns)
    learners = audience.learners
    value = sa.cast(learners.c[f"c{audience.to_column_id}"], sa.Text)
    pairs = session.execute(sa.select(learners.c.row_id, value).where(value.in_(order.left_out))).all()
    unknown = [one for one in order.left_out if one not in {row[1] for row in pairs}]
    if unknown:
        message = f"Nobody has this value: {', '.join(unknown[:5])}."
        raise errors.Invalid(message, {"left_out": message})
    return [row[0] for row in pairs]


def draft(session: Session, workflow: Workflow, action: Pushable, order: PushOrder) -> Draft:
    """Return what a run would come to now.

    Raises errors.Invalid when it can't be run.
    """
    found, text = _written(session, workflow, action)
    renderer = ObjectRenderer(text)
    if is_report(action):
        return Draft(1, 0, [_sample(renderer, "All learners", _report_values(session, workflow, action), {})])
    skip = _skipped(session, workflow, found, order)
    counts = plan.tally(session, _audience(workflow, action, found, order, None, skip))
    chosen = rows(_audience(workflow, action, found, order, None, skip))
    first = sa.select(chosen.c.row_id).where(chosen.c.reason == "").order_by(chosen.c.row_id).limit(SAMPLES)
    full = rows(_audience(workflow, action, found, order, text, skip, first))
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
    elif tokens.set_at(session, action.id) is None:
        raise errors.Invalid(NOT_SET, {"token": NOT_SET})
    found, text = _written(session, workflow, action)
    made = draft(session, workflow, action, order)
    if not made.count:
        raise errors.Invalid("There is nobody to send an object for. Look at the filter and at who is left out.")
    if is_report(action) and made.samples[0].problem:
        raise errors.Invalid(made.samples[0].problem)
    now = clock.now()
    run = Run(
        workflow_id=workflow.id, action_id=action.id, user_id=user_id, token=order.form_token or None,
        kind=action.kind, details=text.details, state=HELD, lane=PUSH + target_of(action).host, subject="",
        text=action.text, conditions=text.conditions, filter=action.filter, value_types=text.value_types,
        attributes=text.attributes, time_zone=workflow.time_zone, to_column_id=item_column(found, order), cc=[],
        bcc=[], skip_rows=_skipped(session, workflow, found, order), leave_out_duplicates=False, track_opens=False,
        track_clicks=False, release_at=now + timedelta(seconds=settings().undo_seconds), created_at=now,
        correlation_id=logs.correlation_id(),
    )  # fmt: skip
    return service.start(session, action, run, {"to_column_id": run.to_column_id} if order.item_column_id else {})


def plan_report(run_id: int) -> int | None:
    """Freeze the rows of a report and write its one message, held; None when it is planned already or was undone.

    Raises errors.Invalid when a column is gone.
    """
    with database.scope(statement_timeout_seconds=plan.TIMEOUT_SECONDS) as session:
        run = session.scalar(sa.select(Run).where(Run.id == run_id).with_for_update())
        if run is None or run.state not in {HELD, SCHEDULED} or run.planned_at is not None:
            return None
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
        run.planned, run.planned_at, run.state = 1, clock.now(), HELD
        wait = (run.release_at - clock.now()).total_seconds() if run.release_at else 0
        wakeups.wake(session, run.lane, max(0.0, wait))
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
    chosen = rows(_audience(workflow, action, found, PushOrder(), text, (), [row_id or 0], everybody=True))
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
