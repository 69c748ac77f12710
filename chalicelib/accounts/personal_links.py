"""Links in mails that open one address for one person, without a password.

    personal_links.address(email, path_for("serving.show", action_id=7))    # for the mail of this person alone

Whoever has the link comes in as that person: it opens that address and what is below it, with the rights of a learner,
until it expires. It may be followed often, because programs that look through mails follow it, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from chalicelib import errors, signing
from chalicelib.web.urls import absolute_url_for

PURPOSE = "personal link"
LIFETIME = timedelta(days=30)


@dataclass(frozen=True)
class Opened:
    """What a link says: who comes, and where to."""

    email: str
    path: str


def address(email: str, path: str, lifetime: timedelta = LIFETIME) -> str:
    """Return the link that opens `path` (below the public address, as `path_for` gives it) for `email`."""
    token = signing.sign(PURPOSE, {"for": email.strip().lower(), "to": path}, lifetime)
    return absolute_url_for("accounts.follow_personal_link", token=token)


def read(token: str) -> Opened:
    """Return what the link says.

    Raises errors.Invalid when it is altered or has expired.
    """
    claims = signing.read(PURPOSE, token)
    if claims is None:
        raise errors.Invalid("This link is too old, or a part of it is missing. Please use the newest mail.")
    return Opened(str(claims["for"]), str(claims["to"]))
