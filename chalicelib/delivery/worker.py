"""A worker of a lane: reserve slots, claim that many messages, hand them over at their moments, settle. Till done.

A worker may die anywhere. Before the claim is committed nothing has happened; after it the messages of one slice (ten
at most) are in doubt until an event, or the lack of events, settles them (see doubt). Each slice is settled by the
transaction that claims the next one. How a message is written and handed over is its channel's: `send`, `push.sender`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from chalicelib import clock, database, errors, logs, metrics
from chalicelib.aws.mailer import Closed, MailError, NotSent, Refused
from chalicelib.delivery import lanes, outbox, plan, throttle, wakeups
from chalicelib.delivery.models import Run
from chalicelib.delivery.notices import service as notices
from chalicelib.delivery.outbox import Claimed, Outcome
from chalicelib.logs import logger

#: How long a worker may hand over what it claimed; what it has not come to by then goes back to the queue.
LEASE = timedelta(seconds=60)
#: Kept free at the end of the function's time for one slow call, settling and the next wake-up.
RESERVE_SECONDS = 15.0
#: The other side can't be reached: try again after this.
UNREACHABLE_SECONDS = 15.0
#: Wake-ups come in whole seconds, so a worker may be so much too early.
EARLY_SECONDS = 1.0
#: How often a worker looks for runs that have ended while others go on.
FINISH_EVERY = timedelta(seconds=1)
#: A worker reserves no more than it can hand over in so long, or its last slots would be lost.
REACH_SECONDS = 0.8
#: When the lane stands idle for more than this part of the time, its workers are too slow, and one more is called.
IDLE_SHARE = 0.02


#: What is handed over, such as a mail.
Letter = TypeVar("Letter")
Write = Callable[[Claimed], Letter]


@dataclass(frozen=True)
class Writing(Generic[Letter]):
    """How the messages of one run are written, made once per batch; or why none can be written."""

    write: Write[Letter] | None
    correlation_id: str
    problem: str = ""


@dataclass(frozen=True)
class Accepted:
    """What the other side said when it took a message."""

    ses_id: str = ""
    answer: str = ""


@dataclass(frozen=True)
class _Unwritten:
    """Why a message can't be written."""

    reason: str


@dataclass
class Slice:
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
class Stint:
    """How a worker fares from one reservation to the next: messages it handed over, seconds it rested for slots."""

    began: datetime
    messages: int = 0
    rested: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return (clock.now() - self.began).total_seconds()

    def reach(self) -> int:
        """Return how many messages may be reserved next."""
        if not self.messages:
            return 2 * throttle.MAX_MESSAGES
        busy = self.seconds - self.rested
        if busy * throttle.MAX_RESERVED <= self.messages * REACH_SECONDS:
            return throttle.MAX_RESERVED
        return max(throttle.MAX_MESSAGES, int(self.messages / busy * REACH_SECONDS))


@dataclass
class Trouble:
    """Why the batch stopped early: all is refused, or no more can be taken now, nor before `rest_seconds` are over."""

    closed: Closed | None = None
    wait_seconds: float | None = None
    too_fast: bool = False
    rest_seconds: float = 0


class Worker(ABC, Generic[Letter]):
    """One invocation: serves a lane for `seconds`, then wakes its successor.

    Time and rest are given (`sleep`), so that tests need not wait. `slowest` is how long handing over may take, and
    settling after it.
    """

    slowest = RESERVE_SECONDS
    #: What its messages are called in the log.
    noun = "message"
    #: By which the events of its messages are known; "" when there are none.
    configuration_set = ""
    #: What each outcome counts as.
    counted: Mapping[str, metrics.Metric]

    def __init__(
        self, lane: str, *, seconds: float = 60.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:  # fmt: skip
        self.lane = lane
        self.end = clock.now() + timedelta(seconds=seconds - self.slowest)
        self.sleep = sleep
        self._written: dict[int, Writing[Letter]] = {}
        self._looked_at = clock.now()
        self._grant: throttle.Grant | None = None
        self._stint = Stint(clock.now())
        self._has_helper = False
        self._unsettled: Slice | None = None
        self.trouble = Trouble()
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
            if self.trouble.closed or self.trouble.wait_seconds is not None:
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
        self.prepare()
        reason, following = self._release()
        if following is not None and 0 < (rest := (following - clock.now()).total_seconds()) <= EARLY_SECONDS:
            self.sleep(rest)
            reason, _ = self._release()
        return not reason

    def _release(self) -> tuple[str, datetime | None]:
        """Start what may start; return why the lane is closed, and when there is more to start."""
        with database.scope(statement_timeout_seconds=plan.TIMEOUT_SECONDS) as session:
            reason = lanes.closed_reason(session, self.lane)
            plan.release(session, self.lane, reason)
            outbox.wake_waiting(session, self.lane)
            return reason, plan.next_release(session, self.lane)

    def prepare(self) -> None:
        """Do what is to be done before the lane is looked at."""

    @abstractmethod
    def writing(self, run: Run) -> Writing[Letter]:
        """Return how the run's messages are written."""

    @abstractmethod
    def hand_over(self, letter: Letter, message: Claimed) -> Accepted:
        """Hand a message over, once.

        Raises MailError for anything but that it was taken.
        """

    def reserve(self) -> throttle.Grant | None:
        """Reserve slots for the next messages; None when there are none, or the lane has to wait."""
        with self._transaction() as session:
            costs = outbox.next_costs(session, self.lane)
            if not costs or clock.now() - self._looked_at > FINISH_EVERY:
                if outbox.finish(session, self.lane):
                    notices.ask(session)
                self._looked_at = clock.now()
            if not costs:
                if (pause_ends := outbox.next_retry(session, self.lane)) is not None:
                    lanes.wait(session, self.lane, (pause_ends - clock.now()).total_seconds())
                return None
            result = throttle.reserve(session, self.lane, costs[: self._stint.reach()])
            if isinstance(result, throttle.Wait):
                lanes.wait(session, self.lane, result.seconds or 0)
                return None
            if self._stint.messages and not self._has_helper and result.idle_share > IDLE_SHARE:
                self._has_helper = lanes.call_helper(session, self.lane)
        self._stint = Stint(clock.now())
        return result

    def claim(self, grant: throttle.Grant) -> Slice:
        """Take messages that slots are reserved for, ten at most; committed before any of them is sent."""
        now = clock.now()
        with self._transaction() as session:
            taken = outbox.claim(session, self.lane, grant, now, now + LEASE, self.configuration_set)
            spent = sum(message.cost for message in taken)
            if len(taken) < throttle.MAX_MESSAGES and spent < grant.cost:  # others were quicker: nothing else fits
                rest = grant.after(spent)
                throttle.give_back(session, self.lane, grant.cost - spent, rest)
                grant = replace(grant, messages=len(taken), cost=spent)
            self._grant = grant if taken else None
            for run_id in {message.run_id for message in taken} - self._written.keys():
                self._written[run_id] = self.writing(session.get_one(Run, run_id))
        return Slice(taken, now)

    def deliver(self, slice_: Slice) -> None:
        """Hand the slice over, each message at its moment; stop at the first trouble that is not one mail's own."""
        pending = list(slice_.messages)
        while pending and self._grant and not self.trouble.closed and self.trouble.wait_seconds is None:
            message = pending[0]
            begin, end = self._grant.window(message.cost)
            if clock.now() > end:  # somebody was slow: these slots are lost, or two workers' could add up
                if not self.again([item.cost for item in pending]):
                    self.trouble.wait_seconds = 0
                continue
            if (rest := (begin - clock.now()).total_seconds()) > 0:
                self.sleep(rest)
                self._stint.rested += rest
            if clock.now() >= slice_.lease_until - timedelta(seconds=self.slowest):
                self.trouble.wait_seconds = 0
                continue
            pending.pop(0)
            self._grant = self._grant.after(message.cost)
            outcome = self._deliver_one(message)
            slice_.outcomes.append(outcome)
            self._told[message.run_id][outcome.kind] += 1
            self._stint.messages += 1
            if outcome.kind == "not_sent":
                slice_.refused_cost += message.cost
        now = clock.now()
        slice_.outcomes += [Outcome(message.id, "not_sent", now) for message in pending]

    def _deliver_one(self, message: Claimed) -> Outcome:
        try:
            letter = self._letter(message)
        except errors.Unavailable:  # what belongs to it can't be read just now
            self.trouble.wait_seconds = UNREACHABLE_SECONDS
            return Outcome(message.id, "not_sent", clock.now())
        if isinstance(letter, _Unwritten):
            return Outcome(message.id, "failed", clock.now(), letter.reason)
        try:
            accepted = self.hand_over(letter, message)
        except MailError as error:
            return self.met(error, message)
        except Exception:  # nobody thought of it, so nobody can say whether it left; its neighbours are well
            logger().exception("%s broke", self.noun, extra={"message_id": message.id})
            return Outcome(message.id, "in_doubt", clock.now())
        return Outcome(message.id, "sent", clock.now(), ses_id=accepted.ses_id, answer=accepted.answer)

    def met(self, error: MailError, message: Claimed) -> Outcome:
        """Return what becomes of a message that was not taken, and note the trouble that is not its own."""
        now = clock.now()
        match error:
            case Refused():
                return Outcome(message.id, "failed", now, error.reason)
            case Closed():
                self.trouble.closed = error
                return Outcome(message.id, "not_sent", now)
            case NotSent():
                self.trouble.too_fast = error.too_fast
                self.trouble.wait_seconds = throttle.BURST.total_seconds() if error.too_fast else UNREACHABLE_SECONDS
                return Outcome(message.id, "not_sent", now)
        about = {"message_id": message.id, logs.KEY: self._written[message.run_id].correlation_id}
        logger().warning("%s in doubt", self.noun, extra={**about, "reason": type(error.__cause__).__name__})
        return Outcome(message.id, "in_doubt", now)

    def _letter(self, message: Claimed) -> Letter | _Unwritten:
        """Return the message, or why it can't be written: that is one message's trouble, not its neighbours'."""
        writing = self._written[message.run_id]
        if writing.write is None:
            return _Unwritten(writing.problem)
        try:
            return writing.write(message)
        except (errors.Invalid, errors.NotFound) as error:
            return _Unwritten(error.message)
        except (ValueError, TypeError, LookupError, ArithmeticError):
            about = {"message_id": message.id, logs.KEY: writing.correlation_id}
            logger().exception("%s not written", self.noun, extra=about)
            return _Unwritten("This message could not be written.")

    def again(self, costs: Sequence[int]) -> bool:
        """Reserve new slots for claimed messages whose own are lost; False when there are none for all of them."""
        with database.scope() as session:
            self._let_go(session)
            result = throttle.reserve(session, self.lane, costs)
            if isinstance(result, throttle.Grant):
                self._grant = result
                return result.messages == len(costs)
        return False

    def settle(self, session: Session, slice_: Slice) -> None:
        """Write down what became of the slice."""
        outbox.settle(session, slice_.outcomes, slice_.claimed_at)
        if slice_.refused_cost:
            throttle.give_back(session, self.lane, slice_.refused_cost)

    def _tell(self) -> None:
        """Count what this worker did, and log it for each run: once, because mails leave faster than lines."""
        counts = sum(self._told.values(), Counter())
        if counts:
            metrics.put({metric: counts[kind] for kind, metric in self.counted.items()}, lane=self.lane)
        for run_id, kinds in self._told.items():
            with logs.follow(self._written[run_id].correlation_id):
                logger().info("%ss handed over", self.noun, extra={"run": run_id, **kinds})

    def _let_go(self, session: Session) -> None:
        if self._grant is not None and self._grant.cost:
            throttle.give_back(session, self.lane, self._grant.cost, self._grant)
        self._grant = None

    def _report(self, session: Session) -> None:
        """Tell the lane what the slice met."""
        trouble = self.trouble
        if trouble.too_fast:
            throttle.slow_down(session, self.lane)
        if trouble.rest_seconds:
            throttle.rest(session, self.lane, trouble.rest_seconds)
        if trouble.closed:
            lanes.close(session, self.lane, trouble.closed.reason, trouble.closed.seconds)
        elif trouble.wait_seconds is not None:
            lanes.wait(session, self.lane, trouble.wait_seconds)
