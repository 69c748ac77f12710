"""Through which door a change came in: known at the edge, noted with every event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PAGE, API, WORKER = "page", "API", "worker"
SCHEDULER, LINK = "scheduler", "learner link"

_origin: ContextVar[str] = ContextVar("origin", default=WORKER)


def current() -> str:
    """Return the door of what is being done; what comes through none of the others is done by a worker."""
    return _origin.get()


@contextmanager
def through(door: str) -> Iterator[None]:
    """Have events that are recorded inside carry this door."""
    token = _origin.set(door)
    try:
        yield
    finally:
        _origin.reset(token)
