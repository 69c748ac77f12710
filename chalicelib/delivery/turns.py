"""How much else a lane sends before a run is through, as people and their runs take turns."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import text
from sqlalchemy.orm import Session

# Counted in the index of what waits, one run after the other; see outbox for the phrase about ids.
_WAITING = text("""
    SELECT r.id, coalesce(r.user_id, -r.id), r.cost * (
        SELECT count(*) FROM ontask.message m
        WHERE m.lane = r.lane AND m.state = 'queued' AND m.run_id BETWEEN r.id AND r.id)
    FROM ontask.run r WHERE r.lane = :lane AND r.state = 'running' AND r.id <> :run
""")


def before_end(session: Session, lane: str, owner: int, cost: int, run_id: int = 0) -> int:
    """Return how many recipients the lane serves until `cost` of this person's are served, these included.

    `run_id` is the run that they belong to. It is what would be served if nobody began anything else.
    """
    mine, others = cost, defaultdict[int, int](int)
    for _, whose, waiting in session.execute(_WAITING, {"lane": lane, "run": run_id}):
        if whose == owner:
            mine += min(cost, waiting)
        else:
            others[whose] += waiting
    return mine + sum(min(mine, waiting) for waiting in others.values())
