"""Several workers and the recorder of events at once, in threads of their own: nobody gets two mails, nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib import clock, database
from chalicelib.aws.mailer import Mailer
from chalicelib.delivery import feedback
from chalicelib.delivery.models import MAIL, Lane, Run
from chalicelib.delivery.send import Sender
from chalicelib.delivery.worker import RESERVE_SECONDS
from tests.delivery.cloud import Cloud, FakeSes, envelope, states
from tests.delivery.conftest import MakeCourse

pytestmark = pytest.mark.faults


def together(*works: Callable[[], Any]) -> list[Exception]:
    """Run all at once; return what went wrong."""
    problems: list[Exception] = []

    def guarded(work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


def test_workers_share_a_lane_while_events_come_in(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    ses.rate = 5000.0
    cloud.events = "absent"
    course = make_course(300)
    runs = [course.confirm(subject=f"Part {part}") for part in (1, 2)]
    lock, bodies = threading.Lock(), []

    def note(request: dict[str, Any]) -> None:
        with lock:
            bodies.extend(envelope(kind, request, clock.now()) for kind in ("Delivery", "Send", "Delivery"))

    ses.on_accept = note
    finished = threading.Event()

    def work() -> None:
        Sender(MAIL, Mailer(ses), seconds=RESERVE_SECONDS + 60, sleep=lambda _seconds: None).run()

    def record() -> None:
        while not finished.is_set() or bodies:
            with lock:
                batch, bodies[:] = bodies[:50], bodies[50:]
            with database.scope() as session:
                feedback.record(session, feedback.understand(batch))

    cloud.run(hours=10 / 3600)  # planned; the first worker is woken at the end of the undo window
    with database.scope() as session:
        for run in runs:
            assert session.get_one(Run, run.id).planned == 300
    clock.use(None)
    with database.scope() as session:
        session.query(Run).update({Run.release_at: clock.now()})
        session.query(Lane).update({Lane.next_slot: clock.now(), Lane.rate: 5000.0, Lane.pace: 5000.0})
    recorder = threading.Thread(target=record)
    recorder.start()
    problems = together(work, work, work)
    finished.set()
    recorder.join()
    assert not problems
    assert set(ses.mails().values()) == {2}
    for run in runs:
        assert states(run.id) == {"delivered": 300}


def test_a_form_that_is_sent_twice_at_once_is_one_run(make_course: MakeCourse, cloud: Cloud) -> None:
    course = make_course(3)
    runs: list[int] = []
    problems = together(*[lambda: runs.append(course.confirm(token="one form").id)] * 4)
    assert not problems
    assert len(runs) == 4
    assert len(set(runs)) == 1
