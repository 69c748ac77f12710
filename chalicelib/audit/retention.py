"""The end of events: when their time is over they go into files of the bucket, and then out of the database."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from chalicelib import clock, database
from chalicelib.aws import files
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings

ARCHIVE = "audit.archive"
#: Events in one file.
BATCH = 10_000
#: Files that one job writes; the next day's round goes on.
MOST_FILES = 50

_OLD = text("""
    SELECT id, at, type, workflow_id, user_id, action_id, run_id, row_id, message_id, origin, outcome, correlation_id,
           detail
    FROM ontask.event WHERE at < :before ORDER BY at, id LIMIT :limit
""")


def ask_archive(session: Session) -> None:
    """Have the events archived whose time is over."""
    before = _before()
    is_any = before and session.scalar(
        text("SELECT EXISTS (SELECT FROM ontask.event WHERE at < :before)"), {"before": before}
    )
    if is_any and not schedules.is_waiting(session, ARCHIVE):
        schedules.enqueue(session, ARCHIVE, {})


def archive() -> int:
    """Write old events into files, then delete them, a batch at a time; return how many.

    A batch whose deletion was lost is written again under the same name. What was a learner's own is not archived:
    from a file nobody could erase it.
    """
    before, total = _before(), 0
    for _ in range(MOST_FILES if before else 0):
        with database.scope() as session:
            batch = session.execute(_OLD, {"before": before, "limit": BATCH}).all()
        if not batch:
            break
        files.put(_key(batch), gzip.compress(_lines(batch), mtime=0), "application/gzip")
        with database.scope(statement_timeout_seconds=300) as session:
            session.execute(text("DELETE FROM ontask.event WHERE id = ANY(:ids)"), {"ids": [row.id for row in batch]})
        total += len(batch)
    return total


def _before() -> datetime | None:
    """Return from when on events are kept; None when all are."""
    days = settings().event_days
    return clock.now() - timedelta(days=days) if days > 0 else None


def _key(batch: Sequence[Row[tuple[object, ...]]]) -> str:
    return f"events/{batch[0].at:%Y/%m/%d}-{batch[0].id}-{batch[-1].id}.jsonl.gz"


def _lines(batch: Sequence[Row[tuple[object, ...]]]) -> bytes:
    """Return the events as JSON lines; what is empty is left out."""
    events = (
        {name: value for name, value in row._asdict().items() if value not in (None, "", {})} for row in batch
    )  # fmt: skip
    return b"".join(
        json.dumps(event, default=datetime.isoformat, ensure_ascii=False).encode() + b"\n" for event in events
    )
