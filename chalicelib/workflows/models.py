"""A workflow: one class, its table, its messages and the people who work on it."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class Workflow(Base):
    """One class. `row_count` is null while there is no table of learners.

    `learner_column_id` is the column of e-mail addresses whose owners may open what the workflow serves; null: nobody.
    `formats` are how its texts show numbers and times where they don't say it: see `actions.language.formats`.
    """

    __tablename__ = "workflow"

    id: Mapped[Id]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    time_zone: Mapped[str] = mapped_column(default="UTC")
    formats: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    row_count: Mapped[int | None]
    learner_column_id: Mapped[int | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Member(Base):
    """What somebody may do in a workflow; `role` is a value of `accounts.roles.WorkflowRole`.

    `is_starred` puts the workflow on top of this person's list. `shared_by` let them in; until they have opened the
    workflow, `is_new`, the list says so.
    """

    __tablename__ = "member"

    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True, index=True)
    role: Mapped[str]
    is_starred: Mapped[bool] = mapped_column(default=False, server_default="false")
    shared_by: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    is_new: Mapped[bool] = mapped_column(default=False, server_default="false")
    created_at: Mapped[datetime]


class Attribute(Base):
    """A name and a value of the workflow that texts can speak of. Deleted ones stay for texts that still do."""

    __tablename__ = "attribute"
    __table_args__ = (
        Index(
            "uq_attribute_workflow_id_name", "workflow_id", "name", unique=True,
            postgresql_where=text("deleted_at is null"),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"))
    name: Mapped[str]
    value: Mapped[str]
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Learner(Base):
    """Somebody whose address is in the workflow's column of learners. Kept up to date by a job, in bulk."""

    __tablename__ = "learner"

    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True, index=True)
