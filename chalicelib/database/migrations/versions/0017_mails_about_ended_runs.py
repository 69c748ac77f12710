"""Mails about ended runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Let people ask for a mail when a run is through, and administrators write it."""
    op.create_table(
        "notice_text",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("from_name", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ontask.user.id"], name=op.f("fk_notice_text_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice_text")),
        schema="ontask",
    )
    op.add_column(
        "run", sa.Column("wants_notice", sa.Boolean(), server_default="false", nullable=False), schema="ontask"
    )
    op.add_column("run", sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=True), schema="ontask")
    op.create_index(
        "ix_run_unnoticed",
        "run",
        ["id"],
        unique=False,
        schema="ontask",
        postgresql_where=sa.text("wants_notice and noticed_at is null and state = 'done'"),
    )
