"""The conditions of a message: named formulas that its text can ask for."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors, seals
from chalicelib.actions import queries, service
from chalicelib.actions.forms import ConditionForm
from chalicelib.actions.kinds import KINDS, Kind
from chalicelib.actions.language.change import without_condition
from chalicelib.actions.language.scan import find_tags
from chalicelib.actions.models import Action, Condition
from chalicelib.actions.service import MAX_DESCRIPTION_LENGTH
from chalicelib.audit import service as audit
from chalicelib.formulas.check import Columns, check
from chalicelib.formulas.words import words
from chalicelib.schedules import needs
from chalicelib.tables import names
from chalicelib.workflows import namespace
from chalicelib.workflows.queries import attributes

#: More make the editor slow, and nobody keeps them apart.
MAX_CONDITIONS = 200
_MARKUP = re.compile(r"<[^>]*>|\{[{%].*?[%}]\}", re.DOTALL)
_EXCERPT = 40


def get(session: Session, action: Action, condition_id: int, *, in_trash: bool = False) -> Condition:
    """Return a condition of the message.

    Raises errors.NotFound when there is none.
    """
    condition = session.scalar(
        select(Condition)
        .where(Condition.id == condition_id, Condition.action_id == action.id)
        .where(Condition.deleted_at.is_not(None) if in_trash else Condition.deleted_at.is_(None))
    )
    if condition is None:
        raise errors.NotFound
    return condition


def create(
    session: Session, user_id: int, action: Action, form: ConditionForm, columns: Columns, time_zone: str
) -> Condition:
    """Add a condition.

    Raises errors.Invalid for a name that is empty, not allowed or taken by a column or condition, and for a formula
    that is empty or can't be used.
    """
    name, formula = _checked(session, action, form, columns, time_zone)
    others = _room(session, action)
    condition = Condition(
        action_id=action.id, name=name, description=form.description, formula=formula,
        position=max((other.position for other in others), default=0) + 1, created_at=clock.now(),
    )  # fmt: skip
    session.add(condition)
    session.flush()
    _record(session, "condition_created", user_id, action, condition)
    return condition


def change(
    session: Session, user_id: int, action: Action, condition: Condition, form: ConditionForm, columns: Columns,
    time_zone: str,
) -> None:  # fmt: skip
    """Give the condition another name, description or formula. The text refers to it by id and needs no change.

    Raises errors.Invalid as `create` does, seals.Stale when somebody else changed it since it was shown.
    """
    name, formula = _checked(session, action, form, columns, time_zone, but=condition.id)
    session.refresh(condition)
    old = shown(condition)
    typed = {"name": name, "description": form.description, "formula": formula}
    if (now := shown(condition)) != typed:
        who = audit.who_last(
            session, action.workflow_id, ["condition_changed", "condition_created", "condition_copied"],
            time_zone=time_zone, action_id=action.id,
        )  # fmt: skip
        seals.check(form.seen, now, typed, who=who, shown={"formula": words(condition.formula, columns)})
    condition.name, condition.description, condition.formula = name, form.description, formula
    action.updated_at = clock.now()
    _record(session, "condition_changed", user_id, action, condition, old=old, new=typed)


def shown(condition: Condition) -> dict[str, Any]:
    """Return what the form of a condition shows."""
    return {"name": condition.name, "description": condition.description, "formula": condition.formula}


def copy(session: Session, user_id: int, action: Action, condition: Condition, columns: Columns) -> Condition:
    """Add a copy of the condition to the same message.

    Raises errors.Invalid when it has no room for one more.
    """
    taken = {one.name for one in _room(session, action)} | {one.name for one in columns.values()}
    name = f"Copy of {condition.name}"[: names.MAX_NAME_LENGTH]
    twin = Condition(
        action_id=action.id, name=name if name not in taken else names.unused(name, taken),
        description=condition.description, formula=condition.formula, position=condition.position + 1,
        created_at=clock.now(),
    )  # fmt: skip
    session.add(twin)
    session.flush()
    _record(session, "condition_copied", user_id, action, twin, original=condition.id, old=condition.name)
    return twin


@dataclass(frozen=True)
class Elsewhere:
    """A condition of another message of the workflow."""

    id: int
    name: str
    action: str
    formula: dict[str, Any]
    description: str


def elsewhere(session: Session, action: Action) -> list[Elsewhere]:
    """Return the conditions of the workflow's other messages, in the order of the alphabet."""
    query = (
        select(Condition, Action.name)
        .join(Action, Action.id == Condition.action_id)
        .where(Action.workflow_id == action.workflow_id, Action.id != action.id)
        .where(Action.deleted_at.is_(None), Condition.deleted_at.is_(None))
        .order_by(Action.name, Condition.position, Condition.id)
    )
    return [
        Elsewhere(one.id, one.name, name, one.formula, one.description) for one, name in session.execute(query).all()
    ]


def copy_from(session: Session, user_id: int, action: Action, condition_id: int, columns: Columns) -> Condition:
    """Add a copy of a condition of another message, under another name when its own is in use here.

    Raises errors.Invalid when there is no such condition, or no room for one more.
    """
    original = next((one for one in elsewhere(session, action) if one.id == condition_id), None)
    if original is None:
        raise errors.Invalid("Choose a condition.", {"take_from": "Choose a condition of another message."})
    others = _room(session, action)
    taken = {one.name for one in others} | {one.name for one in columns.values()}
    taken |= {one.name for one in attributes(session, action.workflow_id)}
    twin = Condition(
        action_id=action.id, name=original.name if original.name not in taken else names.unused(original.name, taken),
        description=original.description, formula=original.formula,
        position=max((other.position for other in others), default=0) + 1, created_at=clock.now(),
    )  # fmt: skip
    session.add(twin)
    session.flush()
    _record(session, "condition_copied", user_id, action, twin, original=original.id, old=original.name)
    return twin


def delete(
    session: Session, user_id: int, action: Action, condition: Condition, *, keeps_content: bool | None = None
) -> None:  # fmt: skip
    """Put the condition aside; `restore` takes it back. `action` must be locked.

    What depends on it in the text is for everybody from then on, or without `keeps_content` goes, too. Raises
    errors.Conflict when the text uses it and nobody said what shall become of that, saying where.
    """
    places = uses(action, condition.id)
    if places and keeps_content is None:
        raise errors.Conflict(
            f"The message still uses “{condition.name}”: {'; '.join(places)}. What shall become of these words?"
        )
    if places:
        output = KINDS[Kind(action.kind)].output
        changed = without_condition(
            action.text, f"k{condition.id}", keeps_content=bool(keeps_content), output=output
        )  # fmt: skip
        service.write(session, user_id, action, changed)
    needs.lose(session, action.workflow_id, {f"k{condition.id}"}, _gone(condition))
    condition.deleted_at = clock.now()
    _record(session, "condition_deleted", user_id, action, condition)


def _gone(condition: Condition) -> str:
    return f"The condition “{condition.name}”, of which its subject speaks, was deleted."


def restore(session: Session, user_id: int, action: Action, condition: Condition, columns: Columns) -> None:
    """Take a deleted condition back, under another name when its own is in use by now.

    Raises errors.Invalid as `copy` does.
    """
    needs.regain(session, action.workflow_id, _gone(condition))
    taken = {one.name for one in _room(session, action)} | {one.name for one in columns.values()}
    if condition.name in taken:
        condition.name = names.unused(condition.name, taken)
    condition.deleted_at = None
    _record(session, "condition_restored", user_id, action, condition)


def uses(action: Action, condition_id: int) -> list[str]:
    """Return where the message asks for the condition, in words.

    The subject of an earlier run does not count: the next send form shows what is wrong with it.
    """
    reference = re.compile(rf"@k{condition_id}(?![0-9])")
    tags = [tag for tag in find_tags(action.text, is_html=True)[0] if reference.search(tag.text)]
    return [_place(_words_after(action.text, tag.end)) for tag in tags]


def _place(following: str) -> str:
    return f"in the text before “{following}”" if following else "at the end of the text"


def _words_after(text: str, position: int) -> str:
    plain = " ".join(html.unescape(_MARKUP.sub(" ", text[position : position + 2000])).split())
    return plain if len(plain) <= _EXCERPT else plain[:_EXCERPT].rstrip() + " …"


def _room(session: Session, action: Action) -> list[Condition]:
    """Return the conditions there are, when one more has room; nobody else adds any in the meantime."""
    _lock(session, action)
    others = queries.conditions(session, action.id)
    if len(others) >= MAX_CONDITIONS:
        raise errors.Invalid(f"A message can have {MAX_CONDITIONS} conditions.", {"name": "Delete another one first."})
    return others


def _lock(session: Session, action: Action) -> None:
    # Two conditions made at once would get the same name.
    session.execute(select(Action.id).where(Action.id == action.id).with_for_update())


def _checked(
    session: Session, action: Action, form: ConditionForm, columns: Columns, time_zone: str, but: int = 0
) -> tuple[str, dict[str, Any]]:
    _lock(session, action)
    problems: dict[str, str] = {}
    name = names.tidy(form.name)
    if problem := names.problem(name):
        problems["name"] = problem
    elif any(column.name == name for column in columns.values()):
        problems["name"] = "A column of the table has this name; choose another one."
    elif any(one.name == name and one.id != but for one in queries.conditions(session, action.id)):
        problems["name"] = "Another condition of this message has this name."
    elif taken := namespace.taken(session, action.workflow_id, name, but=f"k{but}", action_id=action.id):
        problems["name"] = taken
    if len(form.description) > MAX_DESCRIPTION_LENGTH:
        problems["description"] = f"Use at most {MAX_DESCRIPTION_LENGTH:,} characters."
    formula: dict[str, Any] = {}
    if form.formula is None:
        problems["formula"] = "Add at least one rule."
    else:
        try:
            formula = check(form.formula, columns, time_zone)
        except errors.Invalid as error:
            problems["formula"] = error.message
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
    return name, formula


def _record(
    session: Session, event_type: str, user_id: int, action: Action, condition: Condition, **detail: Any
) -> None:
    audit.record(
        session, event_type, workflow_id=action.workflow_id, user_id=user_id, action_id=action.id,
        name=condition.name, condition_id=condition.id, formula=condition.formula, **detail,
    )  # fmt: skip
