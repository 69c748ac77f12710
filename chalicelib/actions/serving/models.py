"""The address at which learners find an action."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base


class ServedLink(Base):
    """The link of an action: it works while `is_on` and between the two moments, null for no bound.

    `token` is its unguessable part. `column_id` is the column whose value must be the visitor's address.
    """

    __tablename__ = "served_link"

    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"), primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    is_on: Mapped[bool] = mapped_column(default=False)
    open_from: Mapped[datetime | None]
    open_until: Mapped[datetime | None]
    column_id: Mapped[int | None]
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
