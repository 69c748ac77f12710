"""Mails: how a worker of their lane writes them and hands them to SES or a mail server."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from chalicelib import clock, errors, metrics
from chalicelib.aws.mailer import MailError
from chalicelib.delivery import copies, lanes
from chalicelib.delivery.attachments import Common
from chalicelib.delivery.carriers import Carrier
from chalicelib.delivery.compose import Head, Letter, compose
from chalicelib.delivery.models import Run
from chalicelib.delivery.order import ONE
from chalicelib.delivery.outbox import Claimed, Outcome
from chalicelib.delivery.render import Renderer
from chalicelib.delivery.reporting import files as report_files
from chalicelib.delivery.smtp import Later
from chalicelib.delivery.worker import RESERVE_SECONDS, Accepted, Worker, Writing

TAG = "message"
#: A mail that a mail server wanted later is tried so often at most; each pause is twice as long as the one before.
MAX_ATTEMPTS = 8
FIRST_PAUSE, LONGEST_PAUSE = 300.0, 4 * 3600.0


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
        self, lane: str, mailer: Carrier, *, seconds: float = 60.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.slowest = RESERVE_SECONDS + mailer.slowest
        super().__init__(lane, seconds=seconds, sleep=sleep)
        self.mailer = mailer
        self.configuration_set = mailer.configuration_set

    def run(self) -> int:
        """Serve the lane; return how many mails were accepted."""
        try:
            return super().run()
        finally:
            self.mailer.close()

    def prepare(self) -> None:
        """Ask for the limits now and then."""
        lanes.refresh_limits(self.lane, self.mailer)

    def writing(self, run: Run) -> Writing[Letter]:
        """Return how the mails of a run are written."""
        try:
            collected = copies.Collected(run.id) if run.copies == ONE else None
            write = partial(_write, Renderer(run), Head.of(run), run.details, Common(run.attached), collected)
            return Writing(write, run.correlation_id)
        except errors.Invalid as error:
            return Writing(None, run.correlation_id, error.message)

    def hand_over(self, letter: Letter, message: Claimed) -> Accepted:
        """Hand the mail over, once."""
        tags = {TAG: str(message.id)}
        return Accepted(ses_id=self.mailer.send(letter.envelope, letter.raw, self.configuration_set, tags))

    def met(self, error: MailError, message: Claimed) -> Outcome:
        """Return what becomes of a mail that was not taken; one that is wanted later waits without a worker."""
        if not isinstance(error, Later):
            return super().met(error, message)
        now = clock.now()
        if message.attempts >= MAX_ATTEMPTS:
            return Outcome(message.id, "failed", now, f"Tried {MAX_ATTEMPTS} times. {error.reason}")
        pause = min(FIRST_PAUSE * 2 ** (message.attempts - 1), LONGEST_PAUSE)
        return Outcome(message.id, "later", now, answer=error.reason, retry_at=now + timedelta(seconds=pause))


def _write(
    renderer: Renderer, head: Head, details: Mapping[str, Any], common: Common, collected: copies.Collected | None,
    message: Claimed,
) -> Letter:  # fmt: skip
    if collected is not None and copies.is_copy(message):
        return compose(
            copies.head_of(head), collected.mail, message.recipient, message.id, [collected.file, *common.files]
        )
    # Whoever has a personal link comes in as the learner: it goes to nobody else.
    mail = renderer.render(message.values, message.flags, only_for="" if head.cc or head.bcc else message.recipient)
    files = report_files.attached(message.run_id, details) if details.get("files") else []
    return compose(head, mail, message.recipient, message.id, [*files, *common.files])
