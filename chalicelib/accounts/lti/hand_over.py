"""Go on in a window of one's own: from a frame of the LMS, by a token that is good once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from chalicelib import clock, errors, signing
from chalicelib.accounts import once, sessions
from chalicelib.accounts.lti import launches
from chalicelib.web.request import Request

#: The button of a page that stays open in a course; the session that it belongs to must still live.
LIFETIME = timedelta(hours=12)
WORKS_ONCE = "This works once. Please reload the page in your course and try again."


def token(session_id: str, path: str) -> str:
    """Return what opens `path` in another window for the person of this session, once."""
    return signing.sign("hand-over", {"sid": session_id, "to": path, "id": str(uuid4())}, LIFETIME)


def take(request: Request, token: str) -> tuple[str, str]:
    """Open a session like the one that the token speaks of; return its id and the path to go to.

    Raises errors.Invalid when the token is old, was used or its session is over.
    """
    claims = signing.read("hand-over", token)
    if claims is None:
        raise errors.Invalid("This page was open for too long. Please open it again in your course.")
    if not use_up(request, "hand-over", claims):
        raise errors.Invalid(WORKS_ONCE)
    found = sessions.find(request.session, [claims["sid"]])
    if not found:
        raise errors.Invalid("Your visit has ended meanwhile. Please open the page again in your course.")
    user, row = found[0]
    agent = request.headers.get("user-agent", "")
    made = sessions.begin(request.session, user, agent, sessions.Kind.HAND_OVER, is_learner=row.is_learner)
    launches.copy(request.session, str(row.id), made)
    return made, str(claims["to"])


def use_up(request: Request, purpose: str, claims: dict[str, Any]) -> bool:
    """Use up a token; False when it was used before."""
    until = datetime.fromtimestamp(claims["exp"], clock.now().tzinfo)
    return once.use(request.session, purpose, claims["id"], until)
