"""What JSON for other systems needs: where it goes, its token, answers and pauses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "push_token",
        sa.Column("action_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["action_id"], ["ontask.action.id"], name=op.f("fk_push_token_action_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_push_token")),
        schema="ontask",
    )
    op.add_column(
        "action", sa.Column("target", postgresql.JSONB(astext_type=sa.Text()), nullable=True), schema="ontask"
    )
    op.add_column("message", sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True), schema="ontask")
    op.add_column("message", sa.Column("answer", sa.String(), server_default="", nullable=False), schema="ontask")
    op.create_index(
        "ix_message_waiting",
        "message",
        ["lane", "retry_at"],
        unique=False,
        schema="ontask",
        postgresql_where=sa.text("state = 'waiting'"),
    )
