"""The tokens of our forms: bound to the session, or to the visitor while there is none."""

from __future__ import annotations

from chalicelib import signing
from chalicelib.web import cookies
from chalicelib.web.request import Request

FIELD = "csrf_token"
HEADER = "x-csrf-token"


def secret(request: Request) -> str:
    """Return what the tokens of this visitor are made from; "" for one who has nothing yet."""
    return request.session_id or request.cookies.get(cookies.VISITOR, "")


def hold(request: Request) -> bool:
    """Tell whether the request has the token of a page of ours."""
    given = request.form.get(FIELD) or request.headers.get(HEADER, "")
    # The page may have been opened by another of this browser's sessions: its own sign-in beside a launch.
    known = request.session_ids or [secret(request)]
    return any(signing.matches("csrf", each, given) for each in known if each)
