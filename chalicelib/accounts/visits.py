"""Where somebody is signed in, for their own page: to see it and to end it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.orm import Session as Transaction

from chalicelib.accounts import sessions
from chalicelib.accounts.models import Session
from chalicelib.accounts.sessions import Kind

#: By the first of these that the browser's own description of itself holds; most of them claim to be others as well.
BROWSERS = (
    ("Edg/", "Edge"), ("EdgA/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "a Mac"),
    ("CrOS", "a Chromebook"), ("Linux", "Linux"),
)  # fmt: skip
WAYS = {
    Kind.SIGN_IN: "by password",
    Kind.LAUNCH: "from your LMS",
    Kind.HAND_OVER: "from your LMS, in a window",
    Kind.LINK: "by a link in a mail",
    Kind.PROXY: "by your institution’s sign-on",
}


@dataclass(frozen=True)
class Visit:
    """A session as the profile shows it."""

    id: str
    browser: str
    way: str
    began_at: datetime
    seen_at: datetime
    is_here: bool


def of_user(session: Transaction, user_id: int, here: str) -> list[Visit]:
    """Return where the user is signed in, this session first, then the one used last."""
    found = [
        Visit(str(row.id), browser(row.agent), WAYS[Kind(row.kind)], row.created_at, row.seen_at, str(row.id) == here)
        for row in sessions.of_user(session, user_id)
    ]
    return sorted(found, key=lambda visit: not visit.is_here)


def end(session: Transaction, user_id: int, session_id: str) -> None:
    """End one session of the user; one that is over, or somebody else's, is left alone."""
    try:
        wanted = UUID(session_id)
    except ValueError:
        return
    session.execute(delete(Session).where(Session.id == wanted, Session.user_id == user_id))


def browser(agent: str) -> str:
    """Say which browser this is, by its own description: `Firefox on Windows`."""
    name = next((word for mark, word in BROWSERS if mark in agent), "A browser")
    system = next((word for mark, word in SYSTEMS if mark in agent), "")
    return f"{name} on {system}" if system else name
