"""Rests and helpers of lanes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Let lanes rest after a burst without holding up urgent mails, and workers call others."""
    op.add_column("lane", sa.Column("rest_until", sa.DateTime(timezone=True), nullable=True), schema="ontask")
    op.add_column("lane", sa.Column("helped_at", sa.DateTime(timezone=True), nullable=True), schema="ontask")
