"""Many runs, several workers, one rate: never more than it allows, hardly less, and a fair part for everybody."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest

from chalicelib import clock, database
from chalicelib.delivery import queries, throttle
from chalicelib.delivery.models import MAIL, Run
from chalicelib.settings import settings
from tests.conftest import NOON, make_user
from tests.delivery.conftest import MakeCourse
from tests.delivery.interleaved import Invocations, Load, Ses, Time, allowed_burst, burst, queue

RATE = 100.0
MESSAGES, WORKERS = 100_000, 5
#: What the work may miss of the rate while it waits.
ENOUGH = 0.97

Sent = list[tuple[datetime, int]]


@pytest.fixture
def time(make_course: MakeCourse) -> Time:
    """A time of the test's own, instead of that which stands still."""
    made = Time(NOON)
    clock.use(made.now, made.sleep)
    return made


@pytest.fixture
def action(make_course: MakeCourse) -> tuple[int, int]:
    """A workflow and an action of it."""
    course = make_course(1)
    return course.workflow.id, course.action.id


def speed(sent: Sent, since: datetime = NOON) -> float:
    """Recipients per second from a moment on until the last but a few."""
    until = sorted(sent)[-20][0]
    return sum(cost for at, cost in sent if since <= at < until) / (until - since).total_seconds()


def reserving(time: Time, lots: random.Random, sent: Sent, *, is_over: Callable[[], bool]) -> None:
    """Reserve and use slots as a worker does whose mails are slow now and then."""
    while not is_over():
        costs = lots.choices([1, 5], [9, 1], k=throttle.MAX_RESERVED)
        with database.scope() as session:
            found = throttle.reserve(session, MAIL, costs)
        if isinstance(found, throttle.Wait):
            time.sleep(found.seconds or 60.0)
            continue
        left: throttle.Grant | None = found
        now = clock.now()
        for cost in costs:
            if left is None:
                break
            now += timedelta(seconds=lots.choice([0.0, 0.001, 0.002, 0.02]))
            begin, end = left.window(cost)
            if now > end:
                with database.scope() as session:
                    throttle.give_back(session, MAIL, left.cost, left)
                break
            now, left = max(now, begin), left.after(cost)
            sent.append((now, cost))
        time.sleep((now - clock.now()).total_seconds())


def test_100_000_messages_never_go_faster_than_the_rate_and_hardly_slower(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate, lots = 200.0, random.Random(7)
    monkeypatch.setenv("MAIL_RATE", str(rate))
    monkeypatch.setenv("MAIL_DAILY_QUOTA", "-1")
    settings.cache_clear()
    sent: Sent = []

    def is_over() -> bool:
        return len(sent) >= MESSAGES

    def sign_in() -> None:
        while not is_over():
            with database.scope() as session:
                found = throttle.reserve(session, MAIL, [1], urgent=True)
            assert isinstance(found, throttle.Grant), "nobody who signs in waits for the lane"
            assert found.seconds_until_first() < 5
            sent.append((found.first, 1))
            time.sleep(lots.uniform(5, 60))

    with database.scope() as session:
        throttle.ensure(session, MAIL)
    for number in range(WORKERS):
        work = partial(reserving, time, random.Random(number), sent, is_over=is_over)
        time.begin(NOON + timedelta(seconds=lots.uniform(0, 1)), work)
    time.begin(NOON + timedelta(seconds=30), sign_in)
    time.run()
    assert len(sent) >= MESSAGES
    assert burst(sent, rate) <= allowed_burst(rate, dearest=5)
    assert speed(sent) >= ENOUGH * rate


def test_twenty_runs_share_the_rate_and_small_ones_end_early(
    action: tuple[int, int], time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.scope() as session:
        ana, ben, cleo = (make_user(session, f"{name}@uni.example").id for name in ("ana", "ben", "cleo"))
    loads = [Load(ana, 1300), *[Load(ana, 40)] * 17, Load(ben, 60, copies=2), Load(cleo, 300)]
    runs = queue(action, loads, NOON)
    ses = Ses(time, random.Random(1), RATE, latency=0.03)
    invocations = Invocations(time, ses)
    monkeypatch.setattr("chalicelib.aws.queue.send", invocations.wake)
    with database.scope() as session:
        throttle.ensure(session, MAIL)
        throttle.set_limits(session, MAIL, rate=RATE, quota=-1, sent_24h=0)
        told = [
            queries.seconds_left(session, session.get_one(Run, run), load.learners)
            for run, load in zip(runs, loads, strict=True)
        ]
    for _ in runs:
        invocations.wake("", {})
    time.run()
    sent = [(at, cost) for at, cost, _ in ses.sent]
    assert len({to for _, _, to in ses.sent}) == len(sent) == sum(load.learners for load in loads)
    assert burst(sent, RATE) <= allowed_burst(RATE, dearest=3)
    assert speed(sent) >= ENOUGH * RATE
    with database.scope() as session:
        seconds = [((run.ended_at or NOON) - NOON).total_seconds() for run in map(partial(session.get_one, Run), runs)]
    for foretold, took in zip(told, seconds, strict=True):
        assert abs(foretold - took) <= 1 + 0.2 * took, "the end that pages tell"
    large, mine, bens, cleos = seconds[0], seconds[1:18], seconds[18], seconds[19]
    assert max(mine) < 0.6 * large, "runs of one person take turns"
    assert bens < 7, "180 recipients, a third of the rate or more"
    assert cleos < min(mine) + 2, "300 learners of one are not behind 17 runs of another"


def test_slow_workers_call_others_until_one_run_goes_as_fast_as_it_may(
    action: tuple[int, int], time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.scope() as session:
        user = make_user(session, "ana@uni.example").id
    queue(action, [Load(user, 1200)], NOON)
    ses = Ses(time, random.Random(2), RATE, latency=0.03)
    invocations = Invocations(time, ses)
    monkeypatch.setattr("chalicelib.aws.queue.send", invocations.wake)
    invocations.wake("", {})
    time.run()
    sent = [(at, cost) for at, cost, _ in ses.sent]
    assert len(sent) == 1200
    assert invocations.most > 2, "one worker alone would send 33 a second"
    assert burst(sent, RATE) <= allowed_burst(RATE)
    assert speed(sent, NOON + timedelta(seconds=6)) >= ENOUGH * RATE
