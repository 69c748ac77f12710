"""Whatever SES or the other system answers, in the middle of 1,000: none lost, none doubled, and the page says why."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from botocore import exceptions as boto

from chalicelib.aws import mailer
from chalicelib.aws.mailer import InDoubt, Refused
from chalicelib.delivery.push.pusher import Later
from tests.delivery.cloud import run_state, states
from tests.delivery.test_trouble import URL, answered
from tests.faults.conftest import MakeScene
from tests.faults.scenes import LEARNERS, Scene

pytestmark = pytest.mark.faults

#: Nobody has it, and it is tried again by itself.
NOT_SENT: list[Exception] = [
    answered("TooManyRequestsException", 429), answered("Throttling", 400, "Maximum sending rate exceeded."),
    boto.EndpointConnectionError(endpoint_url=URL), boto.ConnectTimeoutError(endpoint_url=URL),
    boto.SSLError(endpoint_url=URL, error="handshake"),
]  # fmt: skip
#: Nobody knows: the first time it was not taken, the second time it was.
DOUBTFUL: list[Exception] = [
    answered("InternalServiceError", 500), answered("ServiceUnavailable", 503),
    boto.ReadTimeoutError(endpoint_url=URL), boto.ConnectionClosedError(endpoint_url=URL), RuntimeError("unforeseen"),
]  # fmt: skip
REFUSED: list[Exception] = [answered("MessageRejected", 400, "Virus"), answered("BadRequestException", 400, "Bad")]
#: The whole account is refused.
CLOSED: list[Exception] = [
    *(answered(code, 400) for code in mailer._CLOSED),
    answered("MessageRejected", 400, "Email address is not verified."),
    answered("BadRequest", 400, "Sending is paused for this account."),
    answered("Throttling", 400, "Daily message quota exceeded."), boto.NoCredentialsError(),
]  # fmt: skip
#: Between two of them everything is well for so many mails.
EVERY = 20


def troubled(scene: Scene, taken_first: list[Exception], not_taken: list[Exception]) -> None:
    """Have SES answer so, one after the other: with the first ones it takes the mail all the same."""
    ses, count, first, after = scene.cloud.ses, itertools.count(1), list(taken_first), list(not_taken)

    def answer(request: dict[str, Any]) -> None:
        if next(count) % EVERY or not (first or after):
            return
        if first:
            request["MessageId"] = f"ses-{len(ses.accepted)}"
            ses.accepted.append(request)
            ses.on_accept(request)
            raise first.pop()
        raise after.pop()

    ses.answer = answer


def gone_on(scene: Scene, resumed: Callable[[], None]) -> None:
    """Let hours go by; resume whenever the run was paused because of the account."""
    for _ in range(60):
        scene.cloud.run(hours=0.5)
        if run_state(scene.run_id) == "done":
            return
        sheet = scene.sheet()
        assert sheet.total == LEARNERS
        if sheet.state == "Paused":
            assert "The mail service takes no mail: " in sheet.text
            resumed()
    raise AssertionError("it never ends")


@pytest.mark.parametrize(("kind", "news"), [("personalised_text", "late"), ("rubric_text", "absent")])
def test_every_answer_of_the_mail_service(make_scene: MakeScene, kind: str, news: str) -> None:
    scene, pauses = make_scene(kind), []
    scene.cloud.events = news
    scene.confirm("form")
    closed = CLOSED if news == "late" else CLOSED[:1]
    troubled(scene, DOUBTFUL, NOT_SENT + DOUBTFUL + REFUSED + closed)

    def resume() -> None:
        pauses.append(run_state(scene.run_id))
        scene.press("resume")

    scene.cloud.run(hours=2)
    gone_on(scene, resume)
    assert len(pauses) > len(closed) - 4  # the daily quota is tried again without anybody's help
    assert states(scene.run_id)["failed"] == len(REFUSED)
    assert scene.sheet()["failed"] == len(REFUSED)
    scene.press("retry")
    scene.cloud.run(hours=1)
    scene.judge(0 if news == "late" else 1, has_events=news == "late")
    assert states(scene.run_id)["unknown"] == (0 if news == "late" else 2 * len(DOUBTFUL))


def test_every_answer_of_the_other_system(make_scene: MakeScene) -> None:
    scene, count = make_scene("personalised_json"), itertools.count(1)
    todo: list[Exception] = [
        Later("429 slow", 30, is_host=True, too_fast=True), Later("503 later", is_host=True), Later("500 broken"),
        InDoubt("No answer came."), Refused("400 wrong"), Later("other: It could not be reached.", is_host=True),
    ]  # fmt: skip

    def answer(_parcel: Any) -> None:
        if not next(count) % EVERY and todo:
            raise todo.pop()

    scene.cloud.host.answer = answer
    scene.confirm("form")
    scene.cloud.run(hours=4)
    assert states(scene.run_id) == {"sent": LEARNERS - 2, "unknown": 1, "failed": 1}
    scene.press("retry")
    scene.press("again")
    scene.cloud.run(hours=1)
    assert states(scene.run_id) == {"sent": LEARNERS}
    scene.judge(0, has_events=False)
