"""A report about 1,000 learners, as a mail with a file or as JSON: one goes out, whatever step a worker dies at."""

from __future__ import annotations

import pytest

from chalicelib import database
from chalicelib.delivery.models import Message
from tests.delivery.cloud import run_state, states, tags
from tests.faults.conftest import MakeScene
from tests.faults.scenes import IS_ALL, Scene, Storm
from tests.faults.steps import watched
from tests.faults.test_every_step import LIVES, confirmed

pytestmark = pytest.mark.faults

#: In each run planning dies four times, and sending until its one message is in doubt.
RUNS = 100 if IS_ALL else 3


def taken(scene: Scene) -> int:
    """How often the run's one message was truly taken."""
    with database.scope() as session:
        (message,) = session.query(Message).filter_by(run_id=scene.run_id)
        key = str(message.id)
    mails = [request for request in scene.cloud.ses.accepted if tags(request).get("message") == [key]]
    return len(mails) + scene.cloud.host.got.count(key)


@pytest.mark.parametrize("kind", ["email_report", "json_report"])
def test_one_report_goes_out_whatever_step_dies(aws: str, make_scene: MakeScene, kind: str) -> None:
    assert aws
    scene = make_scene(kind)
    scene.cloud.storm = storm = Storm(scene.cloud, "kill")

    def spare() -> None:
        if states(scene.run_id)["sending"]:
            storm.left = 0  # the one message is in doubt now

    scene.cloud.after_kill = spare
    with watched(storm.note):
        for number in range(RUNS):
            before, storm.left = len(storm.hit), 10**6
            confirmed(scene, storm, f"form {number}")
            storm.left = LIVES
            scene.cloud.run(hours=1.5)
            storm.left = 10**6
            scene.cloud.run(hours=4)
            count, found, sheet = taken(scene), states(scene.run_id), scene.sheet()
            assert (run_state(scene.run_id), sheet.total) == ("done", 1)
            if kind == "email_report":
                assert (count, found, sheet["Delivered"]) == (1, {"delivered": 1}, 1)
            else:
                assert found in ({"sent": 1}, {"unknown": 1})
                assert (sheet["Sent"], sheet["in doubt"]) == (found["sent"], found["unknown"])
                assert found["sent"] <= count <= 1
            if len(storm.hit) == before:
                return
    assert not IS_ALL, "there are always more steps"
