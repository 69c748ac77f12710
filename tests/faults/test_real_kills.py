"""Real processes that send to 1,000 learners die by SIGKILL, at steps drawn by lot: none lost, none doubled."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib import clock, database, functions
from chalicelib.aws import mailer
from chalicelib.delivery import doubt, outbox
from chalicelib.delivery.carriers import carrier
from chalicelib.delivery.models import MAIL, Lane
from chalicelib.delivery.throttle import MAX_MESSAGES
from chalicelib.settings import settings
from local.ses import Outbox, Service
from tests.delivery.cloud import run_state
from tests.faults.conftest import Arena, MakeScene
from tests.faults.mortal import Worker
from tests.faults.scenes import IS_ALL, LEARNERS, Scene
from tests.handlers import Context, batch

pytestmark = pytest.mark.faults

KILLS = 60 if IS_ALL else 6
#: A worker dies at one of its first steps: there are three or four thousand.
EARLY = 250


@pytest.fixture
def post(tmp_path: Path, aws: str, arena: Arena) -> Iterator[tuple[Service, Outbox, list[str]]]:
    """A mail service that other processes reach: what it took, and the news of it."""
    assert aws
    news: list[str] = []
    box = Outbox(tmp_path / "mails.db")
    service = Service(box, lambda body: news.append(json.dumps(body)), settings().events_topic_arn, rate=5000)
    server = service.serve()
    os.environ["AWS_ENDPOINT_URL_SESV2"] = server.url
    mailer.forget()
    yield service, box, news
    server.stop()
    del os.environ["AWS_ENDPOINT_URL_SESV2"]
    mailer.forget()


def test_processes_killed_by_lot_lose_and_double_nothing(
    arena: Arena, make_scene: MakeScene, post: tuple[Service, Outbox, list[str]]
) -> None:
    worker = Worker()
    for has_events in (True, False):
        _send(arena, make_scene("personalised_text"), worker, post, has_events=has_events)
    worker.stop()


def _send(
    arena: Arena, scene: Scene, worker: Worker, post: tuple[Service, Outbox, list[str]], *, has_events: bool
) -> None:
    service, box, news = post
    lots, kills, before = random.Random(731), 0, len(box.mails(limit=10**6))
    scene.confirm("form")
    scene.cloud.run(hours=1.99)
    arena.clock.advance(minutes=2)
    with database.scope() as session:
        session.query(Lane).update({Lane.limits_at: None})
    while run_state(scene.run_id) != "done":
        die_at = lots.randint(1, EARLY) if kills < KILLS else 0
        kills += not worker.survives({"lane": MAIL, "at": clock.now().isoformat()}, die_at=die_at)
        arena.clock.advance(seconds=90)
        assert scene.sheet().total == LEARNERS
        if kills == KILLS:
            arena.clock.advance(minutes=25)
            while service.publish_due():
                pass
            if has_events:
                functions.record_events(batch(*news), Context())
            news.clear()
            doubt.resolve(MAIL, carrier())
            with database.scope() as session:
                outbox.finish(session, MAIL)
    mails = sorted(box.mails(limit=10**6), key=lambda mail: mail.at)[before:]
    taken = Counter(mail.recipients[0] for mail in mails)
    taken.pop(doubt.SIMULATOR, None)
    assert set(taken.values()) == {1}
    assert kills == KILLS
    sheet, unknown = scene.sheet(), scene.learners_in("unknown")
    assert (sheet["Sent"], sheet["in doubt"]) == (LEARNERS - len(unknown), len(unknown))
    assert {f"s{n}@uni.example" for n in range(1, LEARNERS + 1)} - taken.keys() <= unknown
    assert len(unknown) <= (0 if has_events else MAX_MESSAGES * KILLS)
