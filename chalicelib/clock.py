"""The one source of time and of waiting, so that tests can set both."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


def _system_time() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _system_time
_rest: Callable[[float], None] = time.sleep


def now() -> datetime:
    """Return the current instant, aware, in UTC."""
    return _source()


def sleep(seconds: float) -> None:
    """Do nothing for so long."""
    _rest(seconds)


def use(source: Callable[[], datetime] | None, rest: Callable[[float], None] | None = None) -> None:
    """Take the time from `source` and wait by `rest`; from the system again where they are None."""
    global _source, _rest
    _source, _rest = source or _system_time, rest or time.sleep
