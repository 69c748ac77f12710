"""Everything that speaks of a column, and what becomes of it without the column: shown before one is deleted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions import uses as actions
from chalicelib.delivery import uses as delivery
from chalicelib.formulas import tree
from chalicelib.formulas.check import Columns, check
from chalicelib.schedules import needs
from chalicelib.tables import queries
from chalicelib.tables.columns import recipes
from chalicelib.tables.models import Column, View
from chalicelib.workflows.models import Workflow

_OUTCOMES = {
    actions.TEXT: "can’t be sent until the name is taken out of the text",
    actions.FILTER: "is blocked until its rules are repaired; nobody gets it meanwhile, least of all everybody",
    actions.CONDITION: "is blocked, with its message, until its rules are repaired",
    actions.QUESTION: "is not asked any more; what was answered stays with the column",
    actions.RUBRIC: "can’t be sent until the rubric is repaired",
    delivery.COUNTER: "goes on, but its opens are counted on its own page only",
    delivery.WAITING: "fails with this reason when its time comes; nobody gets it",
}
_VIEW_FILTER = "shows nobody until its rules are repaired"
_VIEW = "goes on without it"


@dataclass(frozen=True)
class Line:
    """One use: what it is, what becomes of it, and the id of the page where it can be changed."""

    words: str
    outcome: str
    action_id: int = 0
    run_id: int = 0
    schedule_id: int = 0
    column_id: int = 0
    view_id: int = 0


def of_column(session: Session, workflow: Workflow, column: Column) -> list[Line]:
    """Return every use of the column, those in messages first."""
    lines, messages = [], actions.of_column(session, column.workflow_id, column.id)
    for use in messages:
        words = {
            actions.TEXT: f"the text of “{use.action}”",
            actions.FILTER: f"who gets “{use.action}”",
            actions.CONDITION: f"the condition “{use.name}” of “{use.action}”",
            actions.QUESTION: f"a question of “{use.action}”",
            actions.RUBRIC: f"the rubric of “{use.action}”",
        }[use.kind]
        lines.append(Line(words, _OUTCOMES[use.kind], action_id=use.action_id))
    for run in delivery.open_runs(session, column.workflow_id, column.id):
        lines.append(Line(f"the sending of “{run.action}”", _OUTCOMES[run.kind], run_id=run.id))
    for schedule in needs.using(session, column.workflow_id, wanted(column, messages)):
        words = f"the schedule “{schedule.name}”"
        lines.append(Line(words, "rests until it is repaired; its owner is told", schedule_id=schedule.id))
    lines += [_of_view(view, column.id) for view in _views(session, column)]
    if workflow.learner_column_id == column.id:
        lines.append(Line("who of your learners may sign in", "is reset: nobody may until you choose another column"))
    for other in recipes.made_from(queries.columns(session, column.workflow_id), column.id):
        outcome = "keeps its values, and is not worked out any more"
        lines.append(Line(f"the column “{other.name}”", outcome, column_id=other.id))
    return lines


def blocked(session: Session, workflow: Workflow, infos: Columns, column_ids: Iterable[int]) -> list[str]:
    """Return what speaks of the columns and could not be used any more were these the columns of the table, in words.

    Filters and conditions of messages, and filters of views.
    """
    found: dict[str, None] = {}
    views = session.scalars(select(View).where(View.workflow_id == workflow.id, View.deleted_at.is_(None))).all()
    for column_id in column_ids:
        used = actions.of_column(session, workflow.id, column_id)
        for use, _ in actions.broken(used, infos, workflow.time_zone):
            found[f"the condition “{use.name}” of “{use.action}”" if use.name else f"who gets “{use.action}”"] = None
        for view in views:
            if column_id in _rules(view) and not _is_usable(view, infos, workflow.time_zone):
                found[f"the view “{view.name}”"] = None
    return list(found)


def _is_usable(view: View, infos: Columns, time_zone: str) -> bool:
    try:
        check(view.filter, infos, time_zone)
    except errors.Invalid:
        return False
    return True


def wanted(column: Column, messages: Iterable[actions.Use]) -> set[str]:
    """Return the references by which a schedule needs the column: itself, and messages that can't do without it."""
    return {f"c{column.id}", *(f"m{use.action_id}" for use in messages if use.kind != actions.QUESTION)}


def _views(session: Session, column: Column) -> list[View]:
    """Return the views that show the column, sort by it or choose rows by it."""
    views = session.scalars(select(View).where(View.workflow_id == column.workflow_id, View.deleted_at.is_(None)))
    return [view for view in views if column.id in {*view.columns, *(by["column"] for by in view.sort)} | _rules(view)]


def _rules(view: View) -> set[int]:
    return tree.references(view.filter)


def _of_view(view: View, column_id: int) -> Line:
    return Line(f"the view “{view.name}”", _VIEW_FILTER if column_id in _rules(view) else _VIEW, view_id=view.id)
