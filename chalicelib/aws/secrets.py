"""Secrets Manager: each secret is read once a process, and again when it has stopped being right."""

from __future__ import annotations

import json
from functools import cache

from chalicelib import errors
from chalicelib.aws.client import client


@cache
def text(name: str) -> str:
    """Return the value of the secret with this name or ARN.

    Raises errors.Unavailable when Secrets Manager can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return str(client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])
    except (BotoCoreError, ClientError) as error:
        raise errors.Unavailable("The installation's secrets can't be read just now. Please try again.") from error


def login(name: str) -> tuple[str, str]:
    """Return user name and password of a database secret; raises as `text` does."""
    found = json.loads(text(name))
    return str(found["username"]), str(found["password"])


def forget() -> None:
    """Read every secret again at its next use: one was rotated."""
    text.cache_clear()
