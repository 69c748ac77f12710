"""A signed-in visitor who asks for pages through API Gateway's events, in this process."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from local.gateway import Gateway


class Visitor:
    """Carries the session's cookie; no cookie is a stranger."""

    def __init__(self, cookie: str = "") -> None:
        import app

        self._gateway = Gateway(app.app)
        self._headers = {"accept": ["*/*"], **({"cookie": [cookie]} if cookie else {})}

    def get(self, path: str) -> bytes:
        """Return the body of the page at `path`."""
        status, _, body = self._gateway.handle("GET", path, self._headers)
        assert status == 200, f"{path} answers {status}"
        return body


def signed_in(session: Any, user_id: int) -> Visitor:
    """Return a visitor who is this user."""
    from chalicelib import signing
    from chalicelib.accounts import sessions
    from chalicelib.accounts.models import User
    from chalicelib.web import cookies

    session_id = sessions.begin(session, session.get_one(User, user_id), "bench")
    return Visitor(f"{cookies.SESSION}={signing.sign('session', {'sid': session_id}, timedelta(hours=1))}")
