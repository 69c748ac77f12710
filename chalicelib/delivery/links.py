"""The signed addresses inside a mail: the pixel, the links, and the way out of further mail."""

from __future__ import annotations

import html
import re
from datetime import timedelta

from chalicelib import signing
from chalicelib.web.urls import absolute_url_for

#: Hits on a mail older than this are not counted any more.
LIFETIME = timedelta(days=365)
MAC_LENGTH = 22

_LINK = re.compile(r"""(<a\b[^>]*?\bhref=)(["'])(https?://[^"'<>\s]+)\2""", re.IGNORECASE)


def token(purpose: str, message_id: int, extra: str = "") -> str:
    """Return a token that names the message and can't be made by anybody else."""
    return f"{message_id}-{signing.digest(purpose, f'{message_id} {extra}', MAC_LENGTH)}"


def message_of(purpose: str, given: str, extra: str = "") -> int | None:
    """Return the message a token names; None when it was altered or made for something else."""
    number, _, mac = given.partition("-")
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        return None
    return int(number) if signing.matches(purpose, f"{int(number)} {extra}", mac, MAC_LENGTH) else None


def unsubscribe_url(message_id: int) -> str:
    """Return where a learner says "no more mail"."""
    return absolute_url_for("delivery.unsubscribe", token=token("unsubscribe", message_id))


def with_pixel(body: str, message_id: int) -> str:
    """Return the HTML with the picture that tells when it is opened."""
    address = absolute_url_for("delivery.open_pixel", token=token("open", message_id))
    return f'{body}<img src="{html.escape(address)}" width="1" height="1" alt="">'


def with_tracked_links(body: str, message_id: int) -> str:
    """Return the HTML with its web links leading through ours."""

    def through_ours(match: re.Match[str]) -> str:
        target = html.unescape(match[3])
        address = absolute_url_for("delivery.follow_link", token=token("click", message_id, target), to=target)
        return f'{match[1]}"{html.escape(address)}"'

    return _LINK.sub(through_ours, body)
