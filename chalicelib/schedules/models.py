"""Work for later, as rows: a lost or doubled queue message changes nothing."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"


class Job(Base):
    """One piece of long work; `kind` names its function, `correlation_id` the request that asked for it."""

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_open", "due_at", postgresql_where=text("state in ('queued', 'running')")),)

    id: Mapped[Id]
    kind: Mapped[str]
    workflow_id: Mapped[int | None] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(default=QUEUED)
    progress: Mapped[int] = mapped_column(default=0)
    message: Mapped[str] = mapped_column(default="")
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    correlation_id: Mapped[str] = mapped_column(default="")


# -- the states of a schedule
ACTIVE, OFF, BLOCKED, OVER = "active", "off", "blocked", "over"

# -- the states of an occurrence; RUNNING, DONE and FAILED are shared with jobs
SKIPPED = "skipped"


class Schedule(Base):
    """Something that is done at a time, or again and again: `kind` names its operation, `payload` what that is told.

    `crontab` is read in `time_zone`, from `starts_at` on; without one it is done once, at `starts_at`. `steps` are done
    one after the other when all before went well: each has a `kind`, an `action_id` and a `payload`. `next_at` is null
    while the schedule rests: switched off by somebody (`off`), after `max_failures` in a row or because it can't be
    done (`blocked`, `problem` says why), or with no time to come (`over`). `notify`: when to tell the owner and
    `addresses`, see `plans`. `version` counts what people saved.
    """

    __tablename__ = "schedule"
    __table_args__ = (Index("ix_schedule_next", "next_at", postgresql_where=text("next_at is not null")),)

    id: Mapped[Id]
    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"), index=True)
    action_id: Mapped[int | None] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    kind: Mapped[str]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="", server_default="")
    payload: Mapped[dict[str, Any]]
    steps: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    crontab: Mapped[str]
    time_zone: Mapped[str]
    starts_at: Mapped[datetime | None]
    until: Mapped[datetime | None]
    notify: Mapped[str]
    addresses: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    max_failures: Mapped[int] = mapped_column(default=3, server_default="3")
    state: Mapped[str]
    problem: Mapped[str] = mapped_column(default="")
    next_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Occurrence(Base):
    """One time at which a schedule was due, and what came of it; a moment happens once.

    `run_id` is the run that it has begun, of the step number `step`; until that has ended the occurrence is running.
    """

    __tablename__ = "occurrence"
    __table_args__ = (UniqueConstraint("schedule_id", "due_at"),)

    id: Mapped[Id]
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id", ondelete="CASCADE"))
    due_at: Mapped[datetime]
    state: Mapped[str]
    run_id: Mapped[int | None]
    step: Mapped[int] = mapped_column(default=0, server_default="0")
    message: Mapped[str] = mapped_column(default="")
    ended_at: Mapped[datetime | None]
