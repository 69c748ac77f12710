"""Enqueue work, wake handlers, set alarms. The row is the truth; queue and alarm only wake somebody up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, literal, or_, select, update
from sqlalchemy.orm import Session

from chalicelib import clock, database, errors, logs, metrics
from chalicelib.aws import alarm as alarm_clock
from chalicelib.aws import queue
from chalicelib.schedules.models import DONE, FAILED, QUEUED, RUNNING, Job
from chalicelib.settings import settings

#: A job's lease; the function's time-out is shorter, so a job whose lease ended has no worker.
LEASE = timedelta(minutes=16)
MAX_ATTEMPTS = 5
GIVEN_UP = "This was tried five times and never came to an end."


def alarm(session: Session, due_at: datetime) -> None:
    """Have `run_due` woken at `due_at`: the alarm is set just before this session commits."""
    minute = alarm_clock.minute_for(due_at)
    minutes: set[datetime] = session.info.setdefault("alarm_minutes", set())
    if minute not in minutes:  # one alarm a minute and session is enough
        minutes.add(minute)
        database.before_commit(session, lambda: _set_alarm(due_at))


def _set_alarm(due_at: datetime) -> None:
    alarm_clock.set_alarm(due_at)


def wake(session: Session, queue_name: str, body: dict[str, Any], *, delay_seconds: int = 0) -> None:
    """Put `body` on the queue after the commit, with an alarm in two minutes in case that gets lost."""
    alarm(session, clock.now() + timedelta(seconds=delay_seconds))

    def send() -> None:
        try:
            queue.send(queue_name, body, delay_seconds)
        except errors.Unavailable:
            return  # the row is committed and its alarm is set: it will be found in two minutes

    database.after_commit(session, send)


def enqueue(
    session: Session,
    kind: str,
    payload: dict[str, Any],
    *,
    workflow_id: int | None = None,
    user_id: int | None = None,
    due_at: datetime | None = None,
) -> Job:
    """Add a job, to be done at `due_at` or at once."""
    now = clock.now()
    job = Job(
        kind=kind, payload=payload, workflow_id=workflow_id, user_id=user_id, state=QUEUED, progress=0,
        message="", result={}, attempts=0, due_at=due_at or now, created_at=now,
        correlation_id=logs.correlation_id(),
    )  # fmt: skip
    session.add(job)
    session.flush()
    if due_at is None or due_at <= now:
        wake(session, settings().jobs_queue, {"job": job.id})
    else:
        alarm(session, due_at)
    return job


def get(session: Session, workflow_id: int, user_id: int, kind: str, job_id: int) -> Job:
    """Return a job that this user started in the workflow.

    Raises errors.NotFound when there is none of this kind.
    """
    job = session.get(Job, job_id)
    if job is None or (job.workflow_id, job.user_id, job.kind) != (workflow_id, user_id, kind):
        raise errors.NotFound
    return job


def own(session: Session, user_id: int, job_id: int) -> Job:
    """Return a job that this user started, of whatever kind.

    Raises errors.NotFound when there is none.
    """
    job = session.get(Job, job_id)
    if job is None or job.user_id != user_id:
        raise errors.NotFound("There is no such job.")
    return job


def find(session: Session, workflow_id: int, user_id: int | None, kind: str, payload: dict[str, Any]) -> Job | None:
    """Return the latest job of this kind whose payload has these values; None when there is none."""
    query = select(Job).where(Job.workflow_id == workflow_id, Job.kind == kind, Job.payload.contains(payload))
    if user_id is not None:
        query = query.where(Job.user_id == user_id)
    return session.scalar(query.order_by(Job.id.desc()).limit(1))


def find_open(
    session: Session, workflow_id: int, user_id: int | None, kind: str, payload: dict[str, Any]
) -> Job | None:
    """Return what `find` does, if that job waits or is being done."""
    found = find(session, workflow_id, user_id, kind, payload)
    return found if found is not None and found.state in {QUEUED, RUNNING} else None


def remember(session: Session, job_id: int, **values: Any) -> None:
    """Note in the caller's transaction what the job has made, for its next attempt. Report nothing after it."""
    changed = Job.payload.op("||")(literal(values, Job.payload.type))
    session.execute(update(Job).where(Job.id == job_id).values(payload=changed))


def remembered(session: Session, job_id: int, name: str) -> Any:
    """Return what an earlier attempt of the job has noted under the name; None when it noted nothing."""
    return session.scalar(select(Job.payload[name]).where(Job.id == job_id))


def enqueue_once(session: Session, kind: str, workflow_id: int | None) -> None:
    """Have the workflow's job of this kind done after this commit; one that waits already does for both."""
    query = select(Job).where(Job.workflow_id == workflow_id, Job.kind == kind, Job.state == QUEUED)
    # While this transaction lasts nobody begins that job, so that it sees what is changed here; it is woken again
    # because a worker that came in the meantime has gone.
    waiting = session.scalar(query.limit(1).with_for_update(read=True, skip_locked=True))
    if waiting is None:
        enqueue(session, kind, {}, workflow_id=workflow_id)
    else:
        wake(session, settings().jobs_queue, {"job": waiting.id})


def is_waiting(session: Session, kind: str) -> bool:
    """Tell whether a job of this kind, of no workflow, waits already."""
    query = select(Job.id).where(Job.workflow_id.is_(None), Job.kind == kind, Job.state == QUEUED)
    return session.scalar(query.limit(1)) is not None


def is_open(session: Session, workflow_id: int, kind: str) -> bool:
    """Tell whether a job of this kind waits or is being done for the workflow."""
    query = select(Job.id).where(Job.workflow_id == workflow_id, Job.kind == kind, Job.state.in_([QUEUED, RUNNING]))
    return session.scalar(query.limit(1)) is not None


def state(session: Session, job_id: int) -> str:
    """Return the state of a job, whoever started it; empty when there is none."""
    return session.scalar(select(Job.state).where(Job.id == job_id)) or ""


def payload(session: Session, job_id: int) -> dict[str, Any]:
    """Return what a job is told, whoever started it; nothing when there is none."""
    return session.scalar(select(Job.payload).where(Job.id == job_id)) or {}


def claim(session: Session, job_id: int) -> Job | None:
    """Take the job if it is due and nobody works on it; None when it is done, failed, early or taken.

    A job whose worker was lost (its lease ended) can be taken again; after five attempts it is returned as failed.
    """
    now = clock.now()
    job = session.scalar(
        select(Job)
        .where(Job.id == job_id, Job.due_at <= now)
        .where(or_(Job.state == QUEUED, (Job.state == RUNNING) & (Job.lease_until < now)))
        .with_for_update(skip_locked=True)
    )
    if job is None:
        return None
    if job.attempts >= MAX_ATTEMPTS:
        finish(session, job, FAILED, GIVEN_UP)
        job.state = FAILED
        database.after_commit(session, lambda: metrics.put({metrics.JOBS_FAILED: 1}, kind=job.kind))
        return job
    job.state, job.attempts, job.lease_until = RUNNING, job.attempts + 1, now + LEASE
    alarm(session, job.lease_until)
    return job


def finish(session: Session, job: Job, state: str, message: str = "", result: dict[str, Any] | None = None) -> None:
    """Close the job as done or failed."""
    session.execute(
        update(Job)
        .where(Job.id == job.id)
        .values(
            state=state, message=message, progress=100 if state == DONE else Job.progress,
            result=result or {}, lease_until=None, ended_at=clock.now(),
        )
    )  # fmt: skip


def give_back(session: Session, job: Job, *, delay_seconds: int, message: str = "") -> None:
    """Put the job back in the queue, to be tried again after `delay_seconds`."""
    due_at = clock.now() + timedelta(seconds=delay_seconds)
    session.execute(
        update(Job).where(Job.id == job.id).values(state=QUEUED, due_at=due_at, lease_until=None, message=message)
    )
    wake(session, settings().jobs_queue, {"job": job.id}, delay_seconds=delay_seconds)


def report(job_id: int, progress: int, message: str) -> None:
    """Tell how far a job is, in a transaction of its own so that the page sees it while the work goes on."""
    with database.scope() as session:
        session.execute(update(Job).where(Job.id == job_id).values(progress=progress, message=message))


def due_jobs(session: Session) -> list[int]:
    """Return the ids of jobs that wait or whose worker was lost, oldest first."""
    now = clock.now()
    lost = (Job.state == RUNNING) & (Job.lease_until < now)
    waiting = (Job.state == QUEUED) & (Job.due_at <= now)
    return list(session.scalars(select(Job.id).where(or_(lost, waiting)).order_by(Job.due_at).limit(1000)))


def next_due(session: Session) -> datetime | None:
    """Return the instant at which the next open job is due or its lease ends."""
    moment = func.coalesce(Job.lease_until, Job.due_at)
    return session.scalar(select(func.min(moment)).where(Job.state.in_([QUEUED, RUNNING])))
