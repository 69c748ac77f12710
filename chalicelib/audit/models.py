"""The event log: what happened, when, by whom."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class Event(Base):
    """One thing that happened. `detail` holds what the line on screen needs, never secrets.

    `origin` is the door it came through, one of `origins`; `correlation_id` leads to the technical log.
    """

    __tablename__ = "event"
    __table_args__ = (Index("ix_event_workflow_at", "workflow_id", "at", "id"),)

    id: Mapped[Id]
    at: Mapped[datetime]
    type: Mapped[str]
    workflow_id: Mapped[int | None] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    action_id: Mapped[int | None]
    run_id: Mapped[int | None]
    origin: Mapped[str] = mapped_column(default="", server_default="")
    correlation_id: Mapped[str] = mapped_column(default="", server_default="")
    detail: Mapped[dict[str, Any]]
