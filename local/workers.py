"""The queue-triggered functions and the alarm clock of one machine: SQS event sources and EventBridge Scheduler.

`python -m local.workers` runs them in a process of its own, which may be killed at any moment.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from local.gateway import Context
from local.parent import end_with_parent

log = logging.getLogger("ontask.workers")

#: Function, records a batch, concurrent invocations: as in the cloud's event source mappings.
SOURCES = (
    ("work_job", "jobs_queue", 1, 2),
    ("send_batch", "outbox_queue", 1, 2),
    ("record_events", "events_queue", 10, 1),
)
FUNCTION_SECONDS = 60.0


def handle(function: Callable[[Any, Any], Any], messages: list[dict[str, Any]], queue: str) -> list[str]:
    """Invoke `function` with a batch as Lambda would; return the ids of the messages that are done with."""
    records = [
        {
            "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
            "attributes": message["Attributes"], "messageAttributes": {}, "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs", "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{queue}",
            "awsRegion": "us-east-1",
        }
        for message in messages
    ]  # fmt: skip
    answer = function({"Records": records}, Context(FUNCTION_SECONDS)) or {}
    failed = {item["itemIdentifier"] for item in answer.get("batchItemFailures", [])}
    return [record["messageId"] for record in records if record["messageId"] not in failed]


class Source(threading.Thread):
    """Polls one queue and invokes its function."""

    def __init__(self, function: Callable[[Any, Any], Any], queue: str, batch: int, stopping: threading.Event) -> None:
        super().__init__(name=queue, daemon=True)
        self._function, self._queue, self._batch, self._stopping = function, queue, batch, stopping

    def run(self) -> None:
        """Poll until told to stop; an invocation that fails leaves its messages to their visibility time-out."""
        from chalicelib.aws.client import client

        sqs = client("sqs", read_timeout_seconds=30)
        url = sqs.get_queue_url(QueueName=self._queue)["QueueUrl"]
        while not self._stopping.is_set():
            try:
                found = sqs.receive_message(
                    QueueUrl=url, MaxNumberOfMessages=self._batch, WaitTimeSeconds=5, AttributeNames=["All"]
                )
                messages = found.get("Messages", [])
                done = handle(self._function, messages, self._queue) if messages else []
                for message in messages:
                    if message["MessageId"] in done:
                        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            except Exception:
                log.exception("%s failed", self._queue)
                self._stopping.wait(1)


def due_alarms(now: datetime) -> list[dict[str, Any]]:
    """Take the alarms whose minute has come: return their inputs and delete them, as ActionAfterCompletion says."""
    from chalicelib.aws.client import client
    from chalicelib.settings import settings

    scheduler, group = client("scheduler"), settings().scheduler_group
    inputs = []
    for page in scheduler.get_paginator("list_schedules").paginate(GroupName=group):
        for entry in page["Schedules"]:
            if entry["Name"] <= f"due-{now.astimezone(UTC):%Y%m%dT%H%M}":
                schedule = scheduler.get_schedule(GroupName=group, Name=entry["Name"])
                inputs.append(json.loads(schedule["Target"]["Input"]))
                scheduler.delete_schedule(GroupName=group, Name=entry["Name"])
    return inputs


def take_over() -> None:
    """Free the jobs of workers that were killed, which nobody but this process does any more.

    In the cloud their leases end first: there another function may still be alive. Mails keep theirs, as what became
    of them is in doubt until their events have come.
    """
    from sqlalchemy import update

    from chalicelib import clock, database
    from chalicelib.schedules.models import RUNNING, Job

    with database.scope() as session:
        session.execute(update(Job).where(Job.state == RUNNING).values(lease_until=clock.now()))


def daily_event() -> dict[str, Any]:
    """Return what the daily rule of EventBridge sends."""
    rule = "arn:aws:events:us-east-1:123456789012:rule/ontask-tidy"
    return {
        "version": "0", "id": "local", "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "123456789012", "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "region": "us-east-1",
        "resources": [rule], "detail": {},
    }  # fmt: skip


def main() -> None:
    """Run all sources and the alarm clock until the parent ends."""
    import app
    from chalicelib import clock
    from chalicelib.settings import settings

    end_with_parent()
    stopping = threading.Event()
    take_over()
    # Alarms live in the emulated cloud's memory: the daily safety net sets them again after a restart.
    app.tidy(daily_event(), Context())
    for name, queue, batch, count in SOURCES:
        for _ in range(count):
            Source(getattr(app, name), getattr(settings(), queue), batch, stopping).start()
    print("ready", flush=True)
    while True:
        try:
            for event in due_alarms(clock.now()):
                app.run_due(event, Context())
        except Exception:
            log.exception("an alarm failed")
        time.sleep(1)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main()
