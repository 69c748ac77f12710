"""The JSON logger: one correlation id from page through queue to mail, no personal data."""

from __future__ import annotations

from functools import cache

from aws_lambda_powertools import Logger


@cache
def logger() -> Logger:
    """Return the process's logger."""
    return Logger(service="ontask")
