"""The send path of one worker against an SES that answers at once, and the claim with a million messages waiting."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from bench import course
from bench.harness import ROOT, Result, at_most, fresh_database, medians, silence, timed

MESSAGES = 2_000
ROUNDS = 5
PER_SECOND = 500.0
SMALL, LARGE = 1_000, 100_000
FEW, MANY = 10_000, 1_000_000
CLAIMS = 60


def measure() -> list[Result]:
    """Return the sender's speed, its cost beside the bare client, and how flat sending and claiming are."""
    with fresh_database() as url, silence(), sink():
        from chalicelib import database
        from chalicelib.aws import client, mailer

        client.forget()
        mailer.forget()
        with database.scope() as session:
            made = course.make(session, MESSAGES)
        rounds = sorted(((seconds_to_send(made), _bare()) for _ in range(ROUNDS)), key=lambda pair: pair[0] / pair[1])
        ours, bare = rounds[ROUNDS // 2]
        speed = MESSAGES / statistics.median(pair[0] for pair in rounds)
        size = _small_and_large()
        _queue(made, MANY)
        flat = _flat(url)
    aim = f"≥ {PER_SECOND:.0f}/s"
    return [
        Result("send, messages a second", round(speed), "/s", PER_SECOND, round(speed / PER_SECOND, 2), aim,
               speed >= PER_SECOND),
        at_most("send 2,000, against the bare client", ours, bare, 1.5),
        size,
        flat,
    ]  # fmt: skip


@contextmanager
def sink() -> Iterator[None]:
    """Have an SES that answers at once."""
    process = subprocess.Popen([sys.executable, "-m", "bench.sink"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    os.environ["AWS_ENDPOINT_URL_SESV2"] = f"http://127.0.0.1:{process.stdout.readline().strip()}"
    try:
        yield
    finally:
        process.kill()
        process.wait()
        del os.environ["AWS_ENDPOINT_URL_SESV2"]


def _ready(made: course.Course) -> int:
    """Plan and release a run of its own."""
    from chalicelib import clock, database
    from chalicelib.delivery import plan
    from chalicelib.delivery.models import MAIL

    with database.scope() as session:
        session.execute(text("TRUNCATE ontask.message CASCADE"))
        session.execute(text("UPDATE ontask.run SET state = 'done'"))
        run_id = course.confirm(session, made)
        plan.plan(session, run_id)
        session.execute(text("UPDATE ontask.run SET release_at = :now WHERE id = :id"),
                        {"now": clock.now() - timedelta(seconds=1), "id": run_id})  # fmt: skip
        session.expire_all()
        plan.release(session, MAIL)
        session.execute(text("ANALYZE ontask.message"))
    return run_id


def _small_and_large() -> Result:
    """Return the seconds a message of a large run, against those of small ones before and after it."""
    from chalicelib import database

    with database.scope(statement_timeout_seconds=600) as session:
        small, large = course.make(session, SMALL), course.make(session, LARGE)
    before = [seconds_to_send(small, SMALL) for _ in range(3)]
    whole = seconds_to_send(large, LARGE)
    after = [seconds_to_send(small, SMALL) for _ in range(3)]
    milliseconds = 1000 * whole / LARGE, 1000 * statistics.median(before + after) / SMALL
    return at_most("send 100k, each, against 1k", *milliseconds, limit=1.25, unit="ms")


def seconds_to_send(made: course.Course, messages: int = MESSAGES) -> float:
    """Return the seconds that one worker takes for a run of its own."""
    import app  # noqa: F401  the mails' links need its routes
    from chalicelib.aws.mailer import Mailer
    from chalicelib.delivery.models import MAIL
    from chalicelib.delivery.send import Sender

    _ready(made)
    sender = Sender(MAIL, Mailer(), seconds=3600)
    sender.open()

    def work() -> None:
        assert sender.run() == messages

    return timed(work)


def ready_mail() -> tuple[str, bytes]:
    """Return the recipient and the bytes of one of the mails."""
    from chalicelib import database
    from chalicelib.delivery.compose import Head, compose
    from chalicelib.delivery.models import Message, Run
    from chalicelib.delivery.render import Renderer

    with database.scope() as session:
        message = session.query(Message).first()
        assert message is not None
        mail = Renderer(session.get_one(Run, message.run_id)).render(message.values, message.flags)
        return message.recipient, compose(Head(), mail, message.recipient, message.id).raw


def _bare() -> float:
    """Return the seconds that boto3 takes for as many mails that lie ready."""
    from chalicelib.aws.client import client
    from chalicelib.settings import settings

    recipient, raw = ready_mail()
    ses = client("sesv2", attempts=1)
    request: dict[str, Any] = {
        "FromEmailAddress": "no-reply@ontask.example", "Destination": {"ToAddresses": [recipient]},
        "Content": {"Raw": {"Data": raw}}, "ConfigurationSetName": settings().ses_configuration_set,
        "EmailTags": [{"Name": "message", "Value": "1"}],
    }  # fmt: skip

    def work() -> None:
        for _ in range(MESSAGES):
            ses.send_email(**request)

    return timed(work)


def _queue(made: course.Course, waiting: int) -> None:
    """Have so many messages wait."""
    from chalicelib import database
    from chalicelib.delivery.models import MAIL

    run_id = _ready(made)
    with database.scope(statement_timeout_seconds=600) as session:
        session.execute(
            text(
                "INSERT INTO ontask.message (run_id, lane, row_id, recipient, values, flags, state, rank) "
                "SELECT :run_id, :lane, 1000000 + n, 's' || n || '@uni.example', '{}', '{}', 'queued', 10 "
                "FROM generate_series(1, :waiting) n"
            ),
            {"run_id": run_id, "lane": MAIL, "waiting": waiting - MESSAGES},
        )
    with database.scope(statement_timeout_seconds=600) as session:
        session.execute(text("ANALYZE ontask.message"))


def _flat(url: str) -> Result:
    """Return what a claim takes in the database at `url`, where many wait, and in turns in one where few do."""
    from chalicelib import database

    with fresh_database("bench_few"):
        with database.scope() as session:
            made = course.make(session, MESSAGES)
        _queue(made, FEW)
        crowded = database.make(url, local=True)

        def many() -> float:
            database.use(crowded)
            try:
                return _claim()
            finally:
                database.use(None)

        figures = medians(many, _claim, CLAIMS)
        crowded.dispose()
    return at_most("claim with 1M messages waiting, against 10k", *figures, 1.5)


def _claim() -> float:
    """Return the seconds of a claim of ten, committed."""
    from chalicelib import clock, database
    from chalicelib.delivery import outbox, throttle
    from chalicelib.delivery.models import MAIL

    grant = throttle.Grant(10, 10, clock.now(), timedelta(0))

    def work() -> None:
        with database.scope() as session:
            taken = outbox.claim(session, MAIL, grant, now := clock.now(), now + timedelta(minutes=2), "ontask")
        assert len(taken) == 10

    return timed(work)
