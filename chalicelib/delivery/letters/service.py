"""Note why queue messages fail, fetch those that their queues gave up, send them again or put them away.

A dead letter is but a wake-up, so nothing is lost with it; only news of mails exists nowhere else. It becomes a row
here and leaves its queue; alarms and the daily round look.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import clock, database, errors, metrics
from chalicelib.audit import service as audit
from chalicelib.aws import queue
from chalicelib.delivery import news
from chalicelib.delivery.letters.models import DeadLetter
from chalicelib.delivery.models import Message, Run
from chalicelib.logs import logger
from chalicelib.schedules import service as schedules
from chalicelib.settings import settings

#: The queues by their settings, and what their messages are for.
NAMES = {"jobs": "To do a job", "outbox": "To go on sending", "events": "News of a mail"}
NOT_NOTED = "Nothing was noted: the function was ended, or the database could not be reached."
#: Those that are over are kept so long, and what failed once and never again as well.
KEEP = timedelta(days=90)
#: How many are fetched from a queue at one time.
MAX_BATCHES = 20


def note(sqs_id: str, error: Exception) -> None:
    """Keep why a message failed, in case that it fails for good."""
    reason = error.message if isinstance(error, errors.AppError) else f"Something unforeseen: {type(error).__name__}."
    row = {"sqs_id": sqs_id, "reason": reason, "failed_at": clock.now()}
    made = upsert(DeadLetter).values(row)
    try:
        with database.scope() as session:
            changed = {"reason": made.excluded.reason, "failed_at": made.excluded.failed_at}
            session.execute(made.on_conflict_do_update(index_elements=["sqs_id"], set_=changed))
    except (errors.Unavailable, DBAPIError):
        logger().warning("a reason was not noted", extra={"record": sqs_id})


def collect() -> None:
    """Fetch what the queues have given up."""
    for name in NAMES:
        try:
            for _ in range(MAX_BATCHES):
                if not _collect(name):
                    break
        except errors.Unavailable as error:
            logger().warning("dead letters not fetched", extra={"queue": name, "reason": error.message})


def _collect(name: str) -> int:
    queue_name = getattr(settings(), f"{name}_queue")
    found = queue.take_dead(queue_name)
    if found:
        with database.scope() as session:
            for letter in found:
                _keep(session, name, letter)
            database.after_commit(session, lambda: metrics.put({metrics.DEAD_LETTERS: len(found)}, queue=name))
        queue.drop_dead(queue_name, found)
    return len(found)


def _keep(session: Session, name: str, letter: queue.Dead) -> None:
    now = clock.now()
    row = {
        "sqs_id": letter.id, "queue": name, "body": letter.body, "tries": letter.tries, "sent_at": letter.sent_at,
        "found_at": now, **_about(session, name, letter.body),
    }  # fmt: skip
    # One that was sent again has another id by then: the same id twice is a letter that could not be dropped.
    made = upsert(DeadLetter).values({**row, "reason": NOT_NOTED, "failed_at": now})
    session.execute(
        made.on_conflict_do_update(index_elements=["sqs_id"], set_=row, where=DeadLetter.found_at.is_(None))
    )


def _about(session: Session, name: str, body: str) -> dict[str, Any]:
    """Return what a message is about; nothing for one that can't be read."""
    try:
        if name == "events":
            told = news.read(body)
            return {"run_id": session.scalar(sa.select(Message.run_id).where(Message.id == told.message_id))} if (
                isinstance(told, news.News)
            ) else {}  # fmt: skip
        said = json.loads(body)
        if name == "outbox":
            return {"lane": str(said["lane"])}
        job_id = int(said["job"])
        payload = schedules.payload(session, job_id)
        run_id = session.scalar(sa.select(Run.id).where(Run.id == int(payload.get("run", 0))))
        return {"job_id": job_id, "lane": str(payload.get("lane", "")), "run_id": run_id}
    except (news.NotOurs, ValueError, KeyError, TypeError, AttributeError):
        return {}


def open_letters(session: Session, *, limit: int = 200) -> list[DeadLetter]:
    """Return all that wait for somebody's word, newest first."""
    return list(session.scalars(_open().order_by(DeadLetter.id.desc()).limit(limit)))


def of_run(session: Session, run: Run) -> list[DeadLetter]:
    """Return those that are about the run, or about its lane while the run was under way."""
    about_lane = (DeadLetter.lane == run.lane) & (DeadLetter.sent_at >= run.created_at)
    if run.ended_at is not None:
        about_lane &= DeadLetter.sent_at <= run.ended_at
    mine = (DeadLetter.run_id == run.id) | about_lane
    return list(session.scalars(_open().where(mine).order_by(DeadLetter.id).limit(200)))


def places(session: Session, letters: Sequence[DeadLetter]) -> dict[int, int]:
    """Return the workflow of each run that letters are about."""
    ids = {letter.run_id for letter in letters} - {None}
    return {row[0]: row[1] for row in session.execute(sa.select(Run.id, Run.workflow_id).where(Run.id.in_(ids)))}


def _open() -> sa.Select[DeadLetter]:
    return sa.select(DeadLetter).where(DeadLetter.found_at.is_not(None), DeadLetter.ended_at.is_(None))


def send_again(session: Session, user_id: int, letters: Sequence[DeadLetter]) -> int:
    """Put messages back on their queues; return how many. Those that can't be read stay."""
    count = 0
    for letter in _locked(session, letters):
        try:
            body = json.loads(letter.body)
        except ValueError:
            continue
        if isinstance(body, dict):
            schedules.wake(session, getattr(settings(), f"{letter.queue}_queue"), body)
            _end(letter, user_id)
            count += 1
    if count:
        audit.record(session, "letters_sent_again", user_id=user_id, **_told(letters), count=count)
    return count


def put_away(session: Session, user_id: int, letters: Sequence[DeadLetter]) -> int:
    """Show messages no more; return how many."""
    found = _locked(session, letters)
    for letter in found:
        _end(letter, user_id)
    if found:
        audit.record(session, "letters_put_away", user_id=user_id, count=len(found))
    return len(found)


def _told(letters: Sequence[DeadLetter]) -> dict[str, Any]:
    runs = {letter.run_id for letter in letters}
    return {"run_id": runs.pop()} if len(runs) == 1 else {}


def _locked(session: Session, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    chosen = _open().where(DeadLetter.id.in_([letter.id for letter in letters])).order_by(DeadLetter.id)
    return list(session.scalars(chosen.with_for_update().execution_options(populate_existing=True)))


def _end(letter: DeadLetter, user_id: int) -> None:
    letter.ended_at, letter.ended_by = clock.now(), user_id
    letter.body = ""  # news of mails has addresses


def forget_old(session: Session) -> None:
    """Drop what is over."""
    old = clock.now() - KEEP
    over = sa.func.coalesce(DeadLetter.ended_at, sa.case((DeadLetter.found_at.is_(None), DeadLetter.failed_at)))
    session.execute(sa.delete(DeadLetter).where(over < old))
