"""The questions of surveys, the items of to-do lists, and what was answered."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class Question(Base):
    """A question, an item or a heading of a form. What is asked, and when, is said by its column.

    `kind` is one of `kinds.KINDS`. A heading has no column but a `text`. `is_once`: the first answer stays. Only those
    for whom the condition holds are asked; one that is gone holds for everybody. `options` depend on the kind.
    """

    __tablename__ = "question"

    id: Mapped[Id]
    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"), index=True)
    column_id: Mapped[int | None]
    condition_id: Mapped[int | None]
    kind: Mapped[str]
    position: Mapped[int]
    text: Mapped[str] = mapped_column(default="")
    help: Mapped[str] = mapped_column(default="")
    is_required: Mapped[bool] = mapped_column(default=False)
    is_once: Mapped[bool] = mapped_column(default=False)
    due_at: Mapped[datetime | None]
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Answer(Base):
    """What somebody sent for one learner: `values` by field, such as {"c12": "yes"}, null for an answer taken back.

    It is here at once and in the table when a job has put it there (`applied_at`), so that nobody waits for the table.
    """

    __tablename__ = "answer"
    __table_args__ = (
        Index("ix_answer_workflow_id_id_waiting", "workflow_id", "id", postgresql_where=text("applied_at is null")),
        Index("ix_answer_action_id_row_id", "action_id", "row_id"),
    )

    id: Mapped[Id]
    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"))
    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"))
    row_id: Mapped[int]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    origin: Mapped[str]
    values: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]


class Draft(Base):
    """A form that somebody has begun: what was typed by question, such as {"q5": ["yes"]}, and the page they are on."""

    __tablename__ = "answer_draft"

    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"), primary_key=True)
    row_id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    typed: Mapped[dict[str, Any]]
    page: Mapped[int]
    updated_at: Mapped[datetime]
