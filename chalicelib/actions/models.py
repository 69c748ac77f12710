"""Actions and their conditions. Texts and formulas hold ids; names are looked up when somebody sees them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, false, text
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class Action(Base):
    """One action, of one of the kinds in `kinds`. `version` counts saves of the text: a stale save can be refused.

    While `view_id` is set the filter is that view's: whoever changes one of them changes both. `is_shuffled`: each
    learner sees the questions of a form in an order of their own. `kept` holds parts of an
    imported message that no page shows yet, such as the questions of a survey; see docs/export-format.md. `target` is
    where JSON goes: `url`, `method`, `headers`, `is_form`.
    """

    __tablename__ = "action"

    id: Mapped[Id]
    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(default="personalised_text")
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    text: Mapped[str] = mapped_column(default="")
    version: Mapped[int] = mapped_column(default=1)
    filter: Mapped[dict[str, Any] | None]
    view_id: Mapped[int | None] = mapped_column(ForeignKey("view.id", ondelete="SET NULL"))
    send_defaults: Mapped[dict[str, Any]] = mapped_column(default=dict)
    kept: Mapped[dict[str, Any] | None]
    target: Mapped[dict[str, Any] | None]
    is_shuffled: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Condition(Base):
    """A named formula of an action; true or false for every learner, never unknown."""

    __tablename__ = "condition"
    __table_args__ = (
        Index(
            "uq_condition_action_id_name", "action_id", "name", unique=True,
            postgresql_where=text("deleted_at is null"),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    formula: Mapped[dict[str, Any]]
    position: Mapped[int]
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class TextVersion(Base):
    """A text of an action, by ids, as somebody left it; what they saved within a short while counts as one.

    The newest one is the action's text itself. Nobody wrote those that came with a copy or from a file.
    """

    __tablename__ = "text_version"
    __table_args__ = (Index("ix_text_version_action_id_id", "action_id", "id"),)

    id: Mapped[Id]
    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    text: Mapped[str]
    began_at: Mapped[datetime]
    saved_at: Mapped[datetime]


class TextDraft(Base):
    """What somebody wrote that could not be stored, as typed; `version` is that of the text they had changed."""

    __tablename__ = "text_draft"

    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True, index=True)
    text: Mapped[str]
    version: Mapped[int]
    saved_at: Mapped[datetime]


class ListChoice(Base):
    """How somebody wants lists of actions: in which order, as cards or as a table."""

    __tablename__ = "list_choice"

    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    sort: Mapped[str]
    layout: Mapped[str]
