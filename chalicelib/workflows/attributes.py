"""Attributes: names with a value that is the same for every learner, such as the name of the course."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors, seals
from chalicelib.audit import service as audit
from chalicelib.schedules import needs
from chalicelib.tables import names
from chalicelib.workflows import namespace, uses
from chalicelib.workflows.models import Attribute, Workflow

MAX_LENGTH = 1024


@dataclass(frozen=True)
class AttributeForm:
    """An attribute as it was filled in; `seen` is the seal of what the form showed."""

    name: str
    value: str
    seen: str = ""


def shown(attribute: Any) -> dict[str, str]:
    """Return what the form of an attribute shows."""
    return {"name": attribute.name, "value": attribute.value}


def get(session: Session, workflow: Workflow, attribute_id: int, *, in_trash: bool = False) -> Attribute:
    """Return the workflow's attribute, locked.

    Raises errors.NotFound when there is none.
    """
    attribute = session.scalar(
        select(Attribute)
        .where(Attribute.id == attribute_id, Attribute.workflow_id == workflow.id)
        .where(Attribute.deleted_at.is_not(None) if in_trash else Attribute.deleted_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if attribute is None:
        raise errors.NotFound("This attribute was deleted meanwhile.")
    return attribute


def add(session: Session, user_id: int, workflow: Workflow, form: AttributeForm) -> Attribute:
    """Add an attribute.

    Raises errors.Invalid (fields `name`, `value`) when a name can't be used or belongs to something else.
    """
    name, value = _checked(session, workflow, form)
    attribute = Attribute(workflow_id=workflow.id, name=name, value=value, created_at=clock.now())
    session.add(attribute)
    session.flush()
    _record(session, "attribute_added", user_id, attribute)
    return attribute


def change(session: Session, user_id: int, workflow: Workflow, attribute_id: int, form: AttributeForm) -> Attribute:
    """Give the attribute another name or value; texts refer to its id and need no change.

    Raises errors.NotFound when there is none, errors.Invalid as `add` does, seals.Stale when somebody else changed it.
    """
    attribute = get(session, workflow, attribute_id)
    name, value = _checked(session, workflow, form, but=f"a{attribute.id}")
    who = audit.who_last(
        session, workflow.id, ["attribute_added", "attribute_changed"], attribute=attribute.id
    )  # fmt: skip
    seals.check(form.seen, shown(attribute), {"name": name, "value": value}, who=who)
    if (name, value) != (attribute.name, attribute.value):
        old = shown(attribute)
        attribute.name, attribute.value = name, value
        _record(session, "attribute_changed", user_id, attribute, old=old)
    return attribute


def delete(session: Session, user_id: int, workflow: Workflow, attribute_id: int, *, anyway: bool) -> Attribute:
    """Put the attribute aside; `restore` takes it back.

    Raises errors.NotFound when there is none, errors.Conflict with the list of uses when there are any and `anyway`
    does not say that this is known.
    """
    attribute = get(session, workflow, attribute_id)
    if not anyway and (found := uses.of(session, workflow, f"a{attribute.id}")):
        raise errors.Conflict(
            f"“{attribute.name}” is used in {', '.join(found)}. Without it these messages can’t be sent until "
            "they are repaired."
        )
    needs.lose(session, workflow.id, {f"a{attribute.id}"}, _gone(attribute))
    attribute.deleted_at = clock.now()
    _record(session, "attribute_deleted", user_id, attribute)
    return attribute


def restore(session: Session, user_id: int, workflow: Workflow, attribute_id: int) -> Attribute:
    """Take a deleted attribute back.

    Raises errors.NotFound when there is none, errors.Conflict when its name belongs to something else by now.
    """
    attribute = get(session, workflow, attribute_id, in_trash=True)
    if problem := namespace.taken(session, workflow.id, attribute.name):
        raise errors.Conflict(f"“{attribute.name}” can’t come back. {problem}")
    attribute.deleted_at = None
    needs.regain(session, workflow.id, _gone(attribute))
    _record(session, "attribute_restored", user_id, attribute)
    return attribute


def _gone(attribute: Attribute) -> str:
    return f"The attribute “{attribute.name}” was deleted."


def _checked(session: Session, workflow: Workflow, form: AttributeForm, but: str = "") -> tuple[str, str]:
    session.execute(select(Workflow.id).where(Workflow.id == workflow.id).with_for_update())
    problems = {}
    name, value = names.tidy(form.name), form.value.strip().replace("\r\n", "\n")
    if problem := names.problem(name) or namespace.taken(session, workflow.id, name, but=but):
        problems["name"] = problem
    if not value:
        problems["value"] = "Type a value."
    elif len(value) > MAX_LENGTH:
        problems["value"] = f"Use at most {MAX_LENGTH:,} characters; this has {len(value):,}."
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
    return name, value


def _record(session: Session, kind: str, user_id: int, attribute: Attribute, **detail: Any) -> None:
    audit.record(
        session, kind, workflow_id=attribute.workflow_id, user_id=user_id, name=attribute.name, attribute=attribute.id,
        value=attribute.value, **detail,
    )  # fmt: skip
