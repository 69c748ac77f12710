"""The texts that administrators gave to the mail about ended sendings; the latest counts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class NoticeText(Base):
    """One version of the mail: `subject` and `text` speak of values as "c3", see `words`."""

    __tablename__ = "notice_text"

    id: Mapped[Id]
    from_name: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    saved_at: Mapped[datetime]
