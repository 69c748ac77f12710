"""Classes of 1,000 learners whose messages go out while things go wrong, and a judge who asks the mail service."""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from chalicelib import database, errors, functions
from chalicelib.actions.models import Action
from chalicelib.delivery import service as runs
from chalicelib.delivery.models import PUSH, Message, Run
from chalicelib.delivery.push import service as pushing
from chalicelib.delivery.push.pusher import Parcel, Pusher, Reply
from chalicelib.delivery.push.sender import PushSender
from chalicelib.delivery.reporting import service as reporting
from chalicelib.delivery.reporting.forms import ReportOrder
from chalicelib.delivery.throttle import MAX_MESSAGES
from chalicelib.delivery.worker import RESERVE_SECONDS
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Clock, signed_in
from tests.delivery.cloud import Cloud, FakeSes, Killed, run_state, states
from tests.delivery.conftest import Course
from tests.faults import steps
from tests.handlers import Context, batch

LEARNERS = 1000
#: With this set to "all" every fault meets every kind of run in every way that news can travel; it takes minutes.
IS_ALL = os.environ.get("ONTASK_FAULTS") == "all"
#: A worker that hangs comes to itself after its lease, and before its function's time is over.
STALL_SECONDS = 100
#: The page is looked at after every so many faults.
LOOK_EVERY = 1 if IS_ALL else 12


class Host(Pusher):
    """The other system: keeps the keys of what it got. `answer` may raise instead of accepting."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[str] = []
        self.answer: Callable[[Parcel], None] = lambda _parcel: None

    def push(self, parcel: Parcel) -> Reply:
        """Take an object."""
        self.answer(parcel)
        self.got.append(parcel.headers["Idempotency-Key"])
        return Reply(200, "ok")


@dataclass
class Sheet:
    """What the page of a run says."""

    state: str
    text: str
    numbers: dict[str, int]

    def __getitem__(self, name: str) -> int:
        return self.numbers.get(name, 0)

    @property
    def total(self) -> int:
        """All learners, each counted once."""
        alone = ("Queued", "Sent", "failed", "in doubt", "left out", "cancelled")
        return sum(self[name] for name in alone)


@dataclass
class Storm:
    """`kill`, `drop` or `stall` at the first time of every step; `left` is how often it may still strike."""

    cloud: Weather
    fault: str
    hit: dict[str, str] = field(default_factory=dict)
    left: int = 10**6
    is_over: bool = False

    def note(self, name: str, kind: str, connection: Any) -> None:
        """Do it, if this step was not hit before."""
        if self.is_over or name in self.hit or self.left <= 0 or name.startswith(","):  # the last is the test itself
            return
        if self.fault == "drop" and kind not in {steps.STATEMENT, steps.COMMIT, steps.COMMITTED}:
            return
        self.hit[name] = kind
        self.left -= 1
        getattr(self, self.fault)(kind, connection)

    def kill(self, _kind: str, _connection: Any) -> None:
        """The worker is gone."""
        raise Killed

    def drop(self, kind: str, connection: Any) -> None:
        """The connection to the database is gone; after the commit the answer alone was lost."""
        if kind == steps.COMMITTED:
            raise ConnectionResetError
        connection._usock.shutdown(socket.SHUT_RDWR)

    def stall(self, kind: str, _connection: Any) -> None:
        """The worker hangs, longer than its lease; where it holds no locks everybody else goes on."""
        self.cloud.time.advance(seconds=STALL_SECONDS)
        if kind not in {steps.STATEMENT, steps.COMMIT} and "alarm" not in kind:
            with self.cloud.calm():
                self.cloud.seconds, before = RESERVE_SECONDS + 0.05, self.cloud.seconds
                self.cloud.run(hours=0)
                self.cloud.seconds = before


class Weather(Cloud):
    """The small cloud; what fails for want of a database comes again, as a function that was killed does."""

    def __init__(self, time: Clock, ses: FakeSes) -> None:
        super().__init__(time, ses)
        self.host = Host()
        self.storm: Storm | None = None
        self.after_kill: Callable[[], None] = lambda: None

    def _invoke(self, kind: str, body: Any) -> None:
        try:
            super()._invoke(kind, body)
        except (errors.Unavailable, Killed):
            assert self.storm is not None
            assert self.storm.hit
            self.after_kill()
            raise Killed from None

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Let nothing go wrong meanwhile."""
        storm = self.storm or Storm(self, "")
        storm.is_over, before = True, storm.is_over
        try:
            yield
        finally:
            storm.is_over = before

    def _record(self, bodies: list[str]) -> None:
        if functions.record_events(batch(*bodies), Context())["batchItemFailures"]:
            raise errors.Lost(is_undone=False)

    def _publish(self, request: dict[str, Any]) -> None:
        with self.calm():
            super()._publish(request)

    def serve(self, lane: str = "ses") -> int:
        """Run the worker of the lane once."""
        if not lane.startswith(PUSH):
            return super().serve(lane)
        sleep = lambda rest: self.time.advance(seconds=rest)  # noqa: E731
        return PushSender(lane, self.host, seconds=PushSender.slowest + 2, sleep=sleep).run()


class Scene:
    """A course with one message of a kind, its cloud, and a person who looks at the page."""

    def __init__(self, course: Course, cloud: Weather, kind: str) -> None:
        self.course, self.cloud, self.kind = course, cloud, kind
        self.run_id = 0
        self.looks = 0

    def browser(self) -> Browser:
        """Sign in: hours go by between two looks."""
        with database.scope() as session:
            return signed_in(session, self.course.user)

    @property
    def path(self) -> str:
        """Where the run's page is."""
        return f"/workflows/{self.course.workflow.id}/runs/{self.run_id}"

    def confirm(self, token: str) -> None:
        """Confirm a run by the form with the token."""
        token = f"{token} of {self.course.action.id}"
        with database.scope() as session:
            workflow = session.get_one(Workflow, self.course.workflow.id)
            action = session.get_one(Action, self.course.action.id)
            about = (session, self.course.user.id, workflow, action)
            if "json" in self.kind:
                run = pushing.confirm(*about, pushing.PushOrder(token="s3cret-token", form_token=token))
            elif self.kind == "email_report":
                run = reporting.confirm(*about, ReportOrder(to=("dean@uni.example",), subject="Marks", token=token))
            else:
                run = runs.confirm(*about, self.course.order(token=token))
            self.run_id = run.id

    def press(self, step: str) -> None:
        """Press a button of the page."""
        with self.cloud.calm():
            answer = self.browser().post(f"{self.path}/{step}")
        assert answer.status == 303, answer.body[:2000]

    def sheet(self) -> Sheet:
        """Read the page."""
        with self.cloud.calm():
            page = self.browser().get(f"{self.path}/live", htmx=True)
        assert page.status == 200, page.body[:2000]
        state = re.search(r'<h1>.*?<span class="pill[^>]*>([^<]+)<', page.body)
        assert state
        found = re.findall(r"<span>(Queued|Sent|Delivered)</span> <strong>([\d,]+)<", page.body)
        odd = re.findall(r"<strong>([\d,]+)</strong> (bounced|failed|in doubt|left out|cancelled)<", page.body)
        numbers = {name: int(count.replace(",", "")) for name, count in found + [pair[::-1] for pair in odd]}
        text = " ".join(re.sub(r"<svg.*?</svg>|<[^>]*>", " ", page.body, flags=re.S).split())
        return Sheet(state[1], text, numbers)

    def accepted(self) -> Counter[str]:
        """How often each learner's message was truly taken, by address or row."""
        if self.kind != "personalised_json":
            return self.cloud.ses.mails()
        with database.scope() as session:
            keys = {str(one.id): one.row_id for one in session.query(Message).filter_by(run_id=self.run_id)}
        return Counter(f"s{keys[key]}@uni.example" for key in self.cloud.host.got if key in keys)

    def learners_in(self, *wanted: str) -> set[str]:
        """The learners whose messages are in one of these states."""
        with database.scope() as session:
            found = session.query(Message.row_id).filter(Message.run_id == self.run_id, Message.state.in_(wanted))
            return {f"s{row_id}@uni.example" for (row_id,) in found}

    def look(self) -> None:
        """Compare the page, in the middle of it all, with what was truly taken."""
        self.looks += 1
        if self.looks % LOOK_EVERY:
            return
        with database.scope() as session:
            if session.get_one(Run, self.run_id).planned_at is None:
                return
        sheet, taken = self.sheet(), self.accepted()
        assert sheet.total == LEARNERS, sheet
        assert not self.learners_in("held", "queued", "waiting", "failed", "cancelled") & taken.keys()
        assert sheet["Sent"] <= len(taken) <= LEARNERS - sheet["failed"] - sheet["cancelled"]

    def judge(self, kills: int, *, has_events: bool) -> None:
        """Judge by what was truly taken, and compare the page with it."""
        taken, sheet = self.accepted(), self.sheet()
        everybody = {f"s{n}@uni.example" for n in range(1, LEARNERS + 1)}
        assert set(taken.values()) == {1}, [pair for pair in taken.items() if pair[1] > 1]
        unknown = self.learners_in("unknown")
        said = "Finished with errors" if unknown else "Finished"
        assert (run_state(self.run_id), sheet.state, sheet.total) == ("done", said, LEARNERS)
        if has_events:
            assert taken.keys() == everybody
            assert states(self.run_id) == {"delivered": LEARNERS}
            assert (sheet["Sent"], sheet["Delivered"], sheet["in doubt"]) == (LEARNERS, LEARNERS, 0)
            return
        assert everybody - taken.keys() <= unknown
        assert len(unknown) <= MAX_MESSAGES * kills
        assert (sheet["Sent"], sheet["in doubt"]) == (LEARNERS - len(unknown), len(unknown))
        assert not unknown or "in doubt: the connection broke" in sheet.text
