"""Wait for a database that was asleep, where nobody sits in front of a page."""

from __future__ import annotations

from datetime import timedelta

from chalicelib import clock, errors
from chalicelib.database.scope import scope

#: A paused Aurora takes 15 s to wake up, after more than a day 30 s.
PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 3.0


def wait(seconds: float = PATIENCE_SECONDS) -> None:
    """Return once the database answers.

    Raises errors.Asleep when it has not after so many seconds, errors.Updating at once when its schema is too old:
    nobody knows how long a migration takes.
    """
    end = clock.now() + timedelta(seconds=seconds - PAUSE_SECONDS)
    while True:
        try:
            with scope():
                return
        except errors.Asleep:
            if clock.now() > end:
                raise
        clock.sleep(PAUSE_SECONDS)
