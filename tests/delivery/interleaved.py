"""Several workers in one time that the test owns: each in a thread, one at a time, the next whose time has come.

Whoever sleeps lets the others go on. With the same lots everything happens in the same order.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from chalicelib import database
from chalicelib.aws.mailer import Mailer
from chalicelib.delivery.models import MAIL
from chalicelib.delivery.send import Sender
from chalicelib.delivery.throttle import BURST

#: As many invocations of `send_batch` at once as the queue keeps busy, and how long each may run.
AT_ONCE, SECONDS = 5, 120.0


class Time:
    """The time of the test, and who goes on when."""

    def __init__(self, start: datetime) -> None:
        self.instant = start
        self._heap: list[tuple[datetime, int, threading.Semaphore]] = []
        self._number = itertools.count()
        self._turn = threading.Semaphore(0)
        self._problems: list[BaseException] = []

    def now(self) -> datetime:
        """Return the present instant."""
        return self.instant

    def sleep(self, seconds: float) -> None:
        """Go on in so many seconds; the others before."""
        until = self.instant + timedelta(seconds=max(0.0, seconds))
        if not self._heap or until < self._heap[0][0]:
            self.instant = until
            return
        own = threading.Semaphore(0)
        heapq.heappush(self._heap, (until, next(self._number), own))
        self._turn.release()
        own.acquire()

    def begin(self, at: datetime, work: Callable[[], Any]) -> None:
        """Have work done from `at` on."""
        own = threading.Semaphore(0)

        def live() -> None:
            own.acquire()
            try:
                work()
            except BaseException as error:
                self._problems.append(error)
            self._turn.release()

        threading.Thread(target=live, daemon=True).start()
        heapq.heappush(self._heap, (at, next(self._number), own))

    def run(self) -> None:
        """Let everything happen; raise what went wrong."""
        while self._heap:
            at, _, own = heapq.heappop(self._heap)
            self.instant = max(self.instant, at)
            own.release()
            self._turn.acquire()
            if self._problems:
                raise self._problems[0]


class Ses:
    """An SES whose answers take a while; notes when each mail was handed over, and its recipients."""

    def __init__(self, time: Time, lots: random.Random, rate: float, latency: float) -> None:
        self.time, self.lots, self.rate, self.latency = time, lots, rate, latency
        self.sent: list[tuple[datetime, int, str]] = []

    def send_email(self, **request: Any) -> dict[str, str]:
        """Accept a mail."""
        destination = request["Destination"]
        cost = sum(len(addresses) for addresses in destination.values())
        self.sent.append((self.time.now(), cost, destination["ToAddresses"][0]))
        self.time.sleep(self.lots.uniform(0.5, 1.5) * self.latency)
        return {"MessageId": f"ses-{len(self.sent)}"}

    def get_account(self) -> dict[str, Any]:
        """Tell the account's limits."""
        return {"SendQuota": {"MaxSendRate": self.rate, "Max24HourSend": -1, "SentLast24Hours": 0}}


class Invocations:
    """Wake-ups become workers, a few at once; the others wait in the queue."""

    def __init__(self, time: Time, ses: Ses, sender: Callable[..., Sender] = Sender) -> None:
        self.time, self.ses, self.sender = time, ses, sender
        self.busy = self.most = self.waiting = 0

    def wake(self, _queue: str, _body: dict[str, Any], delay_seconds: int = 0) -> None:
        """Take a wake-up."""
        self.time.begin(self.time.now() + timedelta(seconds=delay_seconds), self._arrive)

    def _arrive(self) -> None:
        self.waiting += 1
        while self.waiting and self.busy < AT_ONCE:
            self.waiting -= 1
            self.busy += 1
            self.most = max(self.most, self.busy)
            try:
                self.sender(MAIL, Mailer(self.ses), seconds=SECONDS, sleep=self.time.sleep).run()
            finally:
                self.busy -= 1


@dataclass(frozen=True)
class Load:
    """A run: whose, how many learners, how many recipients each mail has."""

    user: int
    learners: int
    copies: int = 0


def queue(action: tuple[int, int], loads: Iterable[Load], at: datetime) -> list[int]:
    """Have these runs wait in the lane, as planning and the undo window leave them; return their ids."""
    made = []
    with database.scope(statement_timeout_seconds=600) as session:
        for load in loads:
            copies = [f"copy{n}@uni.example" for n in range(load.copies)]
            values = {
                "workflow": action[0], "action": action[1], "user": load.user, "lane": MAIL, "at": at,
                "cc": "[" + ", ".join(f'"{address}"' for address in copies) + "]", "cost": 1 + load.copies,
            }  # fmt: skip
            run_id = session.scalar(
                text(
                    "INSERT INTO ontask.run (workflow_id, action_id, user_id, state, lane, subject, text, conditions,"
                    " value_types, time_zone, to_column_id, from_name, reply_to, cc, bcc, cost, track_opens,"
                    " track_clicks, skip_rows, leave_out_duplicates, needs_opens_column, planned, paused_by,"
                    " pause_reason, created_at, started_at, planned_at, correlation_id) "
                    "VALUES (:workflow, :action, :user, 'running', :lane, 'Hello', '<p>Hello</p>', '[]', '{}', 'UTC',"
                    " 0, '', '', CAST(:cc AS jsonb), '[]', :cost, false, false, '[]', true, false, 0, '', '', :at,"
                    " :at, :at, '') RETURNING id"
                ),
                values,
            )
            session.execute(
                text(
                    "INSERT INTO ontask.message (run_id, lane, row_id, recipient, values, flags, state, rank, cost) "
                    "SELECT :run, :lane, n, 'r' || :run || '.' || n || '@uni.example', '{}', '{}', 'queued', 10, :cost "
                    "FROM generate_series(1, :learners) n"
                ),
                {"run": run_id, "lane": MAIL, "learners": load.learners, "cost": 1 + load.copies},
            )
            made.append(int(run_id or 0))
        session.execute(text("ANALYZE ontask.message"))
    return made


def burst(sent: Iterable[tuple[datetime, int]], rate: float) -> float:
    """Return how many recipients more than rate × time there are at most, over all stretches of time.

    That is how high a bucket gets that each recipient fills and time empties.
    """
    level = most = 0.0
    before: datetime | None = None
    for at, cost in sorted(sent):
        level = max(0.0, level - rate * ((at - before).total_seconds() if before else 0.0)) + cost
        most, before = max(most, level), at
    return most


def allowed_burst(rate: float, dearest: int = 1) -> float:
    """Return what `burst` may be: a second's worth, and one mail."""
    return rate * BURST.total_seconds() + dearest
