"""Signed values: session cookies, flash messages, links. HMAC-SHA-256 with the installation's key."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

from chalicelib import clock
from chalicelib.settings import secret_key


def sign(purpose: str, claims: dict[str, Any], lifetime: timedelta) -> str:
    """Return a JWT (RFC 7519) good for `lifetime` and for `purpose` only."""
    import jwt

    expires = int((clock.now() + lifetime).timestamp())
    return jwt.encode({**claims, "aud": purpose, "exp": expires}, secret_key(), algorithm="HS256")


def read(purpose: str, token: str) -> dict[str, Any] | None:
    """Return the claims of a token made for `purpose`; None when it is altered, foreign or expired."""
    import jwt

    try:
        # The expiry is compared with our clock, not the library's, so that tests can set the time.
        claims: dict[str, Any] = jwt.decode(
            token, secret_key(), algorithms=["HS256"], audience=purpose, options={"verify_exp": False}
        )
    except jwt.InvalidTokenError:
        return None
    return claims if claims.get("exp", 0) > clock.now().timestamp() else None


def digest(purpose: str, value: str, length: int = 32) -> str:
    """Return `length` characters of the keyed hash of `value`, fit for a URL."""
    mac = hmac.new(secret_key(), f"{purpose}\0{value}".encode(), hashlib.sha256).digest()
    return urlsafe_b64encode(mac).decode().rstrip("=")[:length]


def matches(purpose: str, value: str, given: str, length: int = 32) -> bool:
    """Tell, in constant time, whether `given` is the `digest` of `value`."""
    return hmac.compare_digest(digest(purpose, value, length).encode(), given.encode())
