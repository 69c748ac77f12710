"""Workflows: find, create, rename, delete, restore. `get` is the only way to any object of a workflow."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.audit import service as audit
from chalicelib.workflows.models import Member, Workflow

MAX_NAME_LENGTH = 200
#: Deleted workflows can be restored for this long.
TRASH = timedelta(days=30)


def get(session: Session, user_id: int, workflow_id: int, role: WorkflowRole, *, in_trash: bool = False) -> Workflow:
    """Return the workflow if the user has at least `role` in it.

    Raises errors.NotFound when there is none or it is not theirs, errors.Forbidden when their role is too small.
    """
    return get_with_role(session, user_id, workflow_id, role, in_trash=in_trash)[0]


def get_with_role(
    session: Session, user_id: int, workflow_id: int, role: WorkflowRole, *, in_trash: bool = False
) -> tuple[Workflow, WorkflowRole]:
    """Return the workflow and the user's role in it; raises as `get` does."""
    row = session.execute(
        select(Workflow, Member.role)
        .join(Member, Member.workflow_id == Workflow.id)
        .where(Workflow.id == workflow_id, Member.user_id == user_id)
        .where(Workflow.deleted_at.is_not(None) if in_trash else Workflow.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        raise errors.NotFound
    workflow, held = row
    if not WorkflowRole(held).covers(role):
        raise errors.Forbidden(f"You are a {held} of this workflow; this needs a {role}.")
    return workflow, WorkflowRole(held)


def create(session: Session, user_id: int, name: str, description: str = "", time_zone: str = "UTC") -> Workflow:
    """Create an empty workflow owned by the user.

    Raises errors.Invalid when the name is empty, too long or already used by one of the user's workflows.
    """
    now = clock.now()
    workflow = Workflow(
        name=_checked_name(session, user_id, name), description=description.strip(), time_zone=time_zone,
        created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(workflow)
    session.flush()
    session.add(Member(workflow_id=workflow.id, user_id=user_id, role=WorkflowRole.OWNER, created_at=now))
    audit.record(session, "workflow_created", workflow_id=workflow.id, user_id=user_id, name=workflow.name)
    session.flush()
    return workflow


def rename(session: Session, user_id: int, workflow: Workflow, name: str, description: str) -> None:
    """Give the workflow another name and description.

    Raises errors.Invalid as `create` does.
    """
    old = workflow.name
    workflow.name = _checked_name(session, user_id, name, but=workflow.id)
    workflow.description = description.strip()
    workflow.updated_at = clock.now()
    audit.record(session, "workflow_renamed", workflow_id=workflow.id, user_id=user_id, old=old, new=workflow.name)


def delete(session: Session, user_id: int, workflow: Workflow) -> None:
    """Move the workflow to the trash; `restore` takes it back within 30 days."""
    workflow.deleted_at = clock.now()
    audit.record(session, "workflow_deleted", workflow_id=workflow.id, user_id=user_id, name=workflow.name)


def restore(session: Session, user_id: int, workflow: Workflow) -> None:
    """Take the workflow out of the trash, under another name when its own is in use by now."""
    name, number = workflow.name, 2
    while _is_used(session, user_id, name, but=workflow.id):
        name, number = f"{workflow.name} ({number})", number + 1
    workflow.name, workflow.deleted_at = name, None
    audit.record(session, "workflow_restored", workflow_id=workflow.id, user_id=user_id, name=name)


def touch(workflow: Workflow) -> None:
    """Note that something in the workflow changed now."""
    workflow.updated_at = clock.now()


def _checked_name(session: Session, user_id: int, name: str, but: int | None = None) -> str:
    name = " ".join(name.split())
    if not name:
        raise errors.Invalid("The workflow needs a name.", {"name": "Type a name, such as “Biology 101, 2026”."})
    if len(name) > MAX_NAME_LENGTH:
        raise errors.Invalid(
            "The name is too long.",
            {"name": f"Use at most {MAX_NAME_LENGTH} characters; this has {len(name)}."},
        )
    if _is_used(session, user_id, name, but):
        raise errors.Invalid("The name is in use.", {"name": "You already have a workflow with this name."})
    return name


def _is_used(session: Session, user_id: int, name: str, but: int | None) -> bool:
    found = session.scalar(
        select(Workflow.id)
        .join(Member, Member.workflow_id == Workflow.id)
        .where(Member.user_id == user_id, Member.role == WorkflowRole.OWNER)
        .where(Workflow.name == name, Workflow.deleted_at.is_(None), Workflow.id != (but or 0))
        .limit(1)
    )
    return found is not None
