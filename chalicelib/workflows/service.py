"""Workflows: find, create, rename, delete, restore. `get` is the only way to any object of a workflow."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import available_timezones

from sqlalchemy import select
from sqlalchemy.orm import Session, object_session

from chalicelib import clock, errors, seals
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role, WorkflowRole
from chalicelib.actions.language.formats import Formats
from chalicelib.actions.language.formats import read as read_formats
from chalicelib.audit import service as audit
from chalicelib.schedules import plans
from chalicelib.workflows import learners
from chalicelib.workflows.models import Member, Workflow

MAX_NAME_LENGTH = 1024
MAX_DESCRIPTION_LENGTH = 2048
#: Deleted workflows can be restored for this long.
TRASH = timedelta(days=30)


def get(session: Session, user_id: int, workflow_id: int, role: WorkflowRole, *, in_trash: bool = False) -> Workflow:
    """Return the workflow if the user has at least `role` in it.

    Raises errors.NotFound when there is none or it is not theirs, errors.Forbidden when their role is too small.
    """
    return get_with_role(session, user_id, workflow_id, role, in_trash=in_trash)[0]


def every(session: Session) -> list[Workflow]:
    """Return all workflows, those in the trash included, for administrators."""
    return list(session.scalars(select(Workflow).order_by(Workflow.id)))


def has_role(session: Session, user_id: int, workflow_id: int) -> bool:
    """Tell whether the user works on the workflow, in whatever role."""
    return session.get(Member, (workflow_id, user_id)) is not None


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


def reach(
    session: Session, user_id: int, workflow_id: int, role: WorkflowRole
) -> tuple[Workflow, WorkflowRole]:  # fmt: skip
    """Return what `get_with_role` does, for programs: those of administrators reach the workflows of others, too.

    The log says so, once a day. They send nothing there: what is sent is sent by somebody who works on the workflow.
    """
    try:
        return get_with_role(session, user_id, workflow_id, role)
    except (errors.NotFound, errors.Forbidden):
        user, workflow = session.get(User, user_id), session.get(Workflow, workflow_id)
        if user is None or user.role != Role.ADMIN or workflow is None or workflow.deleted_at is not None:
            raise
        if role is WorkflowRole.SENDER:
            message = "Administrators send nothing in the workflows of others. Have it shared with you as sender."
            raise errors.Forbidden(message) from None
        audit.record_daily(session, "workflow_reached", workflow.id, user_id, name=workflow.name)
        return workflow, WorkflowRole.OWNER


def create(session: Session, user_id: int, name: str, description: str = "", time_zone: str = "UTC") -> Workflow:
    """Create an empty workflow owned by the user.

    Raises errors.Invalid when the name is empty, too long or already used by one of the user's workflows, or the
    description is too long.
    """
    now = clock.now()
    name, description = _checked(session, user_id, name, description)
    workflow = Workflow(name=name, description=description, time_zone=time_zone, created_at=now, updated_at=now)
    session.add(workflow)
    session.flush()
    session.add(Member(workflow_id=workflow.id, user_id=user_id, role=WorkflowRole.OWNER, created_at=now))
    audit.record(session, "workflow_created", workflow_id=workflow.id, user_id=user_id, name=workflow.name)
    session.flush()
    return workflow


def shown(workflow: Workflow) -> dict[str, str]:
    """Return what the form of the workflow's settings shows."""
    return {"name": workflow.name, "description": workflow.description}


def rename(
    session: Session, user_id: int, workflow: Workflow, name: str, description: str, *, seen: str = ""
) -> None:  # fmt: skip
    """Give the workflow another name and description; `seen` is the seal of what the form showed.

    Raises errors.Invalid as `create` does: names are unique among the owner's workflows, whoever renames. Raises
    seals.Stale when somebody else changed them meanwhile.
    """
    session.refresh(workflow, with_for_update=True)
    old = workflow.name
    name, description = _checked(session, owner_id(session, workflow.id), name, description, but=workflow.id)
    who = audit.who_last(session, workflow.id, ["workflow_renamed", "workflow_created"])
    seals.check(seen, shown(workflow), {"name": name, "description": description}, who=who)
    if (name, description) == (workflow.name, workflow.description):
        return
    workflow.name, workflow.description = name, description
    workflow.updated_at = clock.now()
    audit.record(session, "workflow_renamed", workflow_id=workflow.id, user_id=user_id, old=old, name=workflow.name)


def shown_formats(workflow: Workflow) -> dict[str, str]:
    """Return what the form of the workflow's formats shows."""
    formats = Formats.of(workflow.formats)
    decimals = "" if formats.decimals is None else str(formats.decimals)
    return {"time_zone": workflow.time_zone, "decimals": decimals, "date": formats.date}


def set_formats(
    session: Session, user_id: int, workflow: Workflow, time_zone: str, decimals: str, date: str, *, seen: str = ""
) -> None:  # fmt: skip
    """Have the workflow's texts show times in this zone, and numbers and times like this; `seen` is as for `rename`.

    Runs that are confirmed stay as they are. Raises errors.Invalid (fields `time_zone`, `decimals`, `date`),
    seals.Stale when somebody else changed them meanwhile.
    """
    session.refresh(workflow, with_for_update=True)
    problems: dict[str, str] = {}
    if time_zone not in available_timezones():
        problems["time_zone"] = "Choose one of the list, such as Europe/Madrid."
    try:
        formats = read_formats(decimals, date)
    except errors.Invalid as error:
        problems |= error.fields
    if problems:
        raise errors.Invalid("Some fields need another look.", problems)
    who = audit.who_last(session, workflow.id, ["workflow_formats_changed"])
    old, typed = shown_formats(workflow), {"time_zone": time_zone, "decimals": decimals, "date": formats.date}
    seals.check(seen, old, typed, who=who)
    if typed == old:
        return
    workflow.time_zone, workflow.formats, workflow.updated_at = time_zone, formats.stored(), clock.now()
    audit.record(
        session, "workflow_formats_changed", workflow_id=workflow.id, user_id=user_id, name=workflow.name, old=old,
        new=typed,
    )  # fmt: skip


def owner_id(session: Session, workflow_id: int) -> int:
    """Return the owner's user id."""
    owner = select(Member.user_id).where(Member.workflow_id == workflow_id, Member.role == WorkflowRole.OWNER)
    return session.scalars(owner).first() or 0


def star(session: Session, user_id: int, workflow: Workflow) -> bool:
    """Put the workflow on top of this person's list, or back into its place; return whether it is on top now."""
    member = session.get_one(Member, (workflow.id, user_id))
    member.is_starred = not member.is_starred
    kind = "workflow_starred" if member.is_starred else "workflow_unstarred"
    audit.record(session, kind, workflow_id=workflow.id, user_id=user_id, name=workflow.name)
    return member.is_starred


def delete(session: Session, user_id: int, workflow: Workflow) -> None:
    """Move the workflow to the trash; `restore` takes it back within 30 days."""
    workflow.deleted_at = clock.now()
    plans.go_with(session, user_id, workflow.id, workflow.deleted_at)
    audit.record(session, "workflow_deleted", workflow_id=workflow.id, user_id=user_id, name=workflow.name)


def restore(session: Session, user_id: int, workflow: Workflow) -> None:
    """Take the workflow out of the trash, under another name when its own is in use by now."""
    plans.come_back(session, user_id, workflow.id, workflow.deleted_at)
    workflow.name, workflow.deleted_at = free_name(session, user_id, workflow.name, workflow.id), None
    audit.record(session, "workflow_restored", workflow_id=workflow.id, user_id=user_id, name=workflow.name)


def touch(workflow: Workflow) -> None:
    """Note that something in the workflow's table changed now."""
    workflow.updated_at = clock.now()
    session = object_session(workflow)
    if session is not None:
        learners.data_changed(session, workflow)


def copy_name(session: Session, user_id: int, name: str) -> str:
    """Return what a copy is called: "Copy of …", repeated until the user has no workflow of this name."""
    made = f"Copy of {name}"
    while len(made) <= MAX_NAME_LENGTH and is_name_used(session, user_id, made):
        made = f"Copy of {made}"
    return made if len(made) <= MAX_NAME_LENGTH else free_name(session, user_id, made[:MAX_NAME_LENGTH])


def free_name(session: Session, user_id: int, name: str, but: int | None = None) -> str:
    """Return the name, with the smallest number that makes it different from those of the user's other workflows."""
    made, number = name, 2
    while is_name_used(session, user_id, made, but):
        made, number = f"{name[: MAX_NAME_LENGTH - 8]} ({number})", number + 1
    return made


def _checked(
    session: Session, owner_id: int, name: str, description: str, but: int | None = None
) -> tuple[str, str]:  # fmt: skip
    name, description = " ".join(name.split()), description.strip().replace("\r\n", "\n")
    problems = {}
    if not name:
        problems["name"] = "Type a name, such as “Biology 101, 2026”."
    elif len(name) > MAX_NAME_LENGTH:
        problems["name"] = f"Use at most {MAX_NAME_LENGTH:,} characters; this has {len(name):,}."
    elif is_name_used(session, owner_id, name, but):
        problems["name"] = "There is a workflow with this name already."
    if len(description) > MAX_DESCRIPTION_LENGTH:
        problems["description"] = f"Use at most {MAX_DESCRIPTION_LENGTH:,} characters; this has {len(description):,}."
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
    return name, description


def is_name_used(session: Session, user_id: int, name: str, but: int | None = None) -> bool:
    """Tell whether the user owns another workflow of this name."""
    found = session.scalar(
        select(Workflow.id)
        .join(Member, Member.workflow_id == Workflow.id)
        .where(Member.user_id == user_id, Member.role == WorkflowRole.OWNER)
        .where(Workflow.name == name, Workflow.deleted_at.is_(None), Workflow.id != (but or 0))
        .limit(1)
    )
    return found is not None
