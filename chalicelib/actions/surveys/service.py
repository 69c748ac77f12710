"""The questions of a form: add, take from the table, change, copy, move, remove. What they ask for are columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.actions import queries as action_queries
from chalicelib.actions.kinds import Kind as ActionKind
from chalicelib.actions.models import Action
from chalicelib.actions.surveys import queries
from chalicelib.actions.surveys.forms import Wish
from chalicelib.actions.surveys.kinds import HEADINGS, Kind, fitting
from chalicelib.actions.surveys.models import Question
from chalicelib.audit import service as audit
from chalicelib.tables import names
from chalicelib.tables import queries as tables
from chalicelib.tables.columns import create, settings
from chalicelib.tables.columns.create import Details
from chalicelib.workflows.models import Workflow

#: More make the form slow, and nobody answers them.
MAX_QUESTIONS = 200
#: The name of a column made from a question is at most so long.
_NAME_LENGTH = 60


def get(session: Session, action: Action, question_id: int, *, in_trash: bool = False) -> Question:
    """Return a question of the form.

    Raises errors.NotFound when there is none.
    """
    question = session.get(Question, question_id)
    if question is None or question.action_id != action.id or (question.deleted_at is not None) != in_trash:
        raise errors.NotFound
    return question


def add(session: Session, workflow: Workflow, user_id: int, action: Action, wish: Wish) -> Question:
    """Add a question with a new column, or a heading. `action` must be locked.

    Raises errors.Invalid with a message for each field that can't stay, errors.Conflict when the table is in use.
    """
    _check_room(session, action, 1)
    condition_id = _condition(session, action, wish)
    column_id = None
    if wish.kind not in HEADINGS:
        details = Details(
            wish.name or _free_name(session, workflow.id, wish.description), wish.type, wish.description, 0,
            wish.active_from, wish.active_until, wish.allowed,
        )  # fmt: skip
        column_id = _with_choices(lambda: create.add(session, workflow, user_id, details)).id
    question = _made(action, wish.kind, column_id, _last(session, action) + 1)
    _take(question, wish, condition_id)
    session.add(question)
    session.flush()
    _record(session, "question_added", user_id, action, question)
    return question


def _free_name(session: Session, workflow_id: int, description: str) -> str:
    """Return the name of a column from the words of its question."""
    plain = names.headers([" ".join(description.split())[:_NAME_LENGTH].strip()])[0].name
    taken = {column.name for column in tables.columns(session, workflow_id)}
    return plain if plain not in taken else names.unused(plain, taken)


def _with_choices(work: Any) -> Any:
    """Do `work` on a column; what is wrong with its values is said at the question's field."""
    try:
        return work()
    except errors.Invalid as error:
        if "allowed" not in error.fields:
            raise
        message = error.fields["allowed"]
        raise errors.Invalid(message, {**error.fields, "choices": message, "high": message}) from error


def insert(session: Session, user_id: int, action: Action, column_ids: Sequence[int]) -> list[Question]:
    """Ask for columns that are there already, in the order given. `action` must be locked.

    Raises errors.Invalid when there is none, or one can't be asked for.
    """
    columns = tables.columns(session, action.workflow_id)
    items = queries.items(session, action, columns)
    free = {column.id: column for column in queries.unused_columns(action.kind, items, columns)}
    wanted = [free.get(column_id) for column_id in dict.fromkeys(column_ids)]
    if not wanted or None in wanted:
        message = "Tick at least one column." if not wanted else "One of these can’t be asked for any more."
        raise errors.Invalid(message, {"columns": message})
    _check_room(session, action, len(wanted))
    made = []
    for place, column in enumerate(wanted, _last(session, action) + 1):
        assert column is not None, "checked before"
        question = _made(action, fitting(action.kind, column)[0], column.id, place)
        session.add(question)
        session.flush()
        _record(session, "question_added", user_id, action, question)
        made.append(question)
    return made


def change(
    session: Session, workflow: Workflow, user_id: int, action: Action, question: Question, wish: Wish
) -> None:  # fmt: skip
    """Change a question and the settings of its column; the column's type stays. `action` must be locked.

    Raises errors.Invalid as `add` does.
    """
    condition_id = _condition(session, action, wish)
    if question.column_id is not None:
        column = tables.column(session, workflow.id, question.column_id)
        now = settings.of(session, column)
        wanted = replace(
            now, name=wish.name or column.name, description=wish.description, active_from=wish.active_from,
            active_until=wish.active_until, allowed=wish.allowed,
        )  # fmt: skip
        _with_choices(lambda: settings.change(session, workflow, user_id, column, wanted))
    _take(question, wish, condition_id)
    _record(session, "question_changed", user_id, action, question)


def _take(question: Question, wish: Wish, condition_id: int | None) -> None:
    question.kind, question.help, question.options = wish.kind, wish.help, wish.options
    question.is_required, question.is_once, question.due_at = wish.is_required, wish.is_once, wish.due_at
    question.condition_id = condition_id
    if wish.kind in HEADINGS:
        question.text = wish.description


def switch_once(session: Session, user_id: int, action: Action, question: Question, is_once: bool) -> None:
    """Let the first answer stay, or let answers be changed."""
    if question.is_once != is_once:
        question.is_once = is_once
        _record(session, "question_switched", user_id, action, question, is_once=is_once)


def copy(session: Session, workflow: Workflow, user_id: int, action: Action, question: Question) -> Question:
    """Add a copy right behind the question, with a copy of its column but no answers. `action` must be locked.

    Raises errors.Conflict when the table is in use.
    """
    _check_room(session, action, 1)
    column_id = None
    if question.column_id is not None:
        column = tables.column(session, workflow.id, question.column_id)
        taken = {other.name for other in tables.columns(session, workflow.id)}
        details = Details(
            names.unused(column.name, taken), column.type, column.description, 0, column.active_from,
            column.active_until, column.allowed_values,
        )  # fmt: skip
        column_id = create.add(session, workflow, user_id, details).id
    twin = _made(action, Kind(question.kind), column_id, question.position)
    for name in ("text", "help", "is_required", "is_once", "condition_id", "due_at", "options"):
        setattr(twin, name, getattr(question, name))
    session.add(twin)
    session.flush()
    order = [one.id for one in queries.questions(session, action.id) if one.id != twin.id]
    order.insert(order.index(question.id) + 1, twin.id)
    _number(session, action, order)
    _record(session, "question_added", user_id, action, twin)
    return twin


def remove(session: Session, user_id: int, action: Action, question: Question) -> None:
    """Take the question out; its column and all answers stay. `restore` brings it back."""
    question.deleted_at = clock.now()
    _record(session, "question_removed", user_id, action, question)


def restore(session: Session, user_id: int, action: Action, question: Question) -> None:
    """Bring a question back.

    Raises errors.Conflict when its column is asked for by another one now.
    """
    if question.column_id is not None and queries.of_column(session, action.id, question.column_id):
        raise errors.Conflict("Its column is asked for again already.")
    question.deleted_at = None
    _record(session, "question_restored", user_id, action, question)


def reorder(session: Session, user_id: int, action: Action, ids: Sequence[int]) -> None:
    """Put the questions into this order; those that are not named come last. `action` must be locked."""
    known = [one.id for one in queries.questions(session, action.id)]
    wanted = [one for one in dict.fromkeys(ids) if one in known]
    order = [*wanted, *(one for one in known if one not in wanted)]
    if order != known:
        _number(session, action, order)
        _record(session, "question_moved", user_id, action, None)


def move(session: Session, user_id: int, action: Action, question: Question, step: int) -> None:
    """Put the question before the one above it (-1) or behind the one below (1)."""
    order = [one.id for one in queries.questions(session, action.id)]
    at = order.index(question.id)
    order.insert(max(0, at + step), order.pop(at))
    reorder(session, user_id, action, order)


def shuffle(session: Session, user_id: int, action: Action, is_shuffled: bool) -> None:
    """Show the questions of each page in an order that differs from learner to learner, or in their own."""
    if action.is_shuffled != is_shuffled:
        action.is_shuffled, action.updated_at = is_shuffled, clock.now()
        _record(session, "question_shuffled", user_id, action, None, is_shuffled=is_shuffled)


def copy_all(session: Session, origin: Action, twin: Action, conditions: dict[int, int]) -> None:
    """Give a copied form the questions of its original; `conditions` maps those of the original to the copy's."""
    for question in queries.questions(session, origin.id):
        made = _made(twin, Kind(question.kind), question.column_id, question.position)
        for name in ("text", "help", "is_required", "is_once", "due_at", "options"):
            setattr(made, name, getattr(question, name))
        made.condition_id = conditions.get(question.condition_id or 0)
        session.add(made)
    session.flush()


def depending(session: Session, action: Action, condition_id: int) -> int:
    """Return how many questions are asked only of those for whom the condition holds."""
    return sum(one.condition_id == condition_id for one in queries.questions(session, action.id))


def _made(action: Action, kind: Kind, column_id: int | None, position: int) -> Question:
    return Question(
        action_id=action.id, column_id=column_id, kind=kind, position=position, text="", help="", is_required=False,
        is_once=False, options={}, created_at=clock.now(),
    )  # fmt: skip


def _condition(session: Session, action: Action, wish: Wish) -> int | None:
    """Return the condition that was chosen, when it is one of the action's."""
    if wish.condition_id is None:
        return None
    if wish.condition_id not in {one.id for one in action_queries.conditions(session, action.id)}:
        message = "This condition was deleted meanwhile. Choose another one."
        raise errors.Invalid(message, {"condition": message})
    return wish.condition_id


def _check_room(session: Session, action: Action, more: int) -> None:
    if len(queries.questions(session, action.id)) + more > MAX_QUESTIONS:
        message = f"A form can have {MAX_QUESTIONS} questions and headings. Remove another one first."
        raise errors.Invalid(message, {"description": message, "columns": message})


def _last(session: Session, action: Action) -> int:
    return max((one.position for one in queries.questions(session, action.id)), default=0)


def _number(session: Session, action: Action, order: Sequence[int]) -> None:
    for question in queries.questions(session, action.id):
        question.position = order.index(question.id) + 1
    session.flush()


def _record(
    session: Session, event_type: str, user_id: int, action: Action, question: Question | None, **detail: Any
) -> None:
    action.updated_at = clock.now()
    if question is not None:
        detail |= {"question_id": question.id, "column_id": question.column_id, "kind": question.kind}
        detail["condition_id"] = question.condition_id
    if action.kind == ActionKind.TODO:
        event_type = f"item_{event_type.removeprefix('question_')}"
    audit.record(
        session, event_type, workflow_id=action.workflow_id, user_id=user_id, action_id=action.id, name=action.name,
        **detail,
    )  # fmt: skip
