"""Sending the mail about an ended run. Whatever becomes of it, the run is done, and the log says it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from chalicelib import database, errors, logs
from chalicelib.delivery.carriers import Carrier, carrier
from chalicelib.delivery.compose import Head
from chalicelib.delivery.jobs import hand_over
from chalicelib.delivery.models import Run
from chalicelib.delivery.notices import service
from chalicelib.logs import logger
from chalicelib.schedules import service as schedules
from chalicelib.schedules.jobs import Task, job

#: Noted with the job just before the mail leaves.
HANDED_OVER = "handed_over"


@job(service.NOTICE)
def send_notice(task: Task) -> dict[str, Any]:
    """Send the mail about a run that has ended. Payload: `run`."""
    return deliver_notice(task, carrier())


def deliver_notice(task: Task, mailer: Carrier, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """Do it with the given mailer. Where an earlier attempt may have got through there is no second mail.

    Raises errors.Unavailable to be tried again, but not for ever.
    """
    run_id = int(task.payload["run"])
    problem = ""
    try:
        with database.scope() as session:
            run = session.get(Run, run_id)
            notice = service.about(session, run) if run is not None else None
            is_repeated = bool(schedules.remembered(session, task.job_id, HANDED_OVER))
            schedules.remember(session, task.job_id, **{HANDED_OVER: True})
        if notice is None:
            return {}
        head = Head(from_name=notice.from_name, correlation_id=logs.correlation_id())
        if is_repeated or hand_over(notice.mail, notice.to, mailer, sleep, head=head).get("in_doubt"):
            problem = "Nobody knows whether the mail service has taken it."
    except errors.Unavailable as error:
        if task.attempts < schedules.MAX_ATTEMPTS:
            with database.scope() as session:
                schedules.remember(session, task.job_id, **{HANDED_OVER: False})
            raise
        problem = error.message
    except errors.AppError as error:
        problem = error.message
    except Exception:
        logger().exception("a notice was not written", extra={"run": run_id})
        problem = "It could not be written."
    with database.scope() as session:
        run = session.get_one(Run, run_id)
        if problem:
            service.record(session, "notice_failed", run, reason=problem)
        else:
            service.record(session, "notice_sent", run)
    return {"problem": problem}
