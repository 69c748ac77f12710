"""Wake-ups and alarms are lost, doubled, late and out of order, and somebody presses buttons in the middle of it."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.delivery import service
from chalicelib.schedules.service import MAX_ATTEMPTS
from tests.delivery.cloud import Killed, run_state, states
from tests.delivery.test_trouble import answered
from tests.faults.conftest import MakeScene
from tests.faults.scenes import LEARNERS, Scene, Storm
from tests.faults.steps import watched

pytestmark = pytest.mark.faults


def dying_once(scene: Scene) -> None:
    """Have a worker die when half of the messages are out, after one was taken."""
    count, ses, host = itertools.count(1), scene.cloud.ses, scene.cloud.host

    def die(request: Any) -> None:
        if next(count) == LEARNERS // 2:
            if scene.kind == "personalised_json":
                host.got.append(request.headers["Idempotency-Key"])
            else:
                request["MessageId"] = "ses-last"
                ses.accepted.append(request)
                ses.on_accept(request)
            raise Killed

    ses.answer = host.answer = die


@pytest.mark.parametrize(
    ("kind", "wakeups", "alarms"),
    [
        ("personalised_text", "lost", "lost"), ("rubric_text", "doubled", "lost"),
        ("personalised_json", "reordered", "lost"),
    ],
)  # fmt: skip
def test_lost_doubled_late_and_reordered_calls_change_nothing(
    make_scene: MakeScene, kind: str, wakeups: str, alarms: str
) -> None:
    scene = make_scene(kind)
    scene.cloud.wakeups, scene.cloud.alarms = wakeups, alarms
    scene.cloud.storm = Storm(scene.cloud, "kill", left=0, hit={"the sender": "half-way"})
    for day in range(1, 5):
        scene.cloud.put(scene.cloud.time.time.replace(hour=3) + timedelta(days=day), "daily round", None)
    dying_once(scene)
    scene.confirm("form")
    scene.cloud.run(hours=5 * 24)
    assert scene.cloud.kills == 1
    scene.judge(1, has_events=kind != "personalised_json")


def test_the_last_worker_is_never_woken_again_and_the_run_ends_all_the_same(make_scene: MakeScene) -> None:
    scene = make_scene("personalised_text")
    scene.cloud.events = "absent"
    scene.confirm("form")
    scene.cloud.run(hours=1.99)
    scene.cloud.seconds = 17.6  # its time is over as the last message is out
    scene.cloud.wakeups = "lost"
    scene.cloud.run(hours=3)
    scene.judge(0, has_events=False)


def test_a_run_whose_planning_dies_again_and_again_is_given_up_and_says_so(
    make_scene: MakeScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PLANNED_AT_ONCE", 0)  # as if they were many more
    scene = make_scene("personalised_text")
    scene.confirm("form")
    scene.cloud.storm = storm = Storm(scene.cloud, "kill")
    with watched(storm.note):
        scene.cloud.run(hours=5)
    assert scene.cloud.kills >= MAX_ATTEMPTS
    sheet = scene.sheet()
    assert sheet.state == "Failed"
    assert "Planning this run failed again and again. Please start a new one." in sheet.text
    assert not scene.accepted()


def test_pause_resume_and_retry_are_safe_while_workers_die(make_scene: MakeScene) -> None:
    scene, count = make_scene("personalised_text"), itertools.count(1)
    scene.cloud.events = "out of order"

    def refuse(_request: Any) -> None:
        if next(count) in {20, 40, 60}:
            raise answered("MessageRejected", 400, "Virus")

    def meddle() -> None:
        if scene.cloud.kills % 6 or run_state(scene.run_id) != "running":
            return
        scene.press("pause")
        sheet = scene.sheet()
        assert (sheet.state, sheet.total) == ("Paused", LEARNERS)
        if sheet["failed"]:
            scene.press("retry")
        scene.press("resume")

    scene.cloud.ses.answer = refuse
    scene.confirm("form")
    scene.cloud.run(hours=1.5)
    scene.cloud.storm = storm = Storm(scene.cloud, "kill")
    scene.cloud.after_kill = meddle
    with watched(storm.note):
        scene.cloud.run(hours=8)
    scene.judge(len(storm.hit), has_events=True)


def test_a_cancelled_run_sends_nothing_more_and_counts_everybody_once(make_scene: MakeScene) -> None:
    scene, taken = make_scene("personalised_text"), []

    def cancel() -> None:
        if not taken and len(scene.accepted()) > 100:
            scene.press("cancel")
            taken.append(scene.accepted())

    scene.confirm("form")
    scene.cloud.run(hours=1.5)
    scene.cloud.storm = storm = Storm(scene.cloud, "kill")
    scene.cloud.after_kill = cancel
    with watched(storm.note):
        scene.cloud.run(hours=8)
    sheet, found = scene.sheet(), states(scene.run_id)
    assert scene.accepted() == taken[0]
    assert set(taken[0].values()) == {1}
    assert (sheet.state, sheet.total, sheet["Queued"]) == ("Cancelled", LEARNERS, 0)
    assert (sheet["Sent"], found["delivered"]) == (len(taken[0]), len(taken[0]))
    assert not scene.learners_in("cancelled", "unknown") & taken[0].keys()
