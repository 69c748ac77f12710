"""Who is asking: the person behind the cookies of a request."""

from __future__ import annotations

from chalicelib import signing
from chalicelib.accounts import proxy, sessions
from chalicelib.web import cookies
from chalicelib.web.request import Request


def recognise(request: Request, *, to_learners: bool, is_needed: bool) -> None:
    """Fill in who is signed in: by the newest session whose rights are enough for a page of this kind.

    A browser may have several: one's own sign-in, a launch of an LMS, a personal link. For pages that ask for more than
    a learner's rights, sessions with a learner's rights do not count. A front end's word goes before all of them.

    Raises errors.Forbidden when it tells nonsense and a signed-in person `is_needed`.
    """
    request.session_ids = [sid for name in cookies.OF_SESSIONS if (sid := session_id_in(request, name))]
    request.session_id = session_id_in(request, cookies.SESSION)
    found = sessions.find(request.session, request.session_ids)
    for user, row in proxy.enforce(request, found, is_needed=is_needed):
        if sessions.opens(row, request.path, to_learners=to_learners):
            sessions.keep_alive(request.session, row)
            request.signed_in, request.visit, request.session_id = user, row, str(row.id)
            request.may_be_framed = to_learners and row.kind == sessions.Kind.LAUNCH
            return


def session_id_in(request: Request, cookie: str) -> str:
    """Return the session that one of the cookies speaks of, alive or not; "" for none."""
    token = request.cookies.get(cookie)
    claims = signing.read("session", token) if token else None
    return str(claims["sid"]) if claims else ""
