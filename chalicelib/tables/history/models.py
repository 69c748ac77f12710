"""The earlier tables that are kept when a bulk change replaces them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class TableVersion(Base):
    """The table as it was before a bulk change: `learners.v<id>`; `row_count` is null when there was none.

    `bytes` is what it takes on the disk, indexes included.
    """

    __tablename__ = "table_version"

    id: Mapped[Id]
    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    reason: Mapped[str]
    columns: Mapped[list[Any]]
    row_count: Mapped[int | None]
    bytes: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    created_at: Mapped[datetime]
