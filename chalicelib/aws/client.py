"""boto3 clients, made at first use and kept for the life of the process."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

# boto3's session is not safe to build clients from in several threads; the local gateway has eight.
_lock = threading.Lock()


@cache
def _client(service: str, attempts: int, read_timeout_seconds: int) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"total_max_attempts": attempts, "mode": "standard"},
        connect_timeout=3,
        read_timeout=read_timeout_seconds,
    )
    if service == "s3":
        # Signed addresses name the bucket's region: what the global endpoint answers is a redirect, and browsers
        # don't follow one when they upload to another origin.
        config = config.merge(
            Config(
                signature_version="s3v4", s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
            )
        )
    return boto3.client(service, config=config)


def client(service: str, *, attempts: int = 3, read_timeout_seconds: int = 10) -> Any:
    """Return the client of `service`; `attempts=1` means that botocore never repeats a call by itself."""
    with _lock:
        return _client(service, attempts, read_timeout_seconds)


def forget() -> None:
    """Drop all clients, so that the next ones see changed endpoint variables. For tests and tools."""
    with _lock:
        _client.cache_clear()
