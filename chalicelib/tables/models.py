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


class View(Base):
    """Some columns in an order of their own, the rows for which `filter` holds (null: all), and how they are sorted.

    `columns` are ids; `sort` is a list of {"column": id, "descending": bool}. `version` counts saves, so that a stale
    one can be refused.
    """

    __tablename__ = "view"
    __table_args__ = (
        Index(
            "uq_view_workflow_id_name", "workflow_id", "name", unique=True,
            postgresql_where=text("deleted_at is null"),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    columns: Mapped[list[Any]]
    sort: Mapped[list[Any]] = mapped_column(default=list)
    filter: Mapped[dict[str, Any] | None]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class RowChange(Base):
    """What a row had before many were changed or deleted at once: values by column, such as {"c12": 5}."""

    __tablename__ = "row_change"

    event_id: Mapped[int] = mapped_column(ForeignKey("event.id", ondelete="CASCADE"), primary_key=True)
    row_id: Mapped[int] = mapped_column(primary_key=True)
    old: Mapped[dict[str, Any]]
