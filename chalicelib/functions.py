"""What the functions without a page do with their events: one record, one transaction, and which records failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from chalicelib import clock, database, errors, logs
from chalicelib.actions import image_jobs
from chalicelib.actions.surveys import jobs as answer_jobs
from chalicelib.audit import jobs as audit_jobs
from chalicelib.aws import alarm
from chalicelib.database import waking
from chalicelib.delivery import attachment_jobs, feedback, lanes, recipients_file
from chalicelib.delivery.archives import jobs as archive_jobs
from chalicelib.delivery.carriers import carrier
from chalicelib.delivery.letters import service as letters
from chalicelib.delivery.notices import jobs as notice_jobs
from chalicelib.delivery.push import jobs as push_jobs
from chalicelib.delivery.send import Sender
from chalicelib.exchange import jobs as exchange_jobs
from chalicelib.logs import logger
from chalicelib.schedules import due, jobs, kinds
from chalicelib.tables import changes as table_jobs
from chalicelib.tables.history import jobs as history_jobs
from chalicelib.tables.uploads import jobs as upload_jobs
from chalicelib.workflows import jobs as workflow_jobs

#: Where nobody says how long a function may run.
DEFAULT_SECONDS = 60.0
#: Kept free of waiting for the database, so that the batch is given back by us and not by the time-out.
RESERVE_SECONDS = 10.0

#: Jobs are known once the module that does them is imported.
JOB_MODULES = (
    answer_jobs,
    archive_jobs,
    attachment_jobs,
    audit_jobs,
    exchange_jobs,
    history_jobs,
    image_jobs,
    notice_jobs,
    push_jobs,
    kinds,
    recipients_file,
    table_jobs,
    upload_jobs,
    workflow_jobs,
)

Records = Sequence[dict[str, Any]]
Failures = dict[str, list[dict[str, str]]]


def work_job(event: dict[str, Any], context: Any) -> Failures:
    """Do the jobs that the records name."""
    return each(event, context, lambda body: jobs.run(int(body["job"])))


def send_batch(event: dict[str, Any], context: Any) -> Failures:
    """Serve the lanes that the records name, as long as the function may run."""
    return each(event, context, lambda body: serve(str(body["lane"]), seconds_left(context)))


def serve(lane: str, seconds: float) -> None:
    """Serve one lane."""
    if lanes.is_push(lane):
        from chalicelib.delivery.push.pusher import Pusher
        from chalicelib.delivery.push.sender import PushSender

        PushSender(lane, Pusher(), seconds=seconds).run()
        return
    Sender(lane, carrier(), seconds=seconds).run()


def record_events(event: dict[str, Any], context: Any) -> Failures:
    """Write down the whole batch in one transaction; where that fails each record by itself."""
    records = event["Records"]
    if not is_database_ready(context):
        return give_back(records)
    try:
        _record(records)
    except errors.Unavailable as error:
        logger().warning("mail events not recorded", extra={"reason": type(error).__name__})
        return give_back(records)
    except Exception:
        logger().exception("mail events not recorded")
        return give_back([record for record in records if not _is_recorded(record)])
    return give_back([])


def _record(records: Records) -> None:
    news = feedback.understand([record["body"] for record in records])
    with database.scope() as session:
        feedback.record(session, news)


def _is_recorded(record: dict[str, Any]) -> bool:
    """Write one record down by itself: one that can't be must not keep its neighbours back."""
    try:
        _record([record])
    except Exception as error:
        letters.note(record["messageId"], error)
        return False
    return True


def run_due(context: Any) -> None:
    """Wake what is due."""
    at_alarm(context, due.run_due)


def tidy(context: Any) -> None:
    """Do the daily round."""
    at_alarm(context, due.tidy)


def each(event: dict[str, Any], context: Any, work: Callable[[dict[str, Any]], None]) -> Failures:
    """Do `work` with the body of every record; those that fail are given back to the queue, by name."""
    if not is_database_ready(context):
        return give_back(event["Records"])
    failed = []
    for record in event["Records"]:
        with logs.follow(_id_of(context)), logs.follow(_id_in(record["body"])):
            try:
                work(json.loads(record["body"]))
            except Exception as error:
                logger().exception("record failed", extra={"record": record["messageId"]})
                letters.note(record["messageId"], error)
                failed.append(record)
    return give_back(failed)


def at_alarm(context: Any, work: Callable[[], None]) -> None:
    """Do `work`; where the database is not ready for it have `run_due` woken again, and fail.

    Lambda repeats a failed invocation twice at most, a database may be away for longer.
    """
    try:
        waking.wait(patience(context))
        with logs.follow(_id_of(context)):
            work()
    except errors.Unavailable as error:
        logger().warning("an alarm is put off", extra={"reason": type(error).__name__})
        alarm.set_alarm(clock.now())
        raise
    except Exception:
        logger().exception("an alarm failed")
        # Lambda writes what is raised into the log, words and all.
        raise RuntimeError("An alarm failed; see the log.") from None


def is_database_ready(context: Any) -> bool:
    """Wait for the database while it wakes up; tell whether work can begin."""
    try:
        waking.wait(patience(context))
    except errors.Unavailable as error:
        logger().warning("a batch goes back to its queue", extra={"reason": type(error).__name__})
        return False
    return True


def give_back(records: Records) -> Failures:
    """Return what tells Lambda that these records failed."""
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in records]}


def patience(context: Any) -> float:
    """Return how long the invocation may wait for the database."""
    return min(waking.PATIENCE_SECONDS, seconds_left(context) - RESERVE_SECONDS)


def _id_of(context: Any) -> str:
    """Return the invocation's own id, for work that no request began."""
    return str(getattr(context, "aws_request_id", ""))


def _id_in(body: str) -> str:
    """Return the correlation id that a message carries; "" when there is none, or no message to speak of."""
    try:
        return str(json.loads(body)[logs.KEY])
    except (ValueError, KeyError, TypeError):
        return ""


def seconds_left(context: Any) -> float:
    """Return how long the invocation may still run."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return remaining() / 1000 if remaining else DEFAULT_SECONDS
