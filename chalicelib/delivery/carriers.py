"""What hands mails over: SES, or the mail server that the installation's settings name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from chalicelib.aws.mailer import AccountLimits, Envelope, Mailer
from chalicelib.settings import settings


class Carrier(Protocol):
    """Hands mails over, each once, and says what is known afterwards."""

    @property
    def configuration_set(self) -> str:
        """By which the events of its mails are known; "" when there are none."""

    @property
    def limits_age(self) -> timedelta:
        """How old what is known of its limits may be."""

    @property
    def slowest(self) -> float:
        """How many seconds handing a mail over may take."""

    def limits(self) -> AccountLimits:
        """Return what it allows."""

    def send(self, envelope: Envelope, raw: bytes, configuration_set: str, tags: Mapping[str, str]) -> str:
        """Hand a mail over once and return the carrier's name of it, or raise a MailError."""

    def close(self) -> None:
        """Give up what is open."""


def carrier() -> Carrier:
    """Return what carries the installation's mails."""
    if settings().email_host:
        from chalicelib.delivery.smtp import SmtpMailer

        return SmtpMailer()
    return Mailer()
