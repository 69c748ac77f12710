"""Sign-on by a trusted front end that tells in a header who the visitor is, as `REMOTE_USER` did.

The header is believed with the front end's secret in a second header only; anybody can send the first one.
"""

from __future__ import annotations

import hmac

from chalicelib import errors, metrics
from chalicelib.accounts import service, sessions
from chalicelib.accounts.models import Session, User
from chalicelib.aws import secrets
from chalicelib.logs import logger
from chalicelib.settings import settings
from chalicelib.web import cookies
from chalicelib.web.request import Request

#: For so long a secret that was replaced goes on being used.
SECONDS = 300

Found = list[tuple[User, Session]]


def told(request: Request) -> str:
    """Return the address that the front end tells; "" when it tells none, or it is somebody else who tells it."""
    header = settings().remote_user_header.lower()
    value = request.headers.get(header, "").strip() if header else ""
    if not value:
        return ""
    given, right = request.headers.get(settings().remote_user_proof_header.lower(), ""), secret()
    if not right or not hmac.compare_digest(given.encode(), right.encode()):
        logger().warning("a user's name came without the front end's secret and was ignored")
        metrics.put({metrics.NAMES_WITHOUT_PROOF: 1})
        return ""
    return value


def secret() -> str:
    """Return what the front end proves itself by; "" while it is not set, then nobody is believed.

    Raises errors.Unavailable when Secrets Manager can't be reached and was not before.
    """
    name = settings().remote_user_secret
    return secrets.recent(name, SECONDS) if name else settings().remote_user_proof


def enforce(request: Request, found: Found, *, is_needed: bool) -> Found:
    """Return the sessions that count: only those of whom the front end tells, a new one where there is none.

    A session that the front end began ends with the first request about which it tells nothing, or somebody else.
    Raises errors.Forbidden for what is no address or belongs to a closed account, when a signed-in person `is_needed`.
    """
    value = told(request)
    own = [pair for pair in found if value and pair[0].email == value.lower()]
    for user, row in found:
        if row.kind == sessions.Kind.PROXY and (user, row) not in own:
            sessions.end(request.session, str(row.id))
    if not value:
        return [pair for pair in found if pair[1].kind != sessions.Kind.PROXY]
    return own or _begun(request, value, is_needed=is_needed)


def _begun(request: Request, value: str, *, is_needed: bool) -> Found:
    try:
        user = service.user_for(request.session, service.ProxyProof(value))
    except (errors.Invalid, errors.Forbidden) as error:
        if not is_needed:
            return []
        why = "is no e-mail address" if isinstance(error, errors.Invalid) else "belongs to an account that is closed"
        message = f"Your institution’s sign-on tells OnTask that you are “{value[:100]}”, which {why}."
        raise errors.Forbidden(f"{message} Please tell the people who run it.") from error
    agent = request.headers.get("user-agent", "")
    session_id = sessions.begin(request.session, user, agent, sessions.Kind.PROXY)
    request.session_ids = [session_id]
    request.new_cookies.append(cookies.of_session(cookies.SESSION, session_id))
    return sessions.find(request.session, [session_id])
