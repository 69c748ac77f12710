"""Objects of JSON: how a worker of their lane writes them and sends them to the other system."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from sqlalchemy.orm import object_session

from chalicelib import clock, errors, metrics
from chalicelib.actions.targets import Target
from chalicelib.aws.mailer import MailError
from chalicelib.delivery.models import Run
from chalicelib.delivery.outbox import Claimed, Outcome
from chalicelib.delivery.push import tokens
from chalicelib.delivery.push.objects import ObjectRenderer, parcel
from chalicelib.delivery.push.pusher import TIMEOUT_SECONDS, Later, Parcel, Pusher
from chalicelib.delivery.worker import RESERVE_SECONDS, Accepted, Worker, Writing
from chalicelib.settings import settings

#: An object is sent so often at most; after the last time it has failed.
MAX_ATTEMPTS = 6
#: The first pause of an object; each following one is twice as long, and none is longer than the last of these.
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 6 * 3600.0
#: While a host takes nothing at all its lane rests at least so long.
HOST_RESTS = 15.0

LOGGED = "Not sent: this installation is in safe mode, where objects are only kept here."


class PushSender(Worker[Parcel]):
    """A worker of the lane of one host."""

    slowest = RESERVE_SECONDS + TIMEOUT_SECONDS
    noun = "object"
    counted = {
        "sent": metrics.OBJECTS_SENT,
        "failed": metrics.OBJECTS_FAILED,
        "later": metrics.OBJECTS_LATER,
        "in_doubt": metrics.OBJECTS_IN_DOUBT,
    }

    def __init__(
        self, lane: str, pusher: Pusher, *, seconds: float = 120.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(lane, seconds=seconds, sleep=sleep)
        self.pusher = pusher

    def writing(self, run: Run) -> Writing[Parcel]:
        """Return how the objects of a run are written; with the token that the action has now."""
        session = object_session(run)
        assert session is not None, "a run is read in a transaction"
        target = Target.of(run.details["target"])
        try:
            token = tokens.read(session, run.action_id)
            return Writing(partial(_write, ObjectRenderer(run), target, token), run.correlation_id)
        except errors.Invalid as error:
            return Writing(None, run.correlation_id, error.message)

    def hand_over(self, letter: Parcel, message: Claimed) -> Accepted:
        """Send the object, once; in safe mode not at all."""
        del message
        if settings().safe_mode_address:
            return Accepted(answer=LOGGED)
        return Accepted(answer=str(self.pusher.push(letter)))

    def met(self, error: MailError, message: Claimed) -> Outcome:
        """Return what becomes of an object that was not taken; one that is wanted later waits without a worker."""
        if not isinstance(error, Later):
            return super().met(error, message)
        pause = max(error.seconds or 0.0, FIRST_PAUSE * 2 ** (message.attempts - 1))
        pause = min(pause, LONGEST_PAUSE)
        self.trouble.too_fast = error.too_fast
        if error.is_host:
            self.trouble.rest_seconds = max(HOST_RESTS, min(error.seconds or 0.0, LONGEST_PAUSE))
            self.trouble.wait_seconds = self.trouble.rest_seconds
        now = clock.now()
        if message.attempts >= MAX_ATTEMPTS:
            return Outcome(message.id, "failed", now, f"Tried {MAX_ATTEMPTS} times. {error.reason}")
        return Outcome(
            message.id, "later", now, answer=error.reason, retry_at=now + timedelta(seconds=pause)
        )  # fmt: skip


def _write(renderer: ObjectRenderer, target: Target, token: str, message: Claimed) -> Parcel:
    return parcel(target, token, renderer.render(message.values, message.flags), str(message.id))
