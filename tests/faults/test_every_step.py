"""A fault at every step of the way, with 1,000 learners: none lost, none doubled, and the page tells the truth."""

from __future__ import annotations

import itertools

import pytest

from chalicelib import database, errors
from chalicelib.delivery import service
from chalicelib.delivery.models import Run
from tests.delivery.cloud import Killed
from tests.faults.conftest import MakeScene
from tests.faults.scenes import IS_ALL, LEARNERS, Scene, Storm
from tests.faults.steps import watched

pytestmark = pytest.mark.faults

KINDS = ("personalised_text", "rubric_text", "personalised_json")
FAULTS = ("kill", "drop", "stall")
NEWS = ("on time", "late", "out of order", "doubled", "before the settling", "absent")
#: Faults, kinds of run and ways of the news, each with some of the others.
SOME = [
    ("personalised_text", "kill", "on time"), ("personalised_text", "drop", "absent"), ("rubric_text", "kill", "late"),
    ("rubric_text", "stall", "doubled"), ("personalised_json", "kill", "absent"),
]  # fmt: skip
ALL = [one for one in itertools.product(KINDS, FAULTS, NEWS) if one[0] != "personalised_json" or one[2] == "absent"]
#: A job that has died so often is given up at the next death.
LIVES = 4


def confirmed(scene: Scene, storm: Storm, token: str) -> None:
    """Confirm, and press the button again after every death."""
    while True:
        try:
            scene.confirm(token)
        except (Killed, errors.Unavailable):
            assert storm.hit
        else:
            return


def planned(scene: Scene, storm: Storm) -> None:
    """Plan one run after the other until every step of it was hit; the last one goes on."""
    for number in itertools.count():
        before, storm.left = len(storm.hit), 10**6
        confirmed(scene, storm, f"form {number}")
        storm.left = LIVES
        scene.cloud.run(hours=1.5)
        sheet = scene.sheet()
        assert (sheet.state, sheet["Queued"], sheet.total) == ("About to start", LEARNERS, LEARNERS)
        if len(storm.hit) == before:
            return
        scene.press("undo")
        assert scene.sheet()["cancelled"] == LEARNERS


def sent(scene: Scene, storm: Storm) -> int:
    """Have the run sent, with a look at the page after what has died; return how often the fault has struck."""
    storm.left, storm.hit, scene.cloud.after_kill = 10**6, {}, scene.look
    scene.cloud.run(hours=8)
    return len(storm.hit)


@pytest.mark.parametrize("kind", KINDS if IS_ALL else KINDS[:1])
@pytest.mark.parametrize("fault", FAULTS if IS_ALL else FAULTS[:2])
def test_a_fault_at_every_step_of_planning_makes_one_run_with_everybody(
    make_scene: MakeScene, monkeypatch: pytest.MonkeyPatch, kind: str, fault: str
) -> None:
    monkeypatch.setattr(service, "PLANNED_AT_ONCE", 0)  # as if they were many more
    scene = make_scene(kind)
    scene.cloud.storm = storm = Storm(scene.cloud, fault)
    with watched(storm.note):
        planned(scene, storm)
    assert len(storm.hit) > 30
    with database.scope() as session:
        mine = session.query(Run).filter(Run.action_id == scene.course.action.id)
        assert mine.filter(Run.state != "cancelled").count() == 1
    storm.left = 0
    scene.cloud.run(hours=8)
    scene.judge(0, has_events=kind != "personalised_json")


@pytest.mark.parametrize(("kind", "fault", "news"), ALL if IS_ALL else SOME)
def test_a_fault_at_every_step_of_sending_loses_and_doubles_nothing(
    make_scene: MakeScene, kind: str, fault: str, news: str
) -> None:
    scene = make_scene(kind)
    scene.cloud.events = news
    scene.confirm("form")
    scene.cloud.run(hours=1.5)
    scene.cloud.storm = storm = Storm(scene.cloud, fault)
    with watched(storm.note):
        strikes = sent(scene, storm)
    assert strikes > 15
    scene.judge(strikes, has_events=news != "absent")
