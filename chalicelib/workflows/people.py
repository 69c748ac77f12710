"""Who works on a workflow: share it, change roles, let somebody go, leave, hand it over to another owner."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors, seals
from chalicelib.accounts import service as accounts
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import STAFF, WorkflowRole
from chalicelib.audit import service as audit
from chalicelib.delivery import notes
from chalicelib.web.urls import absolute_url_for
from chalicelib.workflows import service
from chalicelib.workflows.models import Member, Workflow

#: Roles that can be given; there is one owner, and becoming that is a step of its own.
GIVEN = (WorkflowRole.VIEWER, WorkflowRole.EDITOR, WorkflowRole.SENDER)


def share(session: Session, user: User, workflow: Workflow, email: str, role: str) -> User:
    """Let somebody in, tell them by mail and on their list; return who it is.

    Raises errors.Invalid (fields `email`, `role`) when there is no such account, it is one's own, not an instructor's,
    or in already.
    """
    other = accounts.find_by_email(session, email)
    problems = {}
    if not email.strip():
        problems["email"] = "Type the address of a colleague’s account."
    elif other is None:
        problems["email"] = f"There is no account with the address {email.strip()}. Ask your administrator to make one."
    elif other.id == user.id:
        problems["email"] = "This is your own address: you own this workflow already."
    elif other.role not in STAFF or not other.is_active:
        problems["email"] = f"{other.email} is no instructor’s account, so they could not open the workflow."
    elif session.get(Member, (workflow.id, other.id)) is not None:
        problems["email"] = f"{other.email} is in already. Change the role in the list."
    if role not in GIVEN:
        problems["role"] = "Choose a role."
    if problems or other is None:
        raise errors.Invalid(next(iter(problems.values())), problems)
    _add(session, user, workflow, other, role)
    _record(session, "shared", user, workflow, other, role=role)
    notes.send(
        session, workflow.id, other.email, f"{user.name or user.email} shared “{workflow.name}” with you",
        f"{user.name or user.email} works on the workflow “{workflow.name}” in OnTask and has let you in as {role}.\n\n"
        f"Open it: {absolute_url_for('workflows.show_overview', workflow_id=workflow.id)}",
    )  # fmt: skip
    return other


def _add(session: Session, user: User, workflow: Workflow, other: User, role: str) -> None:
    session.add(
        Member(
            workflow_id=workflow.id, user_id=other.id, role=role, shared_by=user.id, is_new=True, is_starred=False,
            created_at=clock.now(),
        )
    )  # fmt: skip
    session.flush()


def change_role(session: Session, user: User, workflow: Workflow, user_id: int, role: str, *, seen: str = "") -> User:
    """Give somebody another role; `seen` is the seal of the role that was on the screen.

    Raises errors.NotFound when they are not in, errors.Invalid for the owner or an unknown role, seals.Stale when
    somebody else changed it meanwhile.
    """
    member, other = _member(session, workflow, user_id)
    if role not in GIVEN or member.role == WorkflowRole.OWNER:
        raise errors.Invalid("Choose a role.", {f"role-{user_id}": "Choose a role. Ownership is handed over below."})
    who = audit.who_last(session, workflow.id, ["role_changed", "shared"], name=other.email)
    try:
        seals.check(seen, {"role": member.role}, {"role": role}, who=who)
    except seals.Stale as error:
        raise seals.Stale({f"role-{user_id}": error.fields["role"]}) from error
    if member.role != role:
        _record(session, "role_changed", user, workflow, other, old=member.role, role=role)
        member.role = role
    return other


def remove(session: Session, user: User, workflow: Workflow, user_id: int) -> int:
    """Let somebody go and return the id of the event by which they can be let in again.

    Raises errors.NotFound when they are not in, errors.Conflict for the owner.
    """
    member, other = _member(session, workflow, user_id)
    if member.role == WorkflowRole.OWNER:
        raise errors.Conflict("The owner can’t be removed. Hand the workflow over to somebody else first.")
    session.delete(member)
    return _record(session, "left" if other.id == user.id else "unshared", user, workflow, other, role=member.role)


def let_in_again(session: Session, user: User, workflow: Workflow, event_id: int) -> User:
    """Undo a removal: the same person with the same role; nobody is mailed.

    Raises errors.NotFound for other events and people who have no account any more.
    """
    event = audit.get(session, workflow.id, event_id)
    other = session.get(User, event.detail.get("member", 0)) if event.type == "unshared" else None
    if other is None:
        raise errors.NotFound
    if session.get(Member, (workflow.id, other.id)) is None:
        _add(session, user, workflow, other, event.detail["role"])
        _record(session, "shared", user, workflow, other, role=event.detail["role"])
    return other


def transfer(session: Session, user: User, workflow: Workflow, user_id: int) -> User:
    """Make somebody who is in the owner; the one until now becomes a sender.

    Raises errors.NotFound when they are not in, errors.Invalid (field `owner`) when they are the owner already, can't
    own workflows or own one of this name.
    """
    session.refresh(workflow, with_for_update=True)
    member, other = _member(session, workflow, user_id)
    problem = ""
    if member.role == WorkflowRole.OWNER:
        problem = "Choose somebody else: this is the owner already."
    elif other.role not in STAFF or not other.is_active:
        problem = f"{other.email} is no instructor’s account any more."
    elif service.is_name_used(session, other.id, workflow.name):
        problem = f"{other.email} owns a workflow called “{workflow.name}” already. Rename this one first."
    if problem:
        raise errors.Invalid(problem, {"owner": problem})
    owners = select(Member).where(Member.workflow_id == workflow.id, Member.role == WorkflowRole.OWNER)
    for old in session.scalars(owners.with_for_update()):
        old.role = WorkflowRole.SENDER
    member.role = WorkflowRole.OWNER
    _record(session, "workflow_transferred", user, workflow, other)
    notes.send(
        session, workflow.id, other.email, f"You own “{workflow.name}” now",
        f"{user.name or user.email} has handed the workflow “{workflow.name}” over to you.\n\n"
        f"Open it: {absolute_url_for('workflows.show_overview', workflow_id=workflow.id)}",
    )  # fmt: skip
    return other


def note_opened(session: Session, workflow_id: int, user_id: int) -> None:
    """Forget that the workflow is new to this person."""
    member = session.get(Member, (workflow_id, user_id))
    if member is not None and member.is_new:
        member.is_new = False


def _member(session: Session, workflow: Workflow, user_id: int) -> tuple[Member, User]:
    row = session.execute(
        select(Member, User)
        .join(User, User.id == Member.user_id)
        .where(Member.workflow_id == workflow.id, Member.user_id == user_id)
        .with_for_update(of=Member)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise errors.NotFound("This person does not work on the workflow any more.")
    return row[0], row[1]


def _record(session: Session, kind: str, user: User, workflow: Workflow, other: User, **detail: Any) -> int:
    event = audit.record(
        session, kind, workflow_id=workflow.id, user_id=user.id, name=other.email, member=other.id, **detail
    )  # fmt: skip
    session.flush()
    return event.id
