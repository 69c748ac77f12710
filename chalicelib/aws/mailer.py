"""SES v2: hand one mail over, and say exactly what is known afterwards. Never repeats a call by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from chalicelib import errors
from chalicelib.aws.ses import Ses
from chalicelib.settings import settings

READ_TIMEOUT_SECONDS = 10
#: A daily quota comes back by and by; whether it has is tried once an hour.
QUOTA_SECONDS = 3600.0

_TOO_FAST = {"TooManyRequestsException", "Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown"}
_CLOSED = {
    "AccountSuspendedException": "Amazon SES has suspended this account.",
    "SendingPausedException": "Sending is paused in Amazon SES.",
    "MailFromDomainNotVerifiedException": "The sender's domain is not verified in Amazon SES.",
    "NotFoundException": "The configuration set is missing in Amazon SES.",
    "LimitExceededException": "The daily quota of Amazon SES is used up.",
    "AccessDeniedException": "This installation may not send through Amazon SES.",
    "AccessDenied": "This installation may not send through Amazon SES.",
    "UnrecognizedClientException": "This installation's credentials for Amazon SES are not accepted.",
    "InvalidClientTokenId": "This installation's credentials for Amazon SES are not accepted.",
    "ExpiredTokenException": "This installation's credentials for Amazon SES have expired.",
    "InvalidSignatureException": "This installation's credentials for Amazon SES are not accepted.",
    "SignatureDoesNotMatch": "This installation's credentials for Amazon SES are not accepted.",
}
_QUOTA = "The daily quota of Amazon SES is used up."


class MailError(Exception):
    """The base of what can become of a mail other than being accepted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotSent(MailError):
    """Raised when SES certainly did not take the mail and may do so later; `too_fast` says that it was a 429."""

    def __init__(self, reason: str, *, too_fast: bool = False) -> None:
        super().__init__(reason)
        self.too_fast = too_fast


class Refused(MailError):
    """Raised when SES will never take this very mail."""


class Closed(MailError):
    """Raised when SES takes no mail at all from this account; try again after `seconds`, None: when told to."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


class InDoubt(MailError):
    """Raised when nobody can say whether SES took the mail."""


@dataclass(frozen=True)
class Envelope:
    """Who gets a mail, apart from what stands in its headers; `also` are further recipients beside `to`."""

    sender: str
    to: str
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    also: Sequence[str] = ()


@dataclass(frozen=True)
class AccountLimits:
    """SES's own limits: recipients per second, per 24 hours (below 0: none), and those counted in the last 24."""

    rate: float
    quota: int
    sent_24h: int


class Mailer:
    """SES, or in tests whatever speaks like botocore's client for it."""

    #: Once in so long SES is asked for its own limits.
    limits_age = timedelta(hours=1)
    #: Workers have the time for one slow call anyway.
    slowest = 0.0

    def __init__(self, ses: Any = None) -> None:
        self._ses = ses or _ses()

    @property
    def configuration_set(self) -> str:
        """By which the events of its mails are known."""
        return settings().ses_configuration_set

    def close(self) -> None:
        """Keep the connection: the next invocation finds it open."""

    def send(self, envelope: Envelope, raw: bytes, configuration_set: str, tags: Mapping[str, str]) -> str:
        """Hand a mail over once and return SES's id of it.

        Raises NotSent, Refused, Closed or InDoubt.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        destination: dict[str, Any] = {"ToAddresses": [envelope.to, *envelope.also]}
        if envelope.cc:
            destination["CcAddresses"] = list(envelope.cc)
        if envelope.bcc:
            destination["BccAddresses"] = list(envelope.bcc)
        try:
            answer = self._ses.send_email(
                FromEmailAddress=envelope.sender,
                Destination=destination,
                Content={"Raw": {"Data": raw}},
                ConfigurationSetName=configuration_set,
                EmailTags=[{"Name": name, "Value": value} for name, value in tags.items()],
            )
        except ClientError as error:
            raise _from_answer(error.response) from error
        except BotoCoreError as error:
            raise _from_connection(error) from error
        if "MessageId" not in answer:  # somebody on the way answered in SES's place
            raise InDoubt("The mail service accepted a mail without naming it.")
        return str(answer["MessageId"])

    def limits(self) -> AccountLimits:
        """Return what SES allows this account.

        Raises errors.Unavailable when SES can't be asked.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            quota = self._ses.get_account()["SendQuota"]
        except (BotoCoreError, ClientError) as error:
            raise errors.Unavailable("The mail service can't be reached just now.") from error
        return AccountLimits(quota["MaxSendRate"], int(quota["Max24HourSend"]), int(quota["SentLast24Hours"]))


@cache
def _ses() -> Ses:
    # Kept for the life of the process: the next invocation finds the connection open.
    return Ses(READ_TIMEOUT_SECONDS)


def forget() -> None:
    """Look the endpoint up again at the next mail. For tests and tools."""
    _ses.cache_clear()


def _from_answer(response: Mapping[str, Any]) -> MailError:
    """Classify an error that SES answered (SES API v2, SendEmail, Errors)."""
    code = str(response.get("Error", {}).get("Code", ""))
    message = str(response.get("Error", {}).get("Message", "")) or code
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    lower = message.lower()
    if code == "LimitExceededException" or "daily message quota" in lower or "daily sending quota" in lower:
        return Closed(_QUOTA, QUOTA_SECONDS)
    if code in _TOO_FAST or status == 429:
        return NotSent(message, too_fast=True)
    if code in _CLOSED:
        return Closed(_CLOSED[code])
    if "not verified" in lower:  # the sender, or in the sandbox any recipient
        return Closed("Amazon SES has not verified the sender, or still has this account in its sandbox.")
    if "paused" in lower or "suspended" in lower:
        return Closed(f"Amazon SES refuses all mail: {message}")
    if 400 <= status < 500:
        return Refused(message)
    return InDoubt(message)


def _from_connection(error: Exception) -> MailError:
    """Classify an error of the connection: was it before or after the mail left?"""
    from botocore import exceptions as b

    before = (b.EndpointConnectionError, b.ConnectTimeoutError, b.ProxyConnectionError, b.SSLError)
    if isinstance(error, before):
        return NotSent("The mail service can't be reached just now.")
    if isinstance(error, b.NoCredentialsError | b.PartialCredentialsError | b.CredentialRetrievalError):
        return Closed("This installation has no credentials for Amazon SES.")
    if isinstance(error, b.ParamValidationError):
        return Refused(str(error))
    return InDoubt(str(error))
