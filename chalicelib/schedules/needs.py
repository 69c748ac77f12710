"""What schedules need of their workflow, and what becomes of them when it goes: for those who delete it.

Whatever a message that is sent needs, its schedule needs, too: callers name the message beside the column.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.orm import Session

from chalicelib.schedules import doing, operations, plans
from chalicelib.schedules.plans import Schedule


def using(session: Session, workflow_id: int, wanted: Collection[str], *, lock: bool = False) -> list[Schedule]:
    """Return the schedules that are not over and need one of these references ("c12", "m7")."""
    found = plans.of_workflow(session, workflow_id, lock=lock)
    return [one for one in found if one.state != plans.OVER and operations.references(one) & set(wanted)]


def lose(session: Session, workflow_id: int, wanted: Collection[str], problem: str) -> list[Schedule]:
    """Let the schedules rest that need what is gone, and tell their owners; return them."""
    lost = [one for one in using(session, workflow_id, wanted, lock=True) if one.state == plans.ACTIVE]
    for schedule in lost:
        plans.block(session, schedule, problem)
        doing.tell_blocked(session, schedule)
    return lost


def regain(session: Session, workflow_id: int, problem: str) -> None:
    """Let the schedules go on that rest for this problem alone: what they need is back."""
    for schedule in plans.of_workflow(session, workflow_id, lock=True):
        if schedule.state == plans.BLOCKED and schedule.problem == problem:
            plans.unblock(session, schedule)
