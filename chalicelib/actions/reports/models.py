"""What goes with a report."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class Attachment(Base):
    """A view that a report has as a file: `format` is csv or xlsx. The view may be gone; then the report waits."""

    __tablename__ = "attachment"
    __table_args__ = (UniqueConstraint("action_id", "view_id"),)

    id: Mapped[Id]
    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"))
    view_id: Mapped[int]
    format: Mapped[str]
    position: Mapped[int]
    created_at: Mapped[datetime]
