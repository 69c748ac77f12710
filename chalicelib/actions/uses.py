"""Where messages speak of a column, and what would become of that: for those who delete or change columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions import queries
from chalicelib.actions.models import Action
from chalicelib.actions.rubrics import queries as rubrics
from chalicelib.actions.surveys import queries as surveys
from chalicelib.formulas import tree
from chalicelib.formulas.check import Columns, check

TEXT, FILTER, CONDITION, QUESTION = "text", "filter", "condition", "question"
RUBRIC = "rubric"


@dataclass(frozen=True)
class Use:
    """A part of a message that speaks of a column; `name` is the condition's."""

    kind: str
    action_id: int
    action: str
    name: str = ""
    formula: Any = None


def of_column(session: Session, workflow_id: int, column_id: int) -> list[Use]:
    """Return every text, filter, condition, question and rubric of the workflow's actions that speaks of the column."""
    actions = sa.select(Action).where(Action.workflow_id == workflow_id, Action.deleted_at.is_(None))
    return [
        use
        for action in session.scalars(actions.order_by(Action.name, Action.id)).all()
        for use in _uses(session, action, column_id)
    ]


def _uses(session: Session, action: Action, column_id: int) -> Iterable[Use]:
    if f"c{column_id}" in queries.used(action):
        yield Use(TEXT, action.id, action.name)
    if column_id in tree.references(action.filter):
        yield Use(FILTER, action.id, action.name, formula=action.filter)
    for condition in queries.conditions(session, action.id):
        if column_id in tree.references(condition.formula):
            yield Use(CONDITION, action.id, action.name, condition.name, condition.formula)
    if surveys.of_column(session, action.id, column_id):
        yield Use(QUESTION, action.id, action.name)
    if rubrics.speaks_of(session, action.id, column_id):
        yield Use(RUBRIC, action.id, action.name)


def broken(uses: Iterable[Use], columns: Columns, time_zone: str) -> list[tuple[Use, str]]:
    """Return the filters and conditions that could not be used with these columns any more, and why."""
    found = []
    for use in uses:
        if use.kind in {TEXT, QUESTION, RUBRIC}:
            continue
        try:
            check(use.formula, columns, time_zone)
        except errors.Invalid as error:
            found.append((use, error.message))
    return found
