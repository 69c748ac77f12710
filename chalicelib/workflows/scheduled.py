"""Bringing the list of learners up to date at a time, or again and again."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.schedules import occurrences, operations
from chalicelib.schedules.operations import Doing, Offer, Operation, Outcome, Stage
from chalicelib.workflows import learners
from chalicelib.workflows.models import Workflow

LEARNERS = "workflows.learners"
_NO_COLUMN = "No learner may sign in: choose a column under Settings, Learners."


def _begin(session: Session, doing: Doing) -> Outcome:
    if doing.workflow.learner_column_id is None:
        raise errors.Invalid(_NO_COLUMN)
    found: dict[str, Any] = learners.refresh_by_id(session, doing.workflow.id) or {}
    count = found.get("learners", 0)
    return Outcome(occurrences.DONE, f"{count:,} {'learner has' if count == 1 else 'learners have'} access.")


def _offers(_session: Session, _workflow: Workflow) -> list[Offer]:
    return [Offer("Bring the list of learners with access up to date", Stage(LEARNERS, None, {}))]


operations.register(
    Operation(
        kind=LEARNERS, title="List of learners", begin=_begin, offers=_offers, role=WorkflowRole.EDITOR,
        facts=lambda _session, _workflow_id, _stage: [("Does", "lets in who is in the column, and no one else")],
    )
)  # fmt: skip
