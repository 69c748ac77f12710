"""Copy a workflow: everything in it, none of its ids. One transaction, so that a copy that fails leaves nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions.language.syntax import Reference
from chalicelib.audit import service as audit
from chalicelib.schedules import service as schedules
from chalicelib.tables import store
from chalicelib.workflows import learners, parts, references, service
from chalicelib.workflows.models import Member, Workflow

CLONE = "workflows.clone"


@dataclass(frozen=True)
class Wish:
    """What to take over besides what is in the workflow."""

    shares: bool = False
    learners: bool = False


def ask(session: Session, user_id: int, workflow: Workflow, wish: Wish, token: str) -> int:
    """Have the workflow copied by a job and return its id. The form's token makes it safe to ask twice."""
    session.execute(sa.select(Workflow.id).where(Workflow.id == workflow.id).with_for_update())
    if token and (known := schedules.find(session, workflow.id, user_id, CLONE, {"token": token})):
        return known.id
    payload = {"token": token, "shares": wish.shares, "learners": wish.learners}
    return schedules.enqueue(session, CLONE, payload, workflow_id=workflow.id, user_id=user_id).id


def clone(session: Session, origin: Workflow, user_id: int, wish: Wish) -> Workflow:
    """Copy the workflow for the user, who owns the copy. Stars, runs, uploads, earlier tables and logs stay behind.

    It makes a table: call it from a job, inside `store.in_bulk`. Raises errors.Invalid when a text can't be read.
    """
    if origin.row_count is not None:  # nobody changes the table's shape meanwhile; readers and writers go on
        store.lock_shape(session, origin.id)
    rows = parts.read(session, origin.id)
    twin = service.create(
        session, user_id, service.copy_name(session, user_id, origin.name), origin.description, origin.time_zone
    )  # fmt: skip
    twin.formats = origin.formats
    new = parts.insert(session, rows, {f"w{origin.id}": f"w{twin.id}"})
    if origin.row_count is not None:
        twin.row_count = store.copy_table(session, origin.id, twin.id, _fields(rows["column"], new))
    if wish.shares:
        _copy_shares(session, origin.id, twin.id, user_id)
    if wish.learners and origin.learner_column_id is not None:
        walked = references.changed("workflow", {"learner_column_id": origin.learner_column_id}, new.__getitem__)
        twin.learner_column_id = walked["learner_column_id"]
        learners.ask_refresh(session, twin)
    audit.record(
        session, "workflow_cloned", workflow_id=origin.id, user_id=user_id, name=twin.name,
        old=origin.name, twin=twin.id,
    )  # fmt: skip
    session.flush()
    return twin


def _fields(columns: list[dict[str, Any]], new: dict[Reference, Reference]) -> dict[int, store.Field]:
    """Return the copies' columns by the originals' ids."""
    return {
        row["id"]: store.Field(
            int(new[f"c{row['id']}"][1:]), row["type"], is_key=row["is_key"] and row["deleted_at"] is None
        )
        for row in columns
    }


def _copy_shares(session: Session, origin_id: int, twin_id: int, user_id: int) -> None:
    """Let the same people in; somebody else's workflow has one owner, so the old one may do all but that."""
    role = sa.case((Member.role == WorkflowRole.OWNER, WorkflowRole.SENDER), else_=Member.role)
    others = sa.select(
        sa.literal(twin_id, sa.BigInteger), Member.user_id, role, sa.literal(user_id, sa.BigInteger), sa.true(),
        sa.literal(clock.now(), sa.DateTime(timezone=True)),
    ).where(Member.workflow_id == origin_id, Member.user_id != user_id)  # fmt: skip
    names = ["workflow_id", "user_id", "role", "shared_by", "is_new", "created_at"]
    session.execute(sa.insert(Member).from_select(names, others, include_defaults=False))
