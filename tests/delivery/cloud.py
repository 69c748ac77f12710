"""A small cloud whose time the test owns: queues, alarms, functions and an SES that speaks botocore's errors.

Everything waits in one heap by time; `run` takes what is next, sets the clock and invokes the function it is for.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import app  # registers every route and kind of job  # noqa: F401
from chalicelib import clock, database
from chalicelib.aws import alarm
from chalicelib.aws.mailer import Mailer
from chalicelib.delivery import doubt, feedback
from chalicelib.delivery.models import MAIL, Message, Run
from chalicelib.delivery.send import Sender
from chalicelib.delivery.worker import RESERVE_SECONDS
from chalicelib.schedules import due, jobs
from chalicelib.settings import settings
from tests.conftest import Clock

VISIBILITY = timedelta(minutes=6)
RATE = 14.0


class Killed(BaseException):
    """The worker is gone: nothing that follows in its code happens."""


class FakeSes:
    """What boto3's `sesv2` client does, as far as we use it. `answer` may raise instead of accepting."""

    def __init__(self) -> None:
        self.accepted: list[dict[str, Any]] = []
        self.times: list[datetime] = []
        self.answer: Callable[[dict[str, Any]], None] = lambda _request: None
        self.on_accept: Callable[[dict[str, Any]], None] = lambda _request: None
        self.rate, self.quota, self.sent_24h = RATE, 50_000, 0

    def send_email(self, **request: Any) -> dict[str, str]:
        """Accept a mail."""
        self.answer(request)
        request["MessageId"] = f"ses-{len(self.accepted)}"
        self.accepted.append(request)
        self.times.append(clock.now())
        self.on_accept(request)
        return {"MessageId": request["MessageId"]}

    def get_account(self) -> dict[str, Any]:
        """Tell the account's limits."""
        limits = {"MaxSendRate": self.rate, "Max24HourSend": self.quota, "SentLast24Hours": self.sent_24h}
        return {"SendQuota": limits}

    def mails(self) -> Counter[str]:
        """How many mails each address got; probes left out."""
        tos = [request["Destination"]["ToAddresses"][0] for request in self.accepted]
        return Counter(to for to in tos if to != doubt.SIMULATOR)


def tags(request: dict[str, Any]) -> dict[str, list[str]]:
    """The tags of a mail as SES's events have them."""
    return {tag["Name"]: [tag["Value"]] for tag in request["EmailTags"]}


def envelope(kind: str, request: dict[str, Any], at: datetime, **detail: Any) -> str:
    """An SES event as it arrives in the queue: inside SNS's envelope."""
    stamp = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    mail = {"timestamp": stamp, "messageId": request["MessageId"], "tags": tags(request)}
    event = {"eventType": kind, "mail": mail, kind.lower(): {"timestamp": stamp, **detail}}
    return json.dumps(
        {"Type": "Notification", "TopicArn": settings().events_topic_arn, "Message": json.dumps(event)}
    )  # fmt: skip


class Cloud:
    """Queues, alarms and functions. `wakeups`, `alarms` and `events` say how badly messages travel."""

    def __init__(self, time: Clock, ses: FakeSes, *, wakeups: str = "normal", events: str = "on time") -> None:
        self.time, self.ses = time, ses
        self.wakeups, self.events = wakeups, events
        self.alarms = "normal"
        #: When what was not brought to its end is brought again.
        self.redelivery = VISIBILITY
        self.sender: Callable[..., Sender] = Sender
        self.kills = 0
        #: How often each kind of function ran.
        self.invoked: Counter[str] = Counter()
        #: The sender's time: short, so that other things can happen between two invocations.
        self.seconds = RESERVE_SECONDS + 2
        self._heap: list[tuple[datetime, int, str, Any]] = []
        self._number = itertools.count()
        self._lots = itertools.count(1)
        self._chance = random.Random(1)
        self._minutes: set[datetime] = set()
        ses.on_accept = self._publish

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in for AWS."""
        monkeypatch.setattr("chalicelib.aws.queue.send", self.send)
        monkeypatch.setattr("chalicelib.aws.alarm.set_alarm", self.set_alarm)

    def put(self, at: datetime, kind: str, body: Any) -> None:
        """Have something happen at a time."""
        heapq.heappush(self._heap, (at, next(self._number), kind, body))

    def send(self, queue: str, body: dict[str, Any], delay_seconds: int = 0) -> None:
        """Take a wake-up, and lose, double or keep it as `wakeups` says."""
        at = self.time.time + timedelta(seconds=delay_seconds)
        if self.wakeups == "lost" and next(self._lots) % 3:
            return  # two of three
        if self.wakeups == "reordered":
            at += timedelta(seconds=self._chance.uniform(0, 300))
        self.put(at, queue, json.dumps(body))
        if self.wakeups == "doubled":
            self.put(at, queue, json.dumps(body))
        if self.wakeups == "stale":
            self.put(at + timedelta(minutes=7), queue, json.dumps(body))

    def set_alarm(self, due_at: datetime) -> str:
        """Take an alarm, and lose two of three if `alarms` says so; a second one for the same minute is the same."""
        minute = alarm.minute_for(due_at)
        if self.alarms == "lost" and next(self._lots) % 3:
            return alarm.name_of(minute)
        if minute not in self._minutes:
            self._minutes.add(minute)
            self.put(minute, "alarm", minute)
        return alarm.name_of(minute)

    def forget(self) -> None:
        """Lose all wake-ups and alarms."""
        self._heap.clear()
        self._minutes.clear()

    def waiting(self) -> list[str]:
        """What is to happen: the queues' names, and "alarm"."""
        return [kind for _, _, kind, _ in self._heap]

    def _publish(self, request: dict[str, Any]) -> None:
        now, events = self.time.time, settings().events_queue
        both = [envelope(kind, request, now) for kind in ("Send", "Delivery")]
        match self.events:
            case "on time":
                for second, body in enumerate(both, 1):
                    self.put(now + timedelta(seconds=second), events, body)
            case "late":
                for minute, body in enumerate(both, 10):
                    self.put(now + timedelta(minutes=minute), events, body)
            case "out of order":
                self.put(now, events, both[1])
                self.put(now + timedelta(minutes=3), events, both[0])
            case "doubled":
                for second, body in enumerate(both * 2, 1):
                    self.put(now + timedelta(seconds=second), events, body)
            case "before the settling":
                self._record(both)

    def _record(self, bodies: list[str]) -> None:
        with database.scope() as session:
            feedback.record(session, feedback.understand(bodies))

    def run(self, hours: float = 6) -> None:
        """Let everything happen for so long; functions that are killed leave their message to be seen again."""
        end = self.time.time + timedelta(hours=hours)
        while self._heap and self._heap[0][0] <= end:
            at, _, kind, body = heapq.heappop(self._heap)
            self.time.time = max(self.time.time, at)
            if kind == settings().events_queue:
                body = [body, *self._more_events(at + timedelta(seconds=1))]
            try:
                self._invoke(kind, body)
            except Killed:
                self.kills += 1
                if self.wakeups != "lost":
                    for one in body if kind == settings().events_queue else [body]:
                        self.put(self.time.time + self.redelivery, kind, one)
        self.time.time = max(self.time.time, end)

    def _invoke(self, kind: str, body: Any) -> None:
        config = settings()
        self.invoked[kind] += 1
        if kind == "alarm":
            self._minutes.discard(body)
            due.run_due()
        elif kind == "daily round":
            due.tidy()
        elif kind == config.jobs_queue:
            jobs.run(json.loads(body)["job"])
        elif kind == config.outbox_queue:
            self.serve(json.loads(body)["lane"])
        else:
            self._record(body)

    def _more_events(self, until: datetime) -> list[str]:
        """Take what waits in the events queue, as a batch."""
        found: list[str] = []
        while self._heap and len(found) < 99 and self._heap[0][2] == settings().events_queue:
            if self._heap[0][0] > until:
                break
            found.append(heapq.heappop(self._heap)[3])
        return found

    def serve(self, lane: str = MAIL) -> int:
        """Run the sender once, at the cloud's time."""
        sleep = lambda rest: self.time.advance(seconds=rest)  # noqa: E731
        return self.sender(lane, Mailer(self.ses), seconds=self.seconds, sleep=sleep).run()


def states(run_id: int) -> Counter[str]:
    """How many messages of the run are in each state."""
    with database.scope() as session:
        found = session.query(Message.state).filter(Message.run_id == run_id)
        return Counter(state for (state,) in found)


def run_state(run_id: int) -> str:
    """The run's state."""
    with database.scope() as session:
        return session.get_one(Run, run_id).state
