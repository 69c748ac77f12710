"""The sender: reserve slots, claim that many messages, hand them to SES at their moments, settle. Again, till done.

A worker may die anywhere. Before the claim is committed nothing has happened; after it the messages of one slice (ten
at most) are in doubt until an event, or the lack of events, settles them (see doubt). Each slice is settled by the
transaction that claims the next one.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import clock, database, errors, logs, metrics
from chalicelib.aws.mailer import Closed, InDoubt, Mailer, NotSent, Refused
from chalicelib.delivery import lanes, outbox, plan, throttle, wakeups
from chalicelib.delivery.compose import Head, Letter, compose
from chalicelib.delivery.models import Run
from chalicelib.delivery.outbox import Claimed, Outcome
from chalicelib.delivery.render import Renderer
from chalicelib.delivery.reporting import files as report_files
from chalicelib.logs import logger
from chalicelib.settings import settings

#: How long a worker may hand over what it claimed; what it has not come to by then goes back to the queue.
LEASE = timedelta(seconds=60)
#: Kept free at the end of the function's time for one slow call, settling and the next wake-up.
RESERVE_SECONDS = 15.0
#: SES can't be reached: try again after this.
UNREACHABLE_SECONDS = 15.0
#: How often a worker looks for runs that have ended while others go on.
FINISH_EVERY = timedelta(seconds=1)

TAG = "message"

#: What each outcome counts as.
METRICS = {
    "sent": metrics.MAILS_SENT,
    "failed": metrics.MAILS_FAILED,
    "not_sent": metrics.MAILS_NOT_TAKEN,
    "in_doubt": metrics.MAILS_IN_DOUBT,
}


@dataclass(frozen=True)
class _Writing:
    """What it takes to write the mails of one run, made once per batch; or why none can be written."""

    renderer: Renderer | None
    head: Head
    problem: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class _Slice:
    """Claimed messages, and what became of them so far; `refused_cost` counts slots used for nothing."""

    messages: list[Claimed]
    claimed_at: datetime
    outcomes: list[Outcome] = field(default_factory=list)
    refused_cost: int = 0

    @property
    def lease_until(self) -> datetime:
        """When the worker must be through."""
        return self.claimed_at + LEASE


@dataclass
class _Trouble:
    """Why the batch stopped early: the account is refused, or SES can't take more just now."""

    closed: Closed | None = None
    wait_seconds: float | None = None
    too_fast: bool = False


class Sender:
    """One invocation: serves a lane for `seconds`, then wakes its successor.

    Time and rest are given (`sleep`), so that tests need not wait.
    """

    def __init__(
        self, lane: str, mailer: Mailer, *, seconds: float = 60.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.lane = lane
        self.mailer = mailer
        self.end = clock.now() + timedelta(seconds=seconds - RESERVE_SECONDS)
        self.sleep = sleep
        self._written: dict[int, _Writing] = {}
        self._looked_at = clock.now()
        self._grant: throttle.Grant | None = None
        self._unsettled: _Slice | None = None
        self._trouble = _Trouble()
        self._told: defaultdict[int, Counter[str]] = defaultdict(Counter)

    def run(self) -> int:
        """Serve the lane; return how many messages were accepted."""
        try:
            return self._serve()
        finally:
            self._tell()

    def _serve(self) -> int:
        accepted = 0
        if not self.open():
            return 0
        while clock.now() < self.end:
            if self._grant is None:
                self._grant = self.reserve()
                if self._grant is None:
                    return accepted
            slice_ = self.claim(self._grant)
            if not slice_.messages:
                continue
            self._unsettled = slice_
            self.deliver(slice_)
            accepted += sum(outcome.kind == "sent" for outcome in slice_.outcomes)
            if self._trouble.closed or self._trouble.wait_seconds is not None:
                with self._transaction() as session:
                    self._let_go(session)
                    self._report(session)
                return accepted
        with self._transaction() as session:
            self._let_go(session)
            wakeups.wake(session, self.lane)
        return accepted

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        """Open a transaction; it settles the last slice first, so that no slice waits for a commit of its own."""
        with database.scope() as session:
            if self._unsettled is not None:
                self.settle(session, self._unsettled)
            yield session
        self._unsettled = None

    def open(self) -> bool:
        """Start runs whose undo window is over; tell whether the lane takes mail."""
        lanes.refresh_limits(self.lane, self.mailer)
        with database.scope(statement_timeout_seconds=plan.TIMEOUT_SECONDS) as session:
            reason = lanes.closed_reason(session, self.lane)
            plan.release(session, self.lane, reason)
        return not reason

    def reserve(self) -> throttle.Grant | None:
        """Reserve slots for the next messages; None when there are none, or the lane has to wait."""
        with self._transaction() as session:
            costs = outbox.next_costs(session, self.lane)
            if not costs or clock.now() - self._looked_at > FINISH_EVERY:
                outbox.finish(session, self.lane)
                self._looked_at = clock.now()
            if not costs:
                return None
            result = throttle.reserve(session, self.lane, costs)
            if isinstance(result, throttle.Wait):
                lanes.wait(session, self.lane, result.seconds or 0)
                return None
        return result

    def claim(self, grant: throttle.Grant) -> _Slice:
        """Take messages that slots are reserved for, ten at most; committed before any of them is sent."""
        now = clock.now()
        with self._transaction() as session:
            taken = outbox.claim(session, self.lane, grant, now, now + LEASE, settings().ses_configuration_set)
            if len(taken) < min(grant.messages, throttle.MAX_MESSAGES):  # others were quicker: nothing is left
                throttle.give_back(session, self.lane, grant.cost - sum(message.cost for message in taken))
                grant = replace(grant, messages=len(taken), cost=sum(message.cost for message in taken))
            self._grant = grant if taken else None
            for run_id in {message.run_id for message in taken} - self._written.keys():
                self._written[run_id] = _writing(session.get_one(Run, run_id))
        return _Slice(taken, now)

    def deliver(self, slice_: _Slice) -> None:
        """Hand the slice over, each message at its moment; stop at the first trouble that is not one mail's own."""
        pending = list(slice_.messages)
        while pending and self._grant and not self._trouble.closed and self._trouble.wait_seconds is None:
            message = pending[0]
            begin, end = self._grant.window(message.cost)
            if clock.now() > end:  # somebody was slow: these slots are lost, or two workers' could add up
                if not self.again([item.cost for item in pending]):
                    self._trouble.wait_seconds = 0
                continue
            if (rest := (begin - clock.now()).total_seconds()) > 0:
                self.sleep(rest)
            if clock.now() >= slice_.lease_until - timedelta(seconds=RESERVE_SECONDS):
                self._trouble.wait_seconds = 0
                continue
            pending.pop(0)
            self._grant = self._grant.after(message.cost)
            outcome = self._deliver_one(message)
            slice_.outcomes.append(outcome)
            self._told[message.run_id][outcome.kind] += 1
            if outcome.kind == "not_sent":
                slice_.refused_cost += message.cost
        now = clock.now()
        slice_.outcomes += [Outcome(message.id, "not_sent", now) for message in pending]

    def _deliver_one(self, message: Claimed) -> Outcome:
        try:
            letter = self._letter(message)
        except errors.Unavailable:  # its files can't be read just now
            self._trouble.wait_seconds = UNREACHABLE_SECONDS
            return Outcome(message.id, "not_sent", clock.now())
        if isinstance(letter, str):
            return Outcome(message.id, "failed", clock.now(), letter)
        try:
            ses_id = self.hand_over(letter, message)
        except Refused as error:
            return Outcome(message.id, "failed", clock.now(), error.reason)
        except Closed as error:
            self._trouble.closed = error
            return Outcome(message.id, "not_sent", clock.now())
        except NotSent as error:
            self._trouble.too_fast = error.too_fast
            self._trouble.wait_seconds = throttle.BURST.total_seconds() if error.too_fast else UNREACHABLE_SECONDS
            return Outcome(message.id, "not_sent", clock.now())
        except InDoubt as error:
            about = {"message_id": message.id, logs.KEY: self._written[message.run_id].head.correlation_id}
            logger().warning("mail in doubt", extra={**about, "reason": type(error.__cause__).__name__})
            return Outcome(message.id, "in_doubt", clock.now())
        return Outcome(message.id, "sent", clock.now(), ses_id=ses_id)

    def _letter(self, message: Claimed) -> Letter | str:
        """Return the mail, or why it can't be written: that is one message's trouble, not its neighbours'."""
        writing = self._written[message.run_id]
        if writing.renderer is None:
            return writing.problem
        try:
            mail = writing.renderer.render(message.values, message.flags)
            files = report_files.attached(message.run_id, writing.details) if writing.details.get("files") else ()
            return compose(writing.head, mail, message.recipient, message.id, files)
        except (errors.Invalid, errors.NotFound) as error:
            return error.message
        except (ValueError, TypeError, LookupError, ArithmeticError):
            about = {"message_id": message.id, logs.KEY: writing.head.correlation_id}
            logger().exception("mail not written", extra=about)
            return "This mail could not be written."

    def hand_over(self, letter: Letter, message: Claimed) -> str:
        """Call SES, once; return its id."""
        return self.mailer.send(
            letter.envelope, letter.raw, settings().ses_configuration_set, {TAG: str(message.id)}
        )  # fmt: skip

    def again(self, costs: Sequence[int]) -> bool:
        """Reserve new slots for claimed messages whose own are lost; False when there are none for all of them."""
        with database.scope() as session:
            self._let_go(session)
            result = throttle.reserve(session, self.lane, costs)
            if isinstance(result, throttle.Grant):
                self._grant = result
                return result.messages == len(costs)
        return False

    def settle(self, session: Session, slice_: _Slice) -> None:
        """Write down what became of the slice."""
        outbox.settle(session, slice_.outcomes, slice_.claimed_at)
        if slice_.refused_cost:
            throttle.give_back(session, self.lane, slice_.refused_cost)

    def _tell(self) -> None:
        """Count what this worker did, and log it for each run: once, because mails leave faster than lines."""
        counts = sum(self._told.values(), Counter())
        if counts:
            metrics.put({metric: counts[kind] for kind, metric in METRICS.items()}, lane=self.lane)
        for run_id, kinds in self._told.items():
            with logs.follow(self._written[run_id].head.correlation_id):
                logger().info("mails handed over", extra={"run": run_id, **kinds})

    def _let_go(self, session: Session) -> None:
        if self._grant is not None and self._grant.cost:
            throttle.give_back(session, self.lane, self._grant.cost)
        self._grant = None

    def _report(self, session: Session) -> None:
        """Tell the lane what the slice met."""
        trouble = self._trouble
        if trouble.too_fast:
            throttle.slow_down(session, self.lane)
        if trouble.closed:
            lanes.close(session, self.lane, trouble.closed.reason, trouble.closed.seconds)
        elif trouble.wait_seconds is not None:
            lanes.wait(session, self.lane, trouble.wait_seconds)


def _writing(run: Run) -> _Writing:
    try:
        return _Writing(Renderer(run), Head.of(run), details=run.details)
    except errors.Invalid as error:
        return _Writing(None, Head.of(run), error.message)
