"""Rubrics: a row is a criterion, which is a column of the table; a column is a level, one of its allowed values."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class Criterion(Base):
    """A row of a rubric. The allowed values of its column are the levels; all criteria of a rubric share them."""

    __tablename__ = "criterion"
    __table_args__ = (
        Index(
            "uq_criterion_action_id_column_id", "action_id", "column_id", unique=True,
            postgresql_where=text("deleted_at is null"),
        ),
        Index("ix_criterion_column_id", "column_id"),
    )  # fmt: skip

    id: Mapped[Id]
    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"))
    column_id: Mapped[int]
    position: Mapped[int]
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class RubricCell(Base):
    """What a level of a criterion means (`description`, for those who assess) and says to the learner (`feedback`).

    `level` is the value as `language.rubric.level` writes it. A cell whose level is gone waits for its return.
    """

    __tablename__ = "rubric_cell"
    # Deferrable: when two levels swap their names, both are there only at the end of the statement.
    __table_args__ = (UniqueConstraint("criterion_id", "level", deferrable=True, initially="IMMEDIATE"),)

    id: Mapped[Id]
    criterion_id: Mapped[int] = mapped_column(ForeignKey("criterion.id", ondelete="CASCADE"))
    level: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    feedback: Mapped[str] = mapped_column(default="")
