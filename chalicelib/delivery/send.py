"""Mails: how a worker of their lane writes them and hands them to SES."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from chalicelib import errors, metrics
from chalicelib.aws.mailer import Mailer
from chalicelib.delivery import lanes
from chalicelib.delivery.compose import Head, Letter, compose
from chalicelib.delivery.models import Run
from chalicelib.delivery.outbox import Claimed
from chalicelib.delivery.render import Renderer
from chalicelib.delivery.reporting import files as report_files
from chalicelib.delivery.worker import Accepted, Worker, Writing
from chalicelib.settings import settings

TAG = "message"


class Sender(Worker[Letter]):
    """A worker of the lane of mails."""

    noun = "mail"
    counted = {
        "sent": metrics.MAILS_SENT,
        "failed": metrics.MAILS_FAILED,
        "not_sent": metrics.MAILS_NOT_TAKEN,
        "in_doubt": metrics.MAILS_IN_DOUBT,
    }

    def __init__(
        self, lane: str, mailer: Mailer, *, seconds: float = 60.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(lane, seconds=seconds, sleep=sleep)
        self.mailer = mailer
        self.configuration_set = settings().ses_configuration_set

    def prepare(self) -> None:
        """Ask SES for its limits now and then."""
        lanes.refresh_limits(self.lane, self.mailer)

    def writing(self, run: Run) -> Writing[Letter]:
        """Return how the mails of a run are written."""
        try:
            return Writing(partial(_write, Renderer(run), Head.of(run), run.details), run.correlation_id)
        except errors.Invalid as error:
            return Writing(None, run.correlation_id, error.message)

    def hand_over(self, letter: Letter, message: Claimed) -> Accepted:
        """Call SES, once."""
        tags = {TAG: str(message.id)}
        return Accepted(ses_id=self.mailer.send(letter.envelope, letter.raw, self.configuration_set, tags))


def _write(renderer: Renderer, head: Head, details: Mapping[str, Any], message: Claimed) -> Letter:
    mail = renderer.render(message.values, message.flags)
    files = report_files.attached(message.run_id, details) if details.get("files") else ()
    return compose(head, mail, message.recipient, message.id, files)
