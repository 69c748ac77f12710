"""Rubrics and the files of reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "attachment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("action_id", sa.BigInteger(), nullable=False),
        sa.Column("view_id", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["action_id"], ["ontask.action.id"], name=op.f("fk_attachment_action_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachment")),
        sa.UniqueConstraint("action_id", "view_id", name=op.f("uq_attachment_action_id_view_id")),
        schema="ontask",
    )
    op.create_table(
        "criterion",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("action_id", sa.BigInteger(), nullable=False),
        sa.Column("column_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["action_id"], ["ontask.action.id"], name=op.f("fk_criterion_action_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_criterion")),
        schema="ontask",
    )
    op.create_index("ix_criterion_column_id", "criterion", ["column_id"], unique=False, schema="ontask")
    op.create_index(
        "uq_criterion_action_id_column_id",
        "criterion",
        ["action_id", "column_id"],
        unique=True,
        schema="ontask",
        postgresql_where=sa.text("deleted_at is null"),
    )
    op.create_table(
        "rubric_cell",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("criterion_id", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("feedback", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["criterion_id"], ["ontask.criterion.id"], name=op.f("fk_rubric_cell_criterion_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rubric_cell")),
        sa.UniqueConstraint(
            "criterion_id",
            "level",
            deferrable=True,
            initially="IMMEDIATE",
            name=op.f("uq_rubric_cell_criterion_id_level"),
        ),
        schema="ontask",
    )
