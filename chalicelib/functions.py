"""What the functions without a page do with their events: one record, one transaction, and which records failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from chalicelib import database
from chalicelib.aws.mailer import Mailer
from chalicelib.delivery import feedback
from chalicelib.delivery.send import Sender
from chalicelib.logs import logger
from chalicelib.schedules import jobs
from chalicelib.tables.uploads import jobs as upload_jobs

#: Where nobody says how long a function may run.
DEFAULT_SECONDS = 60.0

#: Jobs are known once the module that does them is imported.
JOB_MODULES = (upload_jobs,)

Failures = dict[str, list[dict[str, str]]]


def each(event: dict[str, Any], work: Callable[[dict[str, Any]], None]) -> Failures:
    """Do `work` with the body of every record; those that fail are given back to the queue, by name."""
    failed = []
    for record in event["Records"]:
        try:
            work(json.loads(record["body"]))
        except Exception:
            logger().exception("record failed", extra={"record": record["messageId"]})
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def work_job(event: dict[str, Any]) -> Failures:
    """Do the jobs that the records name."""
    return each(event, lambda body: jobs.run(int(body["job"])))


def send_batch(event: dict[str, Any], context: Any) -> Failures:
    """Serve the lanes that the records name, as long as the function may run."""
    return each(event, lambda body: serve(str(body["lane"]), seconds_left(context)))


def serve(lane: str, seconds: float) -> None:
    """Serve one lane."""
    Sender(lane, Mailer(), seconds=seconds).run()


def seconds_left(context: Any) -> float:
    """Return how long the invocation may still run."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return remaining() / 1000 if remaining else DEFAULT_SECONDS


def record_events(event: dict[str, Any]) -> Failures:
    """Write down the whole batch in one transaction, or give all of it back."""
    records = event["Records"]
    try:
        news = feedback.understand([record["body"] for record in records])
        with database.scope() as session:
            feedback.record(session, news)
    except Exception:
        logger().exception("mail events not recorded")
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in records]}
    return {"batchItemFailures": []}
