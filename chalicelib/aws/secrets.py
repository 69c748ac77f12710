"""Secrets Manager: each secret is read once a process, and again when it has stopped being right."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import cache

from chalicelib import clock, errors
from chalicelib.aws.client import client

_recent: dict[str, tuple[datetime, str]] = {}


@cache
def text(name: str) -> str:
    """Return the value of the secret with this name or ARN.

    Raises errors.Unavailable when Secrets Manager can't be reached.
    """
    return _read(name)


def _read(name: str) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return str(client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])
    except (BotoCoreError, ClientError) as error:
        raise errors.Unavailable("The installation's secrets can't be read just now. Please try again.") from error


def recent(name: str, seconds: int) -> str:
    """Return the value of a secret that may be changed at any time: as it was `seconds` ago, or newer.

    While Secrets Manager can't be reached the older value goes on being used; raises errors.Unavailable without one.
    """
    read_at, known = _recent.get(name, (None, ""))
    if read_at is not None and clock.now() - read_at < timedelta(seconds=seconds):
        return known
    try:
        known = _read(name)
    except errors.Unavailable:
        if read_at is None:
            raise
    _recent[name] = (clock.now(), known)
    return known


def login(name: str) -> tuple[str, str]:
    """Return user name and password of a database secret; raises as `text` does."""
    found = json.loads(text(name))
    return str(found["username"]), str(found["password"])


def forget() -> None:
    """Read every secret again at its next use: one was rotated."""
    text.cache_clear()
    _recent.clear()
