"""Surveys in tests: made through their pages, answered through the instructor's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from chalicelib.actions.surveys.models import Answer, Question
from chalicelib.schedules import jobs
from chalicelib.schedules.models import Job
from chalicelib.tables import queries as tables
from chalicelib.tables import store
from tests.actions.conftest import Desk, words


def ask(desk: Desk, description: str = "How was it?", kind: str = "text", **fields: Any) -> Question:
    """Add a question through its form."""
    page = desk.post("/questions", {"do": "add", "kind": kind, "description": description, **fields})
    assert page.status == 303, words(page)
    found = desk.session.scalars(select(Question).where(Question.action_id == desk.action.id).order_by(Question.id))
    return list(found)[-1]


def column_of(desk: Desk, question: Question) -> Any:
    """The column of a question."""
    assert question.column_id is not None
    return tables.column(desk.session, desk.action.workflow_id, question.column_id)


def apply(session: Session) -> int:
    """Do the jobs that put answers into the table; return how many there were."""
    session.flush()
    waiting = session.scalars(select(Job).where(Job.kind == "apply_answers", Job.state == "queued")).all()
    for job in waiting:
        jobs.run(job.id)
    session.expire_all()
    return len(waiting)


def cell(desk: Desk, question: Question, row: int) -> Any:
    """What the table has."""
    query = f"SELECT c{question.column_id} FROM {store.table(desk.action.workflow_id)} WHERE row_id = :row"
    return desk.session.scalar(text(query), {"row": row})


def enter(desk: Desk, row: int, fields: Mapping[Question, Any]) -> Any:
    """Send the instructor's form of one learner."""
    return desk.post(f"/answers/{row}", {f"q{question.id}": value for question, value in fields.items()})


def answers(desk: Desk) -> list[Answer]:
    """All answers to the form, the first one first."""
    return list(desk.session.scalars(select(Answer).where(Answer.action_id == desk.action.id).order_by(Answer.id)))
