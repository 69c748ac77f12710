"""Mail through a server of one's own (RFC 5321), for installations whose SES is not there yet.

It says exactly what is known afterwards, as the mailer of SES does: until the text was sent and answered nobody has the
mail. Whoever loses the connection after that can't know, and no event ever comes to tell.
"""

from __future__ import annotations

import secrets as random
import smtplib
import ssl
import time
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parseaddr
from functools import cached_property

from chalicelib import clock, errors
from chalicelib.aws import secrets
from chalicelib.aws.mailer import AccountLimits, Closed, Envelope, InDoubt, MailError, NotSent, Refused
from chalicelib.logs import logger
from chalicelib.settings import settings

#: Mail servers open a connection again and again that nobody used for so long.
IDLE = timedelta(seconds=20)
#: No answer is waited for any longer, so that a mail's end comes within the lease of its worker.
LONGEST_TIMEOUT = 10.0
#: For so long a password that was replaced goes on being used.
SECRET_SECONDS = 300
#: Machines to which a password may go in plain text.
OWN_MACHINE = {"localhost", "127.0.0.1", "::1"}

#: Words by which servers (Postfix, Exim, Exchange) say that it is the sender whom they do not want.
_ABOUT_US = ("relay", "authentication required", "sender address rejected", "send as this sender")
_UNTRUSTED = "The mail server's certificate is not that of EMAIL_HOST, or of an authority that nobody knows."


class Later(MailError):
    """Raised when this very mail was not taken and should be tried later: a mailbox is full, a stranger has to wait."""


class SmtpMailer:
    """One connection to the server, opened at the first mail and used for those that follow."""

    #: No event ever comes of what was sent.
    configuration_set = ""
    #: The limits are settings: reading them costs nothing.
    limits_age = timedelta(0)

    def __init__(self) -> None:
        self._connection: smtplib.SMTP | None = None
        self._used_at = clock.now()

    @cached_property
    def timeout(self) -> float:
        """How many seconds an answer is waited for."""
        return min(LONGEST_TIMEOUT, max(1.0, settings().email_timeout))

    @property
    def slowest(self) -> float:
        """How many seconds a mail may take: to say whose it is, to send the text, to wait for the answer."""
        return 3 * self.timeout

    def limits(self) -> AccountLimits:
        """Return what the installation's settings allow."""
        return AccountLimits(settings().mail_rate, settings().mail_daily_quota, 0)

    def send(self, envelope: Envelope, raw: bytes, configuration_set: str, tags: Mapping[str, str]) -> str:
        """Hand a mail over once and return the Message-ID that it got.

        Raises NotSent, Later, Refused, Closed or InDoubt.
        """
        del configuration_set, tags
        sender = parseaddr(envelope.sender)[1]
        name = f"<{random.token_hex(16)}@{sender.rpartition('@')[2]}>"
        until = time.monotonic() + self.timeout
        connection = self._ready(sender)
        try:
            self._name_recipients(connection, envelope)
            if time.monotonic() > until:
                raise NotSent("The mail server is too slow.")
            code, answer = connection.docmd("DATA")
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise NotSent("The connection to the mail server was lost.") from error
        except MailError:
            self._reset()
            raise
        if code != 354:
            self._reset()
            raise _refused(code, answer)
        code, answer = self._send_text(connection, f"Message-ID: {name}\r\n".encode() + raw)
        self._used_at = clock.now()
        if code != 250:
            self._reset()
            raise _refused(code, answer)
        return name

    def close(self) -> None:
        """Say goodbye; the next mail opens a connection of its own."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.quit()
            except (OSError, smtplib.SMTPException):
                connection.close()

    def _ready(self, sender: str) -> smtplib.SMTP:
        """Return a connection on which the server waits for the recipients of a mail from `sender`.

        One that lay open may be gone by now, or the server has had enough of it: then there is a second try.
        """
        if self._connection is not None and clock.now() - self._used_at < IDLE:
            try:
                code, answer = self._connection.mail(sender)
            except (OSError, smtplib.SMTPException):
                code, answer = 421, b""
            if code == 250:
                return self._connection
            if code != 421:
                self._reset()
                raise _of_sender(code, answer)
        self._drop()
        connection = self._connect()
        try:
            code, answer = connection.mail(sender)
        except (OSError, smtplib.SMTPException) as error:
            connection.close()
            raise NotSent("The connection to the mail server was lost.") from error
        self._connection = connection
        if code != 250:
            self._reset()
            raise _of_sender(code, answer)
        return connection

    def _connect(self) -> smtplib.SMTP:
        config = settings()
        port = config.email_port or (465 if config.email_use_ssl else 587 if config.email_use_tls else 25)
        own_name = config.mail_from.rpartition("@")[2]
        try:
            if config.email_use_ssl:
                connection: smtplib.SMTP = smtplib.SMTP_SSL(
                    config.email_host, port, own_name, timeout=self.timeout, context=ssl.create_default_context()
                )
            else:
                connection = smtplib.SMTP(config.email_host, port, own_name, timeout=self.timeout)
        except smtplib.SMTPResponseException as error:
            raise _greeting(error) from error
        except ssl.SSLCertVerificationError as error:
            raise Closed(_UNTRUSTED) from error
        except (OSError, smtplib.SMTPException) as error:
            raise NotSent("The mail server can't be reached just now.") from error
        try:
            self._introduce(connection)
        except MailError:
            connection.close()
            raise
        except smtplib.SMTPAuthenticationError as error:
            connection.close()
            raise _login(error) from None  # its text repeats what the server said, never the password
        except smtplib.SMTPNotSupportedError as error:
            connection.close()
            raise Closed("The mail server does not offer what this installation needs: " + str(error)) from error
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise Closed(_UNTRUSTED) from error
        except (OSError, smtplib.SMTPException) as error:
            connection.close()
            raise NotSent("The mail server can't be reached just now.") from error
        return connection

    def _introduce(self, connection: smtplib.SMTP) -> None:
        """Agree on encryption and sign in."""
        config = settings()
        is_safe = config.email_use_ssl or config.email_host in OWN_MACHINE
        if config.email_use_tls and not config.email_use_ssl:
            code, answer = connection.starttls(context=ssl.create_default_context())
            if code != 220:
                raise NotSent(_said(code, answer))
            is_safe = True
        if config.email_host_user:
            if not is_safe:
                raise Closed("No password is sent to the mail server without EMAIL_USE_TLS or EMAIL_USE_SSL.")
            connection.login(config.email_host_user, _password())

    def _name_recipients(self, connection: smtplib.SMTP, envelope: Envelope) -> None:
        """Name everybody who gets the mail. It goes to those who are taken when the first ones are.

        Raises Refused or Later when all whom the mail is to are refused.
        """
        to, copies = [envelope.to, *envelope.also], [*envelope.cc, *envelope.bcc]
        answers = {address: connection.rcpt(address) for address in dict.fromkeys([*to, *copies])}
        refused = {address: answer for address, answer in answers.items() if answer[0] not in {250, 251, 252}}
        if all(address in refused for address in to):
            raise _refused(*refused[to[0]])
        if refused:
            logger().warning("a mail server refused some of a mail's recipients", extra={"recipients": len(refused)})

    def _send_text(self, connection: smtplib.SMTP, text: bytes) -> tuple[int, bytes]:
        """Send the text and return the answer.

        Raises InDoubt without one: the server may have all of it.
        """
        # RFC 5321 §4.5.2: a line that begins with a dot gets another one.
        stuffed = text.replace(b"\r\n.", b"\r\n..")
        end = b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
        try:
            connection.send(stuffed + end)
            return connection.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise InDoubt("The connection to the mail server was lost.") from error

    def _reset(self) -> None:
        """Have the server forget the mail it was told of; without its consent use another connection."""
        try:
            if self._connection is not None and self._connection.rset()[0] != 250:
                self._drop()
        except (OSError, smtplib.SMTPException):
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _password() -> str:
    """Return the password of the account with the server.

    Raises NotSent when Secrets Manager can't be reached and was not before.
    """
    name = settings().email_host_secret
    try:
        return secrets.recent(name, SECRET_SECONDS) if name else settings().email_host_password
    except errors.Unavailable as error:
        raise NotSent(error.message) from error


def _said(code: int, answer: bytes) -> str:
    return f"{code} {answer.decode(errors='replace')}".strip()[:500]


def _refused(code: int, answer: bytes) -> MailError:
    """Return what a refusal of a recipient or of the text means."""
    said = _said(code, answer)
    if code == 421:
        return NotSent(said, too_fast=True)
    if code < 500:
        return Later(said)
    if code in {530, 535} or (code in {550, 551, 553, 554} and _is_about_us(said)):
        return Closed(f"The mail server takes no mail from this installation: {said}")
    return Refused(said)


def _is_about_us(said: str) -> bool:
    lower = said.lower()
    return any(word in lower for word in _ABOUT_US)


def _of_sender(code: int, answer: bytes) -> MailError:
    """Return what a refusal of the sender means: it concerns all mail."""
    said = _said(code, answer)
    return NotSent(said, too_fast=True) if code < 500 else Closed(f"The mail server refuses the sender: {said}")


def _greeting(error: smtplib.SMTPResponseException) -> MailError:
    said = _said(error.smtp_code, _bytes(error.smtp_error))
    return NotSent(said) if error.smtp_code < 500 else Closed(f"The mail server takes no mail: {said}")


def _login(error: smtplib.SMTPAuthenticationError) -> MailError:
    said = _said(error.smtp_code, _bytes(error.smtp_error))
    if error.smtp_code < 500:
        return NotSent(said)
    return Closed(f"The mail server does not accept this installation's name and password: {said}")


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
