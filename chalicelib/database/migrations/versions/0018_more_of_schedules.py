"""More of schedules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Apply the change."""
    op.add_column("occurrence", sa.Column("step", sa.BigInteger(), server_default="0", nullable=False), schema="ontask")
    op.add_column(
        "run", sa.Column("is_forgotten", sa.Boolean(), server_default="false", nullable=False), schema="ontask"
    )
    op.add_column("schedule", sa.Column("description", sa.String(), server_default="", nullable=False), schema="ontask")
    op.add_column(
        "schedule",
        sa.Column("steps", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        schema="ontask",
    )
    op.add_column("schedule", sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True), schema="ontask")
    op.add_column(
        "schedule",
        sa.Column("addresses", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        schema="ontask",
    )
    op.add_column(
        "schedule", sa.Column("max_failures", sa.BigInteger(), server_default="3", nullable=False), schema="ontask"
    )
    op.alter_column("schedule", "action_id", existing_type=sa.BIGINT(), nullable=True, schema="ontask")
