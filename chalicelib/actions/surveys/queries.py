"""Reads of questions: with their columns, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.actions.models import Action
from chalicelib.actions.surveys.kinds import HEADINGS, KINDS, Kind, fitting
from chalicelib.actions.surveys.models import Answer, Question
from chalicelib.tables import queries as tables
from chalicelib.tables.columns import recipes


@dataclass(frozen=True)
class Item:
    """A question with its column, None for a heading or when the column was deleted."""

    question: Question
    column: Any

    @property
    def id(self) -> int:
        """The question's id."""
        return self.question.id

    @property
    def kind(self) -> Kind:
        """How it is asked."""
        return Kind(self.question.kind)

    @property
    def field(self) -> str:
        """Its name in a form."""
        return f"q{self.question.id}"

    @property
    def is_heading(self) -> bool:
        """Whether it asks for nothing."""
        return self.kind in HEADINGS

    @property
    def label(self) -> str:
        """What learners read."""
        if self.is_heading:
            return self.question.text
        return self.column.description or self.column.name if self.column is not None else "A deleted column"

    @property
    def problem(self) -> str:
        """Why nobody can be asked; nothing when they can."""
        if self.is_heading:
            return ""
        if self.column is None:
            return "Its column was deleted, so nobody is asked. Bring the column back, or remove the question."
        if self.column.type not in KINDS[self.kind].types:
            return "Its column has another type by now, so nobody is asked. Open the question and choose how to ask."
        if self.column.is_key:
            return "Its column tells learners apart by now, so nobody is asked."
        recipe = recipes.formula(self.column.recipe)
        if recipe is not None and recipe.keep:
            return "Its column is worked out from others by now, so nobody is asked."
        return ""


def questions(session: Session, action_id: int) -> list[Question]:
    """Return the live questions of a form in their order."""
    query = sa.select(Question).where(Question.action_id == action_id, Question.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Question.position, Question.id)))


def items(session: Session, action: Action, columns: Iterable[Any] | None = None) -> list[Item]:
    """Return the questions with their columns; `columns` are those of the table where they are known already."""
    found = tables.columns(session, action.workflow_id) if columns is None else columns
    return with_columns(questions(session, action.id), found)


def with_columns(found: Iterable[Question], columns: Iterable[Any]) -> list[Item]:
    """Return these questions with those of the columns that they ask for."""
    by_id: Mapping[int, Any] = {column.id: column for column in columns}
    return [Item(one, by_id.get(one.column_id or 0)) for one in found]


def asked(found: Iterable[Item]) -> list[Item]:
    """Return the questions that can be answered."""
    return [item for item in found if not item.is_heading and not item.problem]


def unused_columns(action_kind: str, found: Iterable[Item], columns: Iterable[Any]) -> list[Any]:
    """Return the columns that can become questions: no keys, none that is worked out, none that is one already."""
    taken = {item.question.column_id for item in found}
    return [
        column for column in columns
        if column.id not in taken and fitting(action_kind, column) and not Item(_asking(column), column).problem
    ]  # fmt: skip


def _asking(column: Any) -> Question:
    kinds = [kind for kind, traits in KINDS.items() if column.type in traits.types]
    return Question(id=0, kind=kinds[0], column_id=column.id)


def of_column(session: Session, action_id: int, column_id: int) -> bool:
    """Tell whether a question of the form asks for the column."""
    return any(one.column_id == column_id for one in questions(session, action_id))


def is_answered(session: Session, action_id: int, row_id: int) -> bool:
    """Tell whether anything was sent for this learner."""
    return bool(session.scalar(sa.select(sa.exists().where(Answer.action_id == action_id, Answer.row_id == row_id))))
