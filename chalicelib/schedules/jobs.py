"""Do a job: find its function by kind, run it, write down how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import clock, database, errors, logs, metrics
from chalicelib.logs import logger
from chalicelib.schedules import service
from chalicelib.schedules.models import DONE, FAILED, Job


@dataclass(frozen=True)
class Task:
    """What a job's function is told. `report` shows progress on the job's page."""

    job_id: int
    workflow_id: int | None
    user_id: int | None
    payload: dict[str, Any]
    attempts: int

    def report(self, progress: int, message: str) -> None:
        """Show `progress` (0 to 100) and `message` to whoever watches the job."""
        service.report(self.job_id, progress, message)


Work = Callable[[Task], dict[str, Any] | None]
GiveUp = Callable[[Session, dict[str, Any]], None]
_kinds: dict[str, Work] = {}
_ends: dict[str, GiveUp] = {}

#: Seconds until a job whose partner (database, S3) could not be reached is tried again.
RETRY_SECONDS = 60


def job(kind: str, *, given_up: GiveUp | None = None) -> Callable[[Work], Work]:
    """Register the function for jobs of `kind`. It opens its own sessions and may be run twice.

    `given_up` is told the payload when the workers of a job have died so often that it is not tried again.
    """

    def register(work: Work) -> Work:
        _kinds[kind] = work
        if given_up is not None:
            _ends[kind] = given_up
        return work

    return register


def run(job_id: int) -> None:
    """Do the job, if it is due and nobody else does it.

    errors.Unavailable puts it back for later; any other AppError fails it with its message. Other exceptions
    leave the job to be tried again when its lease ends, and are raised for the log and the queue.
    """
    with database.scope() as session:
        row = service.claim(session, job_id)
        if row is None:
            return
        if row.state == FAILED:
            if row.kind in _ends:
                _ends[row.kind](session, row.payload)
            return
        task = Task(row.id, row.workflow_id, row.user_id, row.payload, row.attempts)
    with logs.follow(row.correlation_id):
        _do(row, task)


def _do(row: Job, task: Task) -> None:
    about = {"job": row.id, "kind": row.kind}
    try:
        result = _kinds[row.kind](task)
    except errors.Unavailable as error:
        with database.scope() as session:
            service.give_back(session, row, delay_seconds=RETRY_SECONDS, message=error.message)
        return
    except errors.AppError as error:
        fields = getattr(error, "fields", {})
        with database.scope() as session:
            service.finish(session, row, FAILED, error.message, {"fields": fields})
        metrics.put({metrics.JOBS_FAILED: 1}, **about)
        logger().info("job failed", extra={**about, "reason": type(error).__name__})
        return
    except Exception:
        metrics.put({metrics.JOBS_BROKEN: 1}, **about)
        logger().exception("job broke", extra=about)
        with database.scope() as session:
            service.give_back(session, row, delay_seconds=RETRY_SECONDS, message="Trying again in a minute.")
        raise
    with database.scope() as session:
        service.finish(session, row, DONE, result=result)
    lateness = (clock.now() - row.due_at).total_seconds()
    metrics.put({metrics.JOBS_DONE: 1, metrics.LATENESS: lateness}, **about)
    logger().info("job done", extra=about)
