"""What was answered and is on its way into the table, and forms that were begun."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.actions.models import Action
from chalicelib.actions.surveys.models import Answer, Draft
from chalicelib.audit import origins
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings
from chalicelib.tables import cells, writing

APPLY = "apply_answers"
#: Through which door an answer came: from its learner, or entered by the instructor.
LINK, ENTRY = origins.LINK, origins.PAGE
#: So much of what was typed is kept of a form that is not sent yet.
MAX_DRAFT = 200_000
#: A form that was begun is kept for so long.
KEEP_DRAFTS = timedelta(days=180)
#: While new data is merged it is tried again so often.
AGAIN_SECONDS = 20


def lock(session: Session, workflow_id: int, row_id: int) -> None:
    """Let nobody else answer for this learner until the transaction ends, so that answers are numbered as they come."""
    session.execute(
        sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"answer {workflow_id} {row_id}"}
    )


def waiting(
    session: Session, workflow_id: int, columns: Iterable[Any], row_ids: Collection[int] | None = None
) -> dict[int, dict[int, Any]]:  # fmt: skip
    """Return what is answered but not in the table yet: values by column, by row; the latest of each question.

    Call it before the table is read; without `row_ids` it is told for everybody.
    """
    query = (
        sa.select(Answer.row_id, Answer.values)
        .where(Answer.workflow_id == workflow_id, Answer.applied_at.is_(None))
        .order_by(Answer.id)
    )
    if row_ids is not None:
        query = query.where(Answer.row_id.in_(row_ids))
    by_field = {f"c{column.id}": column for column in columns}
    found: dict[int, dict[int, Any]] = {}
    for row_id, values in session.execute(query):
        for field, text in values.items():
            column = by_field.get(field)
            if column is not None:
                _put(found.setdefault(row_id, {}), column, text)
    return found


def _put(values: dict[int, Any], column: Any, text: str | None) -> None:
    try:
        values[column.id] = cells.restored(text, column.type)
    except errors.Invalid:
        return  # the column has another type by now: the job will leave it out as well


def add(
    session: Session, action: Action, row_id: int, user_id: int | None, origin: str, values: Mapping[int, Any]
) -> Answer:  # fmt: skip
    """Keep an answer, by column, and have it put into the table."""
    answer = Answer(
        workflow_id=action.workflow_id, action_id=action.id, row_id=row_id, user_id=user_id, origin=origin,
        values={f"c{key}": writing.kept(value) for key, value in values.items()}, created_at=clock.now(),
    )  # fmt: skip
    session.add(answer)
    session.flush()
    schedules.enqueue_once(session, APPLY, action.workflow_id)
    return answer


def apply_later(session: Session, workflow_id: int) -> None:
    """Have waiting answers put into the table in a moment."""
    due_at = clock.now() + timedelta(seconds=AGAIN_SECONDS)
    job = schedules.enqueue(session, APPLY, {}, workflow_id=workflow_id, due_at=due_at)
    schedules.wake(session, settings().jobs_queue, {"job": job.id}, delay_seconds=AGAIN_SECONDS)


def look_after(session: Session) -> None:
    """Do the daily round: ask for answers that still wait, and forget forms that nobody has gone on with."""
    waiting_long = Answer.created_at < clock.now() - timedelta(hours=1)
    query = sa.select(Answer.workflow_id).where(Answer.applied_at.is_(None), waiting_long).distinct()
    for workflow_id in session.scalars(query).all():
        schedules.enqueue_once(session, APPLY, workflow_id)
    session.execute(sa.delete(Draft).where(Draft.updated_at < clock.now() - KEEP_DRAFTS))


def draft(session: Session, action: Action, row_id: int, user_id: int) -> Draft | None:
    """Return the form that this person has begun for the learner."""
    return session.get(Draft, (action.id, row_id, user_id), populate_existing=True)


def keep_draft(
    session: Session, action: Action, row_id: int, user_id: int, typed: Mapping[str, Sequence[str]], page: int
) -> None:  # fmt: skip
    """Keep what was typed; what an earlier page of the form has stays."""
    if sum(len(text) for texts in typed.values() for text in texts) > MAX_DRAFT:
        raise errors.Limit("This is too long to be kept before it is sent.", 413)
    values = {"typed": {name: list(texts) for name, texts in typed.items()}, "page": page, "updated_at": clock.now()}
    made = insert(Draft).values(action_id=action.id, row_id=row_id, user_id=user_id, **values)
    merged = {**values, "typed": Draft.typed.op("||")(made.excluded.typed)}
    session.execute(made.on_conflict_do_update(index_elements=["action_id", "row_id", "user_id"], set_=merged))


def forget_draft(session: Session, action: Action, row_id: int, user_id: int) -> None:
    """Forget a form that was begun: it is sent."""
    session.execute(
        sa.delete(Draft).where(Draft.action_id == action.id, Draft.row_id == row_id, Draft.user_id == user_id)
    )
