"""The secrets with which JSON goes to other systems. They belong to no copy and no file."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base


class PushToken(Base):
    """The token of an action, encrypted (see `sealing`)."""

    __tablename__ = "push_token"

    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[str]
    set_at: Mapped[datetime]
