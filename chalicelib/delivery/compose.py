"""The MIME text of a mail (RFC 5322, RFC 2045 to 2047), put together by hand from parts that never change.

Python's own classes take half a millisecond a mail, as long as handing it to SES; this takes a tenth of that.
"""

from __future__ import annotations

import html
import re
import secrets
from base64 import encodebytes
from collections.abc import Sequence
from dataclasses import dataclass
from email.header import Header
from email.utils import formataddr, formatdate
from functools import cached_property
from urllib.parse import quote

from chalicelib import clock
from chalicelib.aws.mailer import Envelope
from chalicelib.delivery import links
from chalicelib.delivery.models import Run
from chalicelib.delivery.order import EACH
from chalicelib.delivery.render import Rendered
from chalicelib.settings import settings

#: Our own header, for people who look for one mail in a mailbox or a log.
MESSAGE_HEADER = "X-OnTask-Message"
#: From a mail back to the lines in the log that it came from.
CORRELATION_HEADER = "X-OnTask-Correlation"
#: Longer ones are folded (RFC 5322 §2.1.1 asks for lines of at most 78 characters).
MAX_PLAIN_SUBJECT = 65

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
class Attached:
    """A file in a mail."""

    name: str
    content_type: str
    body: bytes

    @cached_property
    def encoded(self) -> bytes:
        """Its bytes as they stand in a mail; the same in all mails of a run."""
        return encodebytes(self.body).replace(b"\n", b"\r\n")


@dataclass(frozen=True)
class Head:
    """What all mails of a run have in common.

    `to` are the recipients when each mail has several; `has_way_out`: recipients may ask for no more mail.
    """

    from_name: str = ""
    reply_to: str = ""
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    track_opens: bool = False
    track_clicks: bool = False
    correlation_id: str = ""
    to: tuple[str, ...] = ()
    has_way_out: bool = True

    @classmethod
    def of(cls, run: Run) -> Head:
        """Return a run's."""
        return cls(
            run.from_name, run.reply_to, *_in_copy(run), run.track_opens, run.track_clicks,
            run.correlation_id, tuple(run.details.get("to", ())), has_way_out=not run.details.get("to"),
        )  # fmt: skip

    @cached_property
    def sender(self) -> str:
        """The From address with the instructor's name."""
        return _sender(self.from_name, settings().mail_from)

    @cached_property
    def lines(self) -> str:
        """The header lines that are the same in every mail of the run."""
        lines = [f"From: {self.sender}"]
        if self.cc and not settings().safe_mode_address:
            lines.append("Cc: " + ",\r\n ".join(self.cc))
        if self.reply_to:
            lines.append(f"Reply-To: {self.reply_to}")
        if self.correlation_id:
            lines.append(f"{CORRELATION_HEADER}: {self.correlation_id}")
        return "\r\n".join([*lines, "MIME-Version: 1.0"])


def _in_copy(run: Run) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return who is in cc and bcc of each mail."""
    return (tuple(run.cc), tuple(run.bcc)) if run.copies == EACH else ((), ())


def _with_notice(mail: Rendered, *, is_counted: bool) -> tuple[str, str]:
    """Return the text in HTML and plain; where something is counted, with the installation's word on privacy."""
    notice = settings().privacy_notice
    if not notice or not is_counted:
        return mail.html, mail.text
    return f"{mail.html}<p><small>{html.escape(notice)}</small></p>", f"{mail.text}\n\n{notice}"


def compose(
    head: Head, mail: Rendered, recipient: str, message_id: int | None, files: Sequence[Attached] = ()
) -> Letter:  # fmt: skip
    """Return the mail of one message; without an id (a test, a probe) nothing is tracked and there is no way out.

    In safe mode it goes to the one safe address, without copies.
    """
    safe = settings().safe_mode_address
    body, plain = _with_notice(mail, is_counted=message_id is not None and (head.track_opens or head.track_clicks))
    if message_id is not None and head.track_clicks:
        body = links.with_tracked_links(body, message_id)
    if message_id is not None and head.track_opens:
        body = links.with_pixel(body, message_id)
    lines = [head.lines, f"To: {safe or ', '.join(head.to) or recipient}", f"Subject: {_subject(mail.subject)}"]
    lines.append(f"Date: {formatdate(clock.now().timestamp())}")
    if safe:
        lines.append(f"X-OnTask-Original-To: {', '.join(head.to) or recipient}")
    if message_id is not None:
        lines.append(f"{MESSAGE_HEADER}: {message_id}")
        if head.has_way_out:
            # RFC 8058 §3.1: with this pair the mail program's own button works.
            lines.append(f"List-Unsubscribe: <{links.unsubscribe_url(message_id)}>")
            lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    # Base64 has no "=_" but at its very end, so the boundary can't occur inside a part.
    boundary = f"=_{secrets.token_hex(8)}"
    outer = f"=_{secrets.token_hex(8)}"
    kind = f'Content-Type: multipart/alternative; boundary="{boundary}"'
    if files:
        lines.append(f'Content-Type: multipart/mixed; boundary="{outer}"')
        kind = f"\r\n--{outer}\r\n{kind}"
    lines.append(kind)
    parts = [
        "\r\n".join(lines).encode(),
        _part(boundary, "plain", plain),
        _part(boundary, "html", _PAGE.format(body)),
        f"\r\n--{boundary}--\r\n".encode(),
    ]
    if files:
        parts += [*(_file(outer, file) for file in files), f"\r\n--{outer}--\r\n".encode()]
    copies = ((), ()) if safe else (head.cc, head.bcc)
    to, *others = [safe] if safe else head.to or [recipient]
    return Letter(Envelope(head.sender, to, *copies, also=others), b"".join(parts))


def _file(boundary: str, file: Attached) -> bytes:
    # RFC 6266 §4.1 and RFC 2231: the starred form carries any character, the plain one is for old mail programs.
    plain = re.sub(r'[^\x20-\x7e]|["\\]', "_", file.name)
    name = quote(file.name, safe="")
    intro = (
        f"\r\n--{boundary}\r\nContent-Type: {file.content_type}\r\nContent-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: attachment; filename=\"{plain}\";\r\n filename*=UTF-8''{name}\r\n\r\n"
    )
    return intro.encode() + file.encoded


def _part(boundary: str, kind: str, text: str) -> bytes:
    intro = (
        f'\r\n\r\n--{boundary}\r\nContent-Type: text/{kind}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return intro.encode() + encodebytes(text.encode()).replace(b"\n", b"\r\n")


def _subject(text: str) -> str:
    """Return a subject as a header has it: folded when it is long, encoded when it is not ASCII (RFC 2047)."""
    if text.isascii() and text.isprintable() and len(text) <= MAX_PLAIN_SUBJECT:
        return text
    return Header(text, "utf-8", header_name="Subject").encode(linesep="\r\n")


def _sender(name: str, address: str) -> str:
    if name.isascii():
        return formataddr((name, address))
    return f"{Header(name, 'utf-8', header_name='From').encode(linesep=chr(13) + chr(10))} <{address}>"
