"""From which network address a visitor comes, with CloudFront in front of the API."""

from __future__ import annotations

import hmac
from typing import Any

from chalicelib import errors
from chalicelib.aws import secrets
from chalicelib.settings import settings

#: By this header the distribution shows who it is; anybody can call the API's own address and claim to be forwarded.
EDGE_HEADER = "x-ontask-edge"


def address(raw: Any) -> str:
    """Return the visitor's address: of whoever called, or whom CloudFront, when it did, has forwarded.

    Both CloudFront and API Gateway add to X-Forwarded-For the address from which they were called.
    """
    caller = str(raw.context.get("identity", {}).get("sourceIp", ""))
    shown, hops = raw.headers.get(EDGE_HEADER), raw.headers.get("x-forwarded-for", "").split(",")
    if not shown or not settings().edge_key_secret or len(hops) < 2:
        return caller
    try:
        key = secrets.text(settings().edge_key_secret)
    except errors.Unavailable:
        return caller
    return hops[-2].strip() if hmac.compare_digest(shown.encode(), key.encode()) else caller
