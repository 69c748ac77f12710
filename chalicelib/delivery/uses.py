"""Sendings that are not over and need a column: for those who delete columns."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.delivery import plan, sources
from chalicelib.delivery.models import ENDED, Run
from chalicelib.formulas import tree

COUNTER, WAITING = "counter", "waiting"


@dataclass(frozen=True)
class RunUse:
    """A run that counts its opens in the column (COUNTER), or will be planned from it (WAITING)."""

    id: int
    action: str
    kind: str


def open_runs(session: Session, workflow_id: int, column_id: int) -> list[RunUse]:
    """Return the uses of the column by runs that have not ended. Once planned, a run has values of its own."""
    found = []
    query = sa.select(Run).where(Run.workflow_id == workflow_id, Run.state.not_in(ENDED)).order_by(Run.id)
    for run in session.scalars(query).all():
        name = sources.action_name(session, run.action_id)
        if run.planned_at is None and column_id in _needed(run):
            found.append(RunUse(run.id, name, WAITING))
        if run.opens_column_id == column_id:
            found.append(RunUse(run.id, name, COUNTER))
    return found


def _needed(run: Run) -> set[int]:
    formulas = [run.filter, *(condition["formula"] for condition in run.conditions)]
    return plan.needed(run).union(*(tree.references(formula) for formula in formulas))
