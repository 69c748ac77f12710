"""Opens as a column of the learners' table: how often a learner opened the mails of all runs that count there."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.database.base import LEARNERS
from chalicelib.delivery.models import Message, Run
from chalicelib.tables.columns import keeping

_IS_THERE = sa.text("""
    SELECT EXISTS (SELECT 1 FROM pg_attribute
                   WHERE attrelid = to_regclass(:table_name) AND attname = :column_name AND NOT attisdropped)
""")


def write_opens(session: Session, message_ids: Sequence[int]) -> None:
    """Bring the counting columns of these messages' learners up to date. Writes sums, so doing it twice is right.

    A column or table that was deleted meanwhile is left alone.
    """
    targets = session.execute(
        sa.select(Run.workflow_id, Run.opens_column_id, sa.func.array_agg(Message.row_id.distinct()))
        .join(Message, Message.run_id == Run.id)
        .where(Message.id.in_(message_ids), Run.opens_column_id.is_not(None))
        .group_by(Run.workflow_id, Run.opens_column_id)
        .order_by(Run.workflow_id, Run.opens_column_id)
    ).all()
    for workflow_id, column_id, row_ids in targets:
        assert column_id is not None
        table_name, column_name = f"{LEARNERS}.w{workflow_id}", f"c{column_id}"
        if session.scalar(_IS_THERE, {"table_name": table_name, "column_name": column_name}):
            _write(session, workflow_id, column_id, row_ids)


def _write(session: Session, workflow_id: int, column_id: int, row_ids: Sequence[int]) -> None:
    name = f"c{column_id}"
    learners = sa.table(f"w{workflow_id}", sa.column("row_id"), sa.column(name), schema=LEARNERS)
    sums = (
        sa.select(Message.row_id, sa.func.sum(Message.open_count).label("opens"))
        .join(Run, Run.id == Message.run_id)
        .where(Run.workflow_id == workflow_id, Run.opens_column_id == column_id, Message.row_id.in_(row_ids))
        .group_by(Message.row_id)
        .subquery()
    )
    session.execute(sa.update(learners).where(learners.c.row_id == sums.c.row_id).values({name: sums.c.opens}))
    keeping.data_changed(session, workflow_id, column_ids=[column_id], row_ids=row_ids)
