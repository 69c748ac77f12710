"""A lane at full size in a time of its own: 100,000 mails of twenty runs, three people, five workers at once.

What the tests of the rate do with a few thousand; here the workers, their statements and the database do all of it.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime

from bench import course
from bench.harness import Result, fresh_database, silence

RATE, LATENCY = 200.0, 0.02
LARGE, SMALL, RUNS = 95_000, 250, 17
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def measure() -> list[Result]:
    """Return the speed beside the rate, the highest burst, and when the small runs of others end."""
    import app  # noqa: F401  the mails' links need its routes
    from chalicelib import clock, database
    from chalicelib.aws import queue
    from chalicelib.delivery.models import Run
    from tests.delivery import interleaved as lane

    with fresh_database(), silence():
        with database.scope() as session:
            made = course.make(session, 1)
            ana, ben = made.user_id, course.make(session, 2).user_id
        loads = [lane.Load(ana, LARGE), *[lane.Load(ana, SMALL)] * RUNS, lane.Load(ben, 250, copies=2)]
        loads.append(lane.Load(ben, 500))
        runs = lane.queue((made.workflow_id, made.action_id), loads, START)
        time = lane.Time(START)
        ses = lane.Ses(time, random.Random(1), RATE, LATENCY)
        queue.send = lane.Invocations(time, ses).wake
        clock.use(time.now, time.sleep)
        try:
            for _ in runs:
                queue.send("", {})
            time.run()
        finally:
            clock.use(None)
        with database.scope() as session:
            ended = [((session.get_one(Run, run).ended_at or START) - START).total_seconds() for run in runs]
    sent = [(at, cost) for at, cost, _ in ses.sent]
    assert len({to for _, _, to in ses.sent}) == len(sent) == sum(load.learners for load in loads)
    speed = sum(cost for _, cost in sent) / (max(sent)[0] - START).total_seconds()
    burst, allowed = lane.burst(sent, RATE), lane.allowed_burst(RATE, dearest=3)
    last, all_ended = max(ended[1:]), ended[0]
    return [
        Result("lane of 100k mails: recipients a second", round(speed, 1), "/s", RATE, round(speed / RATE, 3),
               "≥ 0.97 ×", speed >= 0.97 * RATE),
        Result("lane of 100k mails: above rate × time", round(burst, 1), "", allowed, round(burst / allowed, 2),
               "≤ 1 ×", burst <= allowed),
        Result("lane of 100k mails: small runs have ended", round(last, 1), "s", round(all_ended, 1),
               round(last / all_ended, 2), "≤ 0.25 ×", last <= 0.25 * all_ended),
    ]  # fmt: skip
