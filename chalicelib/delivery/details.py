"""What only the runs of one kind of action need, frozen with the run: the rubric of rubric feedback."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions.kinds import Kind
from chalicelib.actions.language.rubric import Criterion
from chalicelib.actions.rubrics import queries as rubrics
from chalicelib.delivery.order import Sendable
from chalicelib.delivery.plain import plain_source
from chalicelib.delivery.sources import Sources

NO_COLUMN = "A criterion of the rubric has lost its column. Open the rubric and repair it."


def of(session: Session, action: Sendable, found: Sources) -> dict[str, Any]:
    """Return what a run of the action needs beside its text.

    Raises errors.Invalid when a part of it is gone.
    """
    if action.kind == Kind.RUBRIC:
        if any(one.column_id not in found.columns for one in rubrics.criteria(session, action.id)):
            raise errors.Invalid(NO_COLUMN)
        said = rubrics.said(session, action.id, found.columns)
        return {"rubric": [{"column": one.reference, "name": one.name, "feedback": one.feedback} for one in said]}
    return {}


def criteria(details: dict[str, Any]) -> list[Criterion]:
    """Return the rubric of a run, its feedback in HTML."""
    return [Criterion(one["column"], one["name"], one["feedback"]) for one in details.get("rubric", [])]


def plain_criteria(details: dict[str, Any]) -> list[Criterion]:
    """Return the rubric of a run, its feedback as plain text."""
    return [
        Criterion(one.reference, one.name, {level: plain_source(text) for level, text in one.feedback.items()})
        for one in criteria(details)
    ]
