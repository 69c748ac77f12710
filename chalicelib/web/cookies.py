"""Build Set-Cookie headers. Never from raw input: Chalice does not check list values for line breaks."""

from __future__ import annotations

from datetime import timedelta
from http.cookies import SimpleCookie

from chalicelib.settings import settings
from chalicelib.web.urls import prefix

SESSION = "ontask_session"
VISITOR = "ontask_visitor"
FLASH = "ontask_flash"


def build(name: str, value: str, lifetime: timedelta | None = None) -> str:
    """Return a Set-Cookie value: HttpOnly, SameSite=Lax, for this site only; no lifetime = until the browser ends."""
    cookie: SimpleCookie = SimpleCookie()
    cookie[name] = value
    morsel = cookie[name]
    morsel["path"] = prefix() + "/"
    morsel["httponly"] = True
    morsel["samesite"] = "Lax"
    if settings().secure_cookies:
        morsel["secure"] = True
    if lifetime is not None:
        morsel["max-age"] = int(lifetime.total_seconds())
    return morsel.OutputString()


def remove(name: str) -> str:
    """Return a Set-Cookie value that removes the cookie."""
    return build(name, "", timedelta(0))
