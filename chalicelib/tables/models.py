"""What a workflow's table of learners looks like. The rows themselves are in `learners.w<workflow id>`."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class Column(Base):
    """One column; its values are in `c<id>`. Deleted ones stay while a version, text or run refers to them.

    Outside `active_from` … `active_until` learners are not asked for it. `in_charts`: dashboards show it. `recipe`
    says how its values are worked out, when they are: see `columns.recipes`.
    """

    __tablename__ = "column"
    __table_args__ = (
        Index(
            "uq_column_workflow_id_name", "workflow_id", "name", unique=True,
            postgresql_where=text("deleted_at is null"),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"))
    name: Mapped[str]
    type: Mapped[str]
    is_key: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int]
    description: Mapped[str] = mapped_column(default="")
    allowed_values: Mapped[list[Any] | None]
    active_from: Mapped[datetime | None]
    active_until: Mapped[datetime | None]
    in_charts: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    recipe: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
