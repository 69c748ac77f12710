"""The sender: reserve slots, claim that many messages, hand them to SES at their moments, settle. Again, till done.

Four transactions apart, so that a worker may die anywhere: before the claim nothing has happened, after it the
messages of one slice (ten at most) are in doubt until an event, or the lack of events, settles them (see doubt).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib import clock, database, errors
from chalicelib.aws.mailer import Closed, InDoubt, Mailer, NotSent, Refused
from chalicelib.delivery import lanes, outbox, plan, throttle, wakeups
from chalicelib.delivery.compose import Head, Letter, compose
from chalicelib.delivery.models import Run
from chalicelib.delivery.outbox import Claimed, Outcome
from chalicelib.delivery.render import Renderer
from chalicelib.logs import logger
from chalicelib.settings import settings

#: How long a worker may hand over what it claimed: ten calls of ten seconds at the very worst.
LEASE = timedelta(seconds=120)
#: Kept free at the end of the function's time for one slow call, settling and the next wake-up.
RESERVE_SECONDS = 15.0
#: SES can't be reached: try again after this.
UNREACHABLE_SECONDS = 15.0
#: How often a worker looks for runs that have ended while others go on.
FINISH_EVERY = timedelta(seconds=1)

TAG = "message"


@dataclass(frozen=True)
class _Writing:
    """What it takes to write the mails of one run; made once per batch."""

    renderer: Renderer
    head: Head


@dataclass
class _Trouble:
    """Why a slice, and the batch with it, stopped early."""

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

    def run(self) -> int:
        """Serve the lane; return how many messages were accepted."""
        accepted = 0
        if not self.open():
            return 0
        while clock.now() < self.end:
            grant = self.reserve()
            if grant is None:
                return accepted
            claimed_at = clock.now()
            slice_ = self.claim(grant)
            if not slice_:
                continue
            outcomes, trouble = self.deliver(slice_, grant, claimed_at + LEASE)
            self.settle(outcomes, claimed_at, slice_, trouble)
            accepted += sum(outcome.kind == "sent" for outcome in outcomes)
            if trouble.closed or trouble.wait_seconds is not None:
                return accepted
        with database.scope() as session:
            wakeups.wake(session, self.lane)
        return accepted

    def open(self) -> bool:
        """Start runs whose undo window is over; tell whether the lane takes mail."""
        lanes.refresh_limits(self.lane, self.mailer)
        with database.scope(statement_timeout_seconds=plan.TIMEOUT_SECONDS) as session:
            reason = lanes.closed_reason(session, self.lane)
            plan.release(session, self.lane, reason)
        return not reason

    def reserve(self) -> throttle.Grant | None:
        """Reserve slots for the next messages; None when there are none, or the lane has to wait."""
        with database.scope() as session:
            costs = outbox.next_costs(session, self.lane)
            if not costs or clock.now() - self._looked_at > FINISH_EVERY:
                outbox.finish(session, self.lane)
                self._looked_at = clock.now()
            if not costs:
                return None
            result = throttle.reserve(session, self.lane, costs)
            if isinstance(result, throttle.Grant):
                return result
            lanes.wait(session, self.lane, result.seconds or 0)
            return None

    def claim(self, grant: throttle.Grant) -> list[Claimed]:
        """Take the messages the slots are for, in a transaction of their own, committed before any is sent."""
        lease_until = clock.now() + LEASE
        with database.scope() as session:
            taken = outbox.claim(session, self.lane, grant, lease_until, settings().ses_configuration_set)
            for run_id in {message.run_id for message in taken} - self._written.keys():
                run = session.get_one(Run, run_id)
                self._written[run_id] = _Writing(Renderer(run), Head.of(run))
        return taken

    def deliver(
        self, slice_: Sequence[Claimed], grant: throttle.Grant, lease_until: datetime
    ) -> tuple[list[Outcome], _Trouble]:
        """Hand the slice over, each message at its moment; stop at the first trouble that is not one mail's own."""
        outcomes: list[Outcome] = []
        trouble = _Trouble()
        used, pending = 0, list(slice_)
        while pending and not trouble.closed and trouble.wait_seconds is None:
            message = pending[0]
            begin, end = grant.window(used, message.cost)
            if clock.now() > end:  # somebody was slow: these slots are lost, or two workers' could add up
                again = self.again([item.cost for item in pending])
                if again is None:
                    trouble.wait_seconds = 0
                    break
                grant, used = again, 0
                continue
            if (rest := (begin - clock.now()).total_seconds()) > 0:
                self.sleep(rest)
            if clock.now() >= lease_until - timedelta(seconds=RESERVE_SECONDS):
                break
            pending.pop(0)
            used += message.cost
            outcomes.append(self._deliver_one(message, trouble))
        now = clock.now()
        return outcomes + [Outcome(message.id, "not_sent", now) for message in pending], trouble

    def _deliver_one(self, message: Claimed, trouble: _Trouble) -> Outcome:
        try:
            letter = self._letter(message)
        except errors.Invalid as error:
            return Outcome(message.id, "failed", clock.now(), error.message)
        try:
            ses_id = self.hand_over(letter, message)
        except Refused as error:
            return Outcome(message.id, "failed", clock.now(), error.reason)
        except Closed as error:
            trouble.closed = error
            return Outcome(message.id, "not_sent", clock.now())
        except NotSent as error:
            trouble.too_fast = error.too_fast
            trouble.wait_seconds = throttle.BURST.total_seconds() if error.too_fast else UNREACHABLE_SECONDS
            return Outcome(message.id, "not_sent", clock.now())
        except InDoubt as error:
            logger().warning("mail in doubt", extra={"message_id": message.id, "reason": error.reason})
            return Outcome(message.id, "in_doubt", clock.now())
        return Outcome(message.id, "sent", clock.now(), ses_id=ses_id)

    def _letter(self, message: Claimed) -> Letter:
        writing = self._written[message.run_id]
        mail = writing.renderer.render(message.values, message.flags)
        return compose(writing.head, mail, message.recipient, message.id)

    def hand_over(self, letter: Letter, message: Claimed) -> str:
        """Call SES, once; return its id."""
        return self.mailer.send(
            letter.envelope, letter.raw, settings().ses_configuration_set, {TAG: str(message.id)}
        )  # fmt: skip

    def again(self, costs: Sequence[int]) -> throttle.Grant | None:
        """Reserve new slots for claimed messages whose own are lost; None when there are none for all of them."""
        with database.scope() as session:
            result = throttle.reserve(session, self.lane, costs)
            if isinstance(result, throttle.Grant) and result.messages == len(costs):
                return result
            if isinstance(result, throttle.Grant):
                throttle.give_back(session, self.lane, result.cost)
        return None

    def settle(
        self, outcomes: Sequence[Outcome], claimed_at: datetime, slice_: Sequence[Claimed], trouble: _Trouble
    ) -> None:
        """Write down what became of the slice, and what it tells about the lane."""
        unsent = {outcome.id for outcome in outcomes if outcome.kind == "not_sent"}
        with database.scope() as session:
            outbox.settle(session, outcomes, claimed_at)
            if unsent:
                throttle.give_back(session, self.lane, sum(item.cost for item in slice_ if item.id in unsent))
            if trouble.too_fast:
                throttle.slow_down(session, self.lane)
            if trouble.closed:
                lanes.close(session, self.lane, trouble.closed.reason, trouble.closed.seconds)
            elif trouble.wait_seconds is not None:
                lanes.wait(session, self.lane, trouble.wait_seconds)
