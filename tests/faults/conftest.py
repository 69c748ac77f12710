"""The fault tests use delivery's small cloud, and the course whose table is filled through the pages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from chalicelib import clock, database
from chalicelib.actions.reports.models import Attachment
from chalicelib.actions.rubrics.models import Criterion, RubricCell
from chalicelib.aws.mailer import Mailer
from chalicelib.delivery import jobs as delivery_jobs
from chalicelib.settings import settings
from chalicelib.tables.models import Column, View
from chalicelib.workflows.models import Workflow
from local import postgres
from tests.conftest import NOON, Clock
from tests.delivery.cloud import FakeSes
from tests.delivery.conftest import Course, a_course, cloud, make_course, ses
from tests.factories import make_action
from tests.faults.scenes import LEARNERS, Scene, Weather
from tests.tables.conftest import course

__all__ = ["cloud", "course", "make_course", "ses"]

MakeScene = Callable[[str], Scene]
#: The undo window is so long that planning can fail and be repeated.
ENVIRONMENT = {"UNDO_SECONDS": "7200", "PUSH_RATE": "400"}


@dataclass
class Arena:
    """A database, and time, for all scenes of a file: its class is made once, and every scene is a new run for it."""

    clock: Clock
    course: Course


@pytest.fixture(scope="module")
def arena(server: str, template: str, worker_id: str) -> Iterator[Arena]:
    """A course of 1,000 in a database of the file's own."""
    name = f"arena_{worker_id}"
    postgres.create_database(server, name, template=template, replace=True)
    os.environ.update(ENVIRONMENT | {"DATABASE_URL": f"{server}/{name}"})
    settings.cache_clear()
    time = Clock(NOON)
    clock.use(time)
    yield Arena(time, a_course([(f"s{n}", f"s{n}@uni.example", f"Name {n}", n % 2) for n in range(1, LEARNERS + 1)]))
    clock.use(None)
    database.dispose()
    for key in (*ENVIRONMENT, "DATABASE_URL"):
        del os.environ[key]
    settings.cache_clear()
    postgres.drop_database(server, name)


@pytest.fixture
def weather(arena: Arena, ses: FakeSes, monkeypatch: pytest.MonkeyPatch, no_aws: object) -> Weather:
    """The cloud in which things go wrong: what was not brought to its end is brought again at once."""
    ses.rate = 400.0
    made = Weather(arena.clock, ses)
    made.install(monkeypatch)
    made.redelivery = timedelta(seconds=1)
    monkeypatch.setattr(delivery_jobs, "carrier", lambda: Mailer(ses))
    return made


@pytest.fixture
def make_scene(arena: Arena, weather: Weather) -> MakeScene:
    """Makes a message of a kind for the course."""

    def make(kind: str) -> Scene:
        course = arena.course
        with database.scope() as session:
            workflow = session.get_one(Workflow, course.workflow.id)
            words = f"<p>Dear {{{{ @c{course.columns['name']} }}}}, well done.</p>"
            action = make_action(session, workflow, words, f"{kind} {clock.now():%j %H:%M:%S}", kind)
            twin = replace(course, action=action)
            MAKERS.get(kind, lambda *_: None)(session, twin)
        return Scene(twin, weather, kind)

    return make


def rubric(session: Session, course: Course) -> None:
    """Make the message rubric feedback on the mark, of which everybody has 0 or 1."""
    column = session.get_one(Column, course.columns["mark"])
    column.allowed_values = [0, 1]
    course.action.text = "<p>Hello</p><p>{% rubric %}</p>"
    criterion = Criterion(action_id=course.action.id, column_id=column.id, position=1, created_at=clock.now())
    session.add(criterion)
    session.flush()
    for level, says in (("0", "Try harder"), ("1", "Well done")):
        text = f"<p>{says}, {{{{ @c{course.columns['name']} }}}}.</p>"
        session.add(RubricCell(criterion_id=criterion.id, level=level, description="", feedback=text))


def feed(_session: Session, course: Course) -> None:
    """Make it an object for another system."""
    course.action.text = f'{{"name": "{{{{ @c{course.columns["name"]} }}}}"}}'
    course.action.target = {"url": "https://other.example/", "method": "POST", "headers": {}, "is_form": False}


def report(session: Session, course: Course) -> None:
    """Make it a report with a table of all learners, and a file of them."""
    name, mark = course.columns["name"], course.columns["mark"]
    course.action.text = f"<p>{{% table @c{name}, @c{mark} %}}</p>"
    now = clock.now()
    view = View(
        workflow_id=course.workflow.id, name=course.action.name, columns=[name], sort=[], created_at=now, updated_at=now
    )
    session.add(view)
    session.flush()
    session.add(Attachment(action_id=course.action.id, view_id=view.id, format="csv", position=1, created_at=now))


def json_report(session: Session, course: Course) -> None:
    """Make it one object about all learners."""
    feed(session, course)
    course.action.text = f'{{"marks": {{% table @c{course.columns["name"]}, @c{course.columns["mark"]} %}}}}'


MAKERS: dict[str, Callable[[Session, Course], None]] = {
    "rubric_text": rubric, "personalised_json": feed, "email_report": report, "json_report": json_report,
}  # fmt: skip
