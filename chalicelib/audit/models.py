"""The event log: what happened, when, by whom."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class Event(Base):
    """One thing that happened. `detail` holds what the line on screen needs, never secrets.

    What is a learner's own (values, answers, names) is apart in `personal`, so that it can be erased while the event
    stays; `row_id` is that learner, `message_id` the mail or object: whom it went to and what it said stands there.
    `workflow_id` outlives the workflow. `origin` is the door it came through, one of `origins`; `outcome` is empty when
    all went well; `correlation_id` leads to the technical log.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_workflow_at", "workflow_id", "at", "id"),
        # Time lines leave out what happened to single mails, which is most of the log.
        Index("ix_event_workflow_line", "workflow_id", "at", "id", postgresql_where=text("message_id is null")),
        Index("ix_event_learner", "workflow_id", "row_id", "at", postgresql_where=text("row_id is not null")),
        Index("ix_event_action", "action_id", "at", postgresql_where=text("message_id is null")),
        Index("ix_event_at", "at", "id"),
        # However often senders and SES tell of it: a message was sent once.
        Index(
            "ux_event_sent", "message_id", unique=True, postgresql_where=text("type in ('message_sent', 'report_sent')")
        ),
    )  # fmt: skip

    id: Mapped[Id]
    at: Mapped[datetime]
    type: Mapped[str]
    workflow_id: Mapped[int | None]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    action_id: Mapped[int | None]
    run_id: Mapped[int | None]
    row_id: Mapped[int | None]
    message_id: Mapped[int | None]
    origin: Mapped[str] = mapped_column(default="", server_default="")
    outcome: Mapped[str] = mapped_column(default="", server_default="")
    correlation_id: Mapped[str] = mapped_column(default="", server_default="")
    detail: Mapped[dict[str, Any]]
    personal: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")

    @property
    def facts(self) -> dict[str, Any]:
        """All that was noted, the learner's own among it as long as it is kept."""
        return {**self.detail, **self.personal}
