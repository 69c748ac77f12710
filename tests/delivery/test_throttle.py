"""How fast a lane goes: never more than rate times time plus a second's burst, with pauses and a daily quota."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chalicelib.delivery.throttle import BURST, Grant, Limits, Pace, Wait, seconds_for, take
from tests.conftest import NOON

SECOND = timedelta(seconds=1)


def lane(rate: float = 10.0, **changes: object) -> Pace:
    made = Pace(rate, rate, NOON, NOON, 0, 50_000, 0)
    return replace(made, **changes)  # type: ignore[arg-type]


class Worker:
    """A sender that is slow now and then: reserves, waits for its slots, sends what is not too late."""

    def __init__(self, lots: random.Random, copies: int) -> None:
        self.lots, self.copies = lots, copies
        self.free_at = NOON

    def step(self, state: Pace, limits: Limits) -> tuple[Pace, list[tuple[datetime, int]]]:
        """Do one slice; return the lane and what was sent when, with its recipients."""
        costs = [self.lots.randint(1, self.copies) for _ in range(self.lots.randint(1, 10))]
        state, result = take(state, self.free_at, costs, limits)
        if isinstance(result, Wait):
            self.free_at += timedelta(seconds=result.seconds or 60)
            return state, []
        sent, left = [], result
        for cost in costs[: result.messages]:
            assert left is not None
            self.free_at += timedelta(seconds=self.lots.choice([0.0, 0.01, 0.1, 0.7, 2.5]))
            begin, end = left.window(cost)
            left = left.after(cost)
            if self.free_at <= end:
                self.free_at = max(self.free_at, begin)
                sent.append((self.free_at, cost))
        return state, sent


def most_in(sent: list[tuple[datetime, int]], span: timedelta) -> int:
    """The most recipients in any stretch of time so long."""
    most = total = first = 0
    for at, cost in sent:
        total += cost
        while sent[first][0] < at - span:
            total -= sent[first][1]
            first += 1
        most = max(most, total)
    return most


@pytest.mark.parametrize("seed", range(12))
def test_any_workers_together_stay_below_rate_times_time_plus_burst(seed: int) -> None:
    lots = random.Random(seed)
    rate = lots.choice([5.0, 14.0, 50.0, 200.0])
    workers = [Worker(lots, copies=lots.choice([1, 3])) for _ in range(lots.randint(1, 8))]
    state, sent = lane(rate), []
    for _ in range(600):
        worker = min(workers, key=lambda one: one.free_at)
        state, slice_ = worker.step(state, Limits())
        sent += slice_
    sent.sort()
    assert len(sent) > 300
    for seconds in (0.2, 1, 2, 5, 30):
        span = timedelta(seconds=seconds)
        assert most_in(sent, span) <= rate * seconds + rate * BURST.total_seconds() + 1


@pytest.mark.parametrize("seed", range(6))
def test_bursts_are_followed_by_pauses(seed: int) -> None:
    lots = random.Random(seed)
    limits = Limits(burst=20, pause=600)
    workers = [Worker(lots, copies=1) for _ in range(3)]
    state, sent = lane(100.0, quota=-1), []
    for _ in range(400):
        worker = min(workers, key=lambda one: one.free_at)
        state, slice_ = worker.step(state, limits)
        sent += slice_
    sent.sort()
    assert most_in(sent, timedelta(seconds=590)) <= limits.burst
    assert len(sent) > 2 * limits.burst


def test_workers_reserve_at_most_two_seconds_ahead() -> None:
    state = lane(rate=5)
    state, first = take(state, NOON, [1] * 10, Limits())
    assert isinstance(first, Grant)
    assert first.messages == 10
    state, second = take(state, NOON, [1] * 10, Limits())
    assert isinstance(second, Grant)
    state, third = take(state, NOON, [1], Limits())
    assert third == Wait(4.0)


def test_a_message_with_many_copies_goes_alone() -> None:
    _, grant = take(lane(rate=5), NOON, [50, 50], Limits())
    assert isinstance(grant, Grant)
    assert (grant.messages, grant.cost) == (1, 50)


def test_an_idle_lane_has_rested_and_begins_a_new_burst() -> None:
    limits = Limits(burst=5, pause=60)
    state, _ = take(lane(), NOON, [1] * 3, limits)
    state, grant = take(state, NOON + 62 * SECOND, [1] * 10, limits)
    assert isinstance(grant, Grant)
    assert grant.messages == 5


def test_nothing_goes_beyond_the_quota_of_a_day() -> None:
    state, grant = take(lane(quota=100, sent_24h=95), NOON, [2, 2], Limits())
    assert isinstance(grant, Grant)
    assert grant.cost == 2
    assert take(state, NOON, [2], Limits())[1] == Wait(None)
    state, last = take(state, NOON, [1, 1], Limits(), urgent=True)  # the last part is kept for urgent mails
    assert isinstance(last, Grant)
    assert last.cost == 2
    assert take(replace(state, sent_24h=100), NOON, [1], Limits(), urgent=True)[1] == Wait(None)
    assert take(lane(quota=-1, sent_24h=10**9), NOON, [2], Limits())[1] != Wait(None)


def test_an_urgent_mail_takes_the_next_slot_where_others_come_back_later() -> None:
    state, _ = take(lane(), NOON, [1] * 20, Limits())
    state, _ = take(state, NOON, [1] * 20, Limits())
    assert take(state, NOON, [1], Limits())[1] == Wait(4.0)
    state, grant = take(state, NOON, [1], Limits(), urgent=True)
    assert isinstance(grant, Grant)
    assert grant.first == NOON + 4 * SECOND
    assert take(state, NOON, [1], Limits())[1] == Wait(4.1)


def test_an_urgent_mail_goes_through_a_pause_and_counts_in_no_burst() -> None:
    limits = Limits(burst=5, pause=3600)
    state, _ = take(lane(), NOON, [1] * 5, limits)
    assert take(state, NOON + SECOND, [1], limits)[1] == Wait(3599.5)
    state, grant = take(state, NOON + SECOND, [1], limits, urgent=True)
    assert isinstance(grant, Grant)
    assert (grant.first, state.burst_used) == (NOON + SECOND, 0)
    state, grant = take(state, NOON + 3601 * SECOND, [1] * 9, limits)
    assert isinstance(grant, Grant)
    assert grant.messages == 5


def test_pace_comes_back_by_and_by() -> None:
    slow = lane(rate=10, pace=5)
    assert slow.speed(NOON) == 5
    assert slow.speed(NOON + 20 * SECOND) == 7
    assert slow.speed(NOON + 900 * SECOND) == 10


def test_the_estimate_knows_pauses_and_quota() -> None:
    assert seconds_for(lane(), NOON, 100, Limits()) == 10
    assert seconds_for(lane(), NOON, 100, Limits(burst=40, pause=60)) == 10 + 2 * 60
    assert seconds_for(lane(quota=100, sent_24h=50), NOON, 60, Limits()) == 6 + 86400
    assert seconds_for(lane(rest_until=NOON + 60 * SECOND), NOON, 10, Limits(burst=40, pause=60)) == 61
    assert seconds_for(lane(), NOON, 0, Limits()) == 0
