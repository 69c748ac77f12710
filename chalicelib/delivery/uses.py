"""Sendings that are not over and need a column: for those who delete columns."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.actions.language import TemplateError, references
from chalicelib.delivery import plan, sources
from chalicelib.delivery.models import ENDED, Run
from chalicelib.formulas import tree
from chalicelib.schedules import plans

COUNTER, WAITING, REPEATED = "counter", "waiting", "repeated"


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


def schedules(session: Session, workflow_id: int, column_id: int) -> list[tuple[int, str]]:
    """Return (id, name) of the repeated sendings that take their addresses or their subject from the column.

    What the message itself says of the column is a use of the message.
    """
    query = sa.select(plans.Schedule).where(
        plans.Schedule.workflow_id == workflow_id, plans.Schedule.deleted_at.is_(None)
    )
    return [
        (schedule.id, schedule.name)
        for schedule in session.scalars(query.order_by(plans.Schedule.id))
        if column_id in _repeated(schedule.payload)
    ]


def _repeated(payload: Mapping[str, Any]) -> set[int]:
    found = {payload.get("to_column_id")}
    opens = str(payload.get("opens_column") or "")
    found |= {int(opens)} if opens.isdecimal() else set()
    with suppress(TemplateError):  # a subject that can't be read says so itself when its time comes
        found |= {int(one[1:]) for one in references(str(payload.get("subject") or "")) if one.startswith("c")}
    return {one for one in found if isinstance(one, int)}


def _needed(run: Run) -> set[int]:
    formulas = [run.filter, *(condition["formula"] for condition in run.conditions)]
    return plan.needed(run).union(*(tree.references(formula) for formula in formulas))
