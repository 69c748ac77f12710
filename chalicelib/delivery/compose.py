"""The MIME text of a mail (RFC 5322, RFC 2045). Built with email.mime: EmailMessage takes five times as long."""

from __future__ import annotations

from dataclasses import dataclass
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formataddr, formatdate

from chalicelib import clock
from chalicelib.aws.mailer import Envelope
from chalicelib.delivery import links
from chalicelib.delivery.models import Run
from chalicelib.delivery.render import Rendered
from chalicelib.settings import settings

#: Our own header, for people who look for one mail in a mailbox or a log.
MESSAGE_HEADER = "X-OnTask-Message"

_PAGE = (
    '<!DOCTYPE html><html><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"></head><body>{}</body></html>'
)


@dataclass(frozen=True)
class Letter:
    """A mail ready to be handed over."""

    envelope: Envelope
    raw: bytes


@dataclass(frozen=True)
class Head:
    """What all mails of a run have in common."""

    from_name: str = ""
    reply_to: str = ""
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    track_opens: bool = False
    track_clicks: bool = False

    @classmethod
    def of(cls, run: Run) -> Head:
        """Return a run's."""
        return cls(
            run.from_name, run.reply_to, tuple(run.cc), tuple(run.bcc), run.track_opens, run.track_clicks
        )  # fmt: skip


def compose(head: Head, mail: Rendered, recipient: str, message_id: int | None) -> Letter:
    """Return the mail of one message; without an id (a test, a probe) nothing is tracked and there is no way out.

    In safe mode it goes to the one safe address, without copies.
    """
    config = settings()
    safe = config.safe_mode_address
    body = mail.html
    if message_id is not None and head.track_clicks:
        body = links.with_tracked_links(body, message_id)
    if message_id is not None and head.track_opens:
        body = links.with_pixel(body, message_id)
    mime = MIMEMultipart("alternative")
    mime["From"] = formataddr((head.from_name, config.mail_from))
    mime["To"] = safe or recipient
    if head.cc and not safe:
        mime["Cc"] = ", ".join(head.cc)
    if head.reply_to:
        mime["Reply-To"] = head.reply_to
    mime["Subject"] = mail.subject if mail.subject.isascii() else Header(mail.subject, "utf-8").encode()
    mime["Date"] = formatdate(clock.now().timestamp())
    if safe:
        mime["X-OnTask-Original-To"] = recipient
    if message_id is not None:
        mime[MESSAGE_HEADER] = str(message_id)
        # RFC 8058 §3.1: with this pair the mail program's own button works.
        mime["List-Unsubscribe"] = f"<{links.unsubscribe_url(message_id)}>"
        mime["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mime.attach(MIMEText(mail.text, "plain", "utf-8"))
    mime.attach(MIMEText(_PAGE.format(body), "html", "utf-8"))
    copies = ((), ()) if safe else (head.cc, head.bcc)
    return Letter(Envelope(str(mime["From"]), safe or recipient, *copies), mime.as_bytes())
