"""Recording 100,000 mail events in the batches that the queue gives, and a pixel beside a page without work."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from http.client import HTTPConnection
from typing import Any

from sqlalchemy import text

from bench import course
from bench.harness import Result, fresh_database, silence, timed
from bench.installation import installation

MESSAGES, EVENTS = 40_000, 100_000
#: As `app.record_events` asks for.
BATCH = 1_000
PER_SECOND = 5_000.0
TRIVIAL = "/healthz"
REQUESTS = 200
CLIENTS = (1, 8, 32)
MOST_MS = 3.0


def measure() -> list[Result]:
    """Return how many events a second one worker records, and how much longer a pixel takes than nothing."""
    return [_recording(), *_pixel()]


def _recording() -> Result:
    with fresh_database(), silence():
        from chalicelib import database

        with database.scope(statement_timeout_seconds=600) as session:
            made = course.make(session, MESSAGES)
        ids = _sent(made)
        batches = _batches(ids)
        seconds = timed(lambda: [_record(batch) for batch in batches])
        with database.scope(statement_timeout_seconds=600) as session:
            told = session.execute(
                text("SELECT count(delivered_at), sum(open_count), sum(click_count) FROM ontask.message")
            ).one()
        assert (told[0], told[1], told[2]) == (MESSAGES, 40_000, 20_000), told
    speed = EVENTS / seconds
    return Result(
        "record mail events, a second", round(speed), "/s", PER_SECOND, round(speed / PER_SECOND, 2),
        f"≥ {PER_SECOND:.0f}/s", speed >= PER_SECOND,
    )  # fmt: skip


def _sent(made: course.Course) -> list[int]:
    """Have a run whose mails left an hour ago; return them."""
    from chalicelib import clock, database
    from chalicelib.delivery import plan

    with database.scope(statement_timeout_seconds=600) as session:
        run_id = course.confirm(session, made)
        plan.plan(session, run_id)
        then = clock.now() - timedelta(hours=1)
        session.execute(
            text("UPDATE ontask.message SET state = 'sent', rank = 50, sent_at = :then, claimed_at = :then"),
            {"then": then},
        )
        return list(session.scalars(text("SELECT id FROM ontask.message ORDER BY id")))


def _batches(ids: Sequence[int]) -> list[list[str]]:
    """Return 40,000 deliveries, 40,000 opens and 20,000 clicks, mixed as they come, in batches."""
    from chalicelib import clock

    began = clock.now() - timedelta(minutes=59)
    bodies = []
    for number, message_id in enumerate(ids):
        at = began + timedelta(milliseconds=number)
        bodies += [_delivery(message_id, at), _hit("open", message_id, at + timedelta(minutes=5))]
        if number % 2:
            bodies.append(_hit("click", message_id, at + timedelta(minutes=6), url="https://uni.example/course"))
    assert len(bodies) == EVENTS
    return [bodies[start : start + BATCH] for start in range(0, len(bodies), BATCH)]


def _delivery(message_id: int, at: datetime) -> str:
    from chalicelib.delivery.send import TAG
    from chalicelib.settings import settings

    event = {
        "eventType": "Delivery", "delivery": {"timestamp": at.isoformat()},
        "mail": {"timestamp": at.isoformat(), "tags": {TAG: [str(message_id)]}},
    }  # fmt: skip
    return json.dumps({"TopicArn": settings().events_topic_arn, "Message": json.dumps(event)})


def _hit(kind: str, message_id: int, at: datetime, **more: Any) -> str:
    return json.dumps({"hit": kind, "message": message_id, "at": at.isoformat(), **more})


def _record(bodies: Sequence[str]) -> None:
    from chalicelib import database
    from chalicelib.delivery import feedback

    news = feedback.understand(bodies)
    with database.scope() as session:
        feedback.record(session, news)


def _pixel() -> list[Result]:
    with installation() as served:
        from chalicelib import database
        from chalicelib.delivery import links

        with database.scope() as session:
            message_id = int(session.scalar(text("SELECT min(id) FROM ontask.message")) or 0)
        pixel = f"/o/{links.token('open', message_id)}"
        return [_beside(served.port, pixel, clients) for clients in CLIENTS]


def _beside(port: int, path: str, clients: int) -> Result:
    """Return the 95th of a hundred requests, beside that of a page without work; asked for in turns."""
    pairs = [(_p95(port, path, clients), _p95(port, TRIVIAL, clients)) for _ in range(3)]
    pairs.sort(key=lambda pair: pair[0] - pair[1])
    ours, trivial = pairs[1]
    holds = clients > 1 or ours - trivial <= MOST_MS
    return Result(
        f"pixel, {clients} client{'s' if clients > 1 else ''}: p95", round(ours, 1), "ms", round(trivial, 1),
        round(ours - trivial, 1), f"≤ {MOST_MS:g} ms more" if clients == 1 else "(told)", holds,
    )  # fmt: skip


def _p95(port: int, path: str, clients: int) -> float:
    def ask(_: int) -> list[float]:
        connection = HTTPConnection("127.0.0.1", port)
        times = []
        for _ in range(max(10, REQUESTS // clients)):
            times.append(timed(lambda: _get(connection, path)) * 1000)
        connection.close()
        return times

    with ThreadPoolExecutor(clients) as pool:
        found = [one for times in pool.map(ask, range(clients)) for one in times]
    return statistics.quantiles(found, n=20)[18]


def _get(connection: HTTPConnection, path: str) -> None:
    connection.request("GET", path, headers={"Accept": "*/*", "User-Agent": "Mozilla/5.0 (a mail program)"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
