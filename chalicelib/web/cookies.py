"""Build Set-Cookie headers. Never from raw input: Chalice does not check list values for line breaks."""

from __future__ import annotations

from datetime import timedelta
from http.cookies import SimpleCookie

from chalicelib import signing
from chalicelib.settings import settings
from chalicelib.web.urls import prefix

SESSION = "ontask_session"
VISITOR = "ontask_visitor"
FLASH = "ontask_flash"
#: A session begun by an LMS; it is kept in the frames of that LMS, too.
LAUNCH = "ontask_launch"
#: A session begun by a personal link; sent back to that address only.
LINK = "ontask_link"
#: The cookie may outlive the row: the row decides.
SESSION_LIFETIME = timedelta(days=30)
OF_SESSIONS = (SESSION, LAUNCH, LINK)


def build(
    name: str, value: str, lifetime: timedelta | None = None, *, path: str = "/", is_partitioned: bool = False
) -> str:
    """Return a Set-Cookie value: HttpOnly, SameSite=Lax, for this site only; no lifetime = until the browser ends.

    `is_partitioned`: it is kept inside frames of another site, apart from the cookies of windows and of other sites
    (CHIPS); browsers take such cookies from secure addresses only.
    """
    cookie: SimpleCookie = SimpleCookie()
    cookie[name] = value
    morsel = cookie[name]
    morsel["path"] = prefix() + path
    morsel["httponly"] = True
    morsel["samesite"] = "None" if is_partitioned else "Lax"
    if settings().secure_cookies or is_partitioned:
        morsel["secure"] = True
    if lifetime is not None:
        morsel["max-age"] = int(lifetime.total_seconds())
    # http.cookies knows this attribute from Python 3.14 on only.
    return morsel.OutputString() + ("; Partitioned" if is_partitioned else "")


def of_session(name: str, session_id: str, lifetime: timedelta | None = None, *, path: str = "/") -> str:
    """Return the Set-Cookie value that keeps a session in the browser; the row of the session decides how long."""
    token = signing.sign("session", {"sid": session_id}, SESSION_LIFETIME)
    return build(name, token, lifetime, path=path, is_partitioned=name == LAUNCH)


def remove(name: str, *, path: str = "/", is_partitioned: bool = False) -> str:
    """Return a Set-Cookie value that removes the cookie."""
    return build(name, "", timedelta(0), path=path, is_partitioned=is_partitioned)
