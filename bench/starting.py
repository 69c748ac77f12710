"""From the confirmation to the first mail: queueing 10,000 messages, and 100,000 after the end of the undo window.

The wake-up comes as it was asked for, in whole seconds; what SQS and Lambda themselves take is not measured here.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from bench import course, sending
from bench.harness import Result, fresh_database, silence, timed

QUEUED, QUEUED_SECONDS = 10_000, 10.0
LEARNERS, FIRST_SECONDS = 100_000, 2.0


def measure() -> list[Result]:
    """Return how long queueing takes, and how late the first mail is."""
    with fresh_database(), silence(), sending.sink():
        import app  # noqa: F401  the mails' links need its routes
        from chalicelib import database
        from chalicelib.aws import client, mailer

        client.forget()
        mailer.forget()
        with database.scope(statement_timeout_seconds=600) as session:
            small = course.make(session, QUEUED)
        queueing = timed(lambda: _confirm_and_plan(small))
        with database.scope(statement_timeout_seconds=600) as session:
            session.execute(text("UPDATE ontask.run SET state = 'done'"))
            large = course.make(session, LEARNERS)
        late = _first_mail(large)
    return [
        Result("queue a run of 10,000", round(queueing, 2), "s", QUEUED_SECONDS, round(queueing / QUEUED_SECONDS, 2),
               f"≤ {QUEUED_SECONDS:g} s", queueing <= QUEUED_SECONDS),
        Result("first of 100,000 mails, after the undo window", round(late, 2), "s", FIRST_SECONDS,
               round(late / FIRST_SECONDS, 2), f"≤ {FIRST_SECONDS:g} s", late <= FIRST_SECONDS),
    ]  # fmt: skip


def _confirm_and_plan(made: course.Course) -> int:
    from chalicelib import database
    from chalicelib.delivery import plan

    with database.scope(statement_timeout_seconds=600) as session:
        run_id = course.confirm(session, made)
    with database.scope(statement_timeout_seconds=600) as session:
        plan.plan(session, run_id)
    return run_id


def _first_mail(made: course.Course) -> float:
    """Return how many seconds after the end of its undo window a run's first mail is handed over."""
    from chalicelib import clock, database
    from chalicelib.aws import queue
    from chalicelib.aws.mailer import Mailer
    from chalicelib.delivery.models import MAIL, Run
    from chalicelib.delivery.send import Sender

    woken: list[float] = []

    def wake(_queue: str, body: dict[str, Any], delay_seconds: int = 0) -> None:
        if "lane" in body:
            woken.append(time.monotonic() + delay_seconds)

    silent, queue.send = queue.send, wake
    try:
        run_id = _confirm_and_plan(made)
    finally:
        queue.send = silent
    with database.scope() as session:
        release_at = session.get_one(Run, run_id).release_at
    assert release_at is not None
    time.sleep(max(0.0, woken[0] - time.monotonic()))
    first: list[timedelta] = []

    class Watched(Mailer):
        def send(self, *args: Any, **more: Any) -> str:
            answer = super().send(*args, **more)
            first.append(clock.now() - release_at)
            return answer

    Sender(MAIL, Watched(), seconds=20).run()
    return first[0].total_seconds()
