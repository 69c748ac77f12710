"""The record: learners of events, opens of machines, mail of one workflow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "opt_out",
        sa.Column("workflow_id", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["ontask.workflow.id"], name=op.f("fk_opt_out_workflow_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workflow_id", "address", name=op.f("pk_opt_out")),
        schema="ontask",
    )
    op.add_column("event", sa.Column("row_id", sa.BigInteger(), nullable=True), schema="ontask")
    op.add_column("event", sa.Column("message_id", sa.BigInteger(), nullable=True), schema="ontask")
    op.add_column("event", sa.Column("outcome", sa.String(), server_default="", nullable=False), schema="ontask")
    op.add_column(
        "event",
        sa.Column("personal", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        schema="ontask",
    )
    op.create_index(
        "ix_event_action",
        "event",
        ["action_id", "at"],
        unique=False,
        schema="ontask",
        postgresql_where=sa.text("message_id is null"),
    )
    op.create_index("ix_event_at", "event", ["at", "id"], unique=False, schema="ontask")
    op.create_index(
        "ix_event_learner",
        "event",
        ["workflow_id", "row_id", "at"],
        unique=False,
        schema="ontask",
        postgresql_where=sa.text("row_id is not null"),
    )
    op.create_index(
        "ix_event_workflow_line",
        "event",
        ["workflow_id", "at", "id"],
        unique=False,
        schema="ontask",
        postgresql_where=sa.text("message_id is null"),
    )
    op.create_index(
        "ux_event_sent",
        "event",
        ["message_id"],
        unique=True,
        schema="ontask",
        postgresql_where=sa.text("type in ('message_sent', 'report_sent')"),
    )
    op.drop_constraint(op.f("fk_event_workflow_id"), "event", schema="ontask", type_="foreignkey")
    op.add_column(
        "mail_event", sa.Column("is_machine", sa.Boolean(), server_default="false", nullable=False), schema="ontask"
    )
    op.add_column(
        "message", sa.Column("machine_count", sa.BigInteger(), server_default="0", nullable=False), schema="ontask"
    )
    op.add_column("suppression", sa.Column("note", sa.String(), server_default="", nullable=False), schema="ontask")
    # Older events say whom they are about, too, and keep apart what is a learner's own.
    op.execute(
        "UPDATE ontask.event SET row_id = CAST(detail ->> 'row_id' AS bigint)"
        " WHERE jsonb_typeof(detail -> 'row_id') = 'number'"
    )
    move = sa.text(
        "UPDATE ontask.event SET detail = detail - CAST(:names AS text[]), personal = ("
        "SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(detail) WHERE key = ANY(:names))"
        " WHERE type = ANY(:types)"
    )
    for types, names in (
        (["cell_changed"], ["old", "new"]),
        (["row_added", "row_changed", "row_deleted"], ["name", "values", "hidden"]),
        (["survey_answered", "todo_answered"], ["values", "lost"]),
    ):
        op.get_bind().execute(move, {"types": types, "names": names})
