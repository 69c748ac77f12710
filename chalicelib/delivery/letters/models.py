"""Queue messages that failed."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class DeadLetter(Base):
    """A message that its queue gave up; without `found_at` one that has failed and is still tried.

    `queue` is one of service.NAMES, `reason` why it failed the last time, `tries` how often. It is about a lane, a
    job or a run. `ended_at`: when somebody had it sent again or put it away.
    """

    __tablename__ = "dead_letter"
    __table_args__ = (
        Index("ix_dead_letter_open", "id", postgresql_where=text("found_at is not null and ended_at is null")),
    )  # fmt: skip

    id: Mapped[Id]
    sqs_id: Mapped[str] = mapped_column(unique=True)
    queue: Mapped[str] = mapped_column(default="", server_default="")
    body: Mapped[str] = mapped_column(default="", server_default="")
    reason: Mapped[str] = mapped_column(default="", server_default="")
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    lane: Mapped[str] = mapped_column(default="", server_default="")
    job_id: Mapped[int | None]
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id", ondelete="SET NULL"), index=True)
    failed_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    found_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
