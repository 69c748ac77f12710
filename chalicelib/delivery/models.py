"""Runs, their messages, what the mail service said about them, and how fast each lane may go."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, SQLColumnExpression, UniqueConstraint, exists, func, text
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id
from chalicelib.delivery.order import EACH

# -- the states of a run
SCHEDULED, HELD, RUNNING, PAUSED = "scheduled", "held", "running", "paused"
DONE, CANCELLED, FAILED = "done", "cancelled", "failed"
#: A run in one of these will never send anything any more.
ENDED = (DONE, CANCELLED, FAILED)

# -- the states of a message; HELD, CANCELLED and FAILED are shared with the run's
QUEUED, SENDING, SENT, DELIVERED = "queued", "sending", "sent", "delivered"
#: Not taken by the other system just now; queued again when its time has come.
WAITING = "waiting"
BOUNCED, COMPLAINED, SKIPPED, UNKNOWN = "bounced", "complained", "skipped", "unknown"
#: A message in one of these may still be handed to the mail service.
OPEN = (HELD, QUEUED, WAITING, SENDING)

#: Every update but "it was not sent" moves a message to a higher rank, so that news may come in any order.
RANKS = {
    HELD: 0, QUEUED: 10, WAITING: 10, SENDING: 20, UNKNOWN: 30, SKIPPED: 40, CANCELLED: 40, FAILED: 40,
    SENT: 50, DELIVERED: 60, BOUNCED: 70, COMPLAINED: 80,
}  # fmt: skip
#: A temporary bounce: more than "sent", but a delivery outweighs it (an out-of-office reply is such a bounce).
SOFT_BOUNCE_RANK = 55

# -- why a learner gets no message
BAD, EMPTY, DUPLICATE, SUPPRESSED, EXCLUDED = "bad", "empty", "duplicate", "suppressed", "excluded"
#: Why a report goes to nobody: it is about nobody.
NOBODY = "nobody"
#: Why an address gets no mail any more, beside BOUNCED and COMPLAINED.
UNSUBSCRIBED = "unsubscribed"

#: The lane of all mail, named for SES, through which it goes where no mail server is set.
MAIL = "ses"
#: The lanes of JSON begin with this; the host follows.
PUSH = "push:"

# -- who paused a run
BY_USER, BY_LANE = "user", "lane"


class Run(Base):
    """One sending of one message to many learners. Text, subject and formulas are as they were at the confirmation.

    `token` is of the form that was sent, so that sending it twice makes one run. `value_types` maps "c12" to
    the type of each column the text uses, `attributes` "a3" to the value and "m7" to a link's token; `kind` is the
    action's, `details` what only runs of that kind need and how values are shown; `cost` is recipients per message;
    `needs_opens_column`: a column for the opens is made before the planning.
    `correlation_id` is the request's in which it was confirmed.
    With `only_new` it goes only to those whom no earlier run of the same schedule has reached, but for runs that are
    forgotten (`is_forgotten`). `left_out` are values of the column of addresses whose learners get nothing, `copies`
    says what those in copy get, `attached` are files for everybody (see RunDraft).
    With `wants_notice` whoever sent it gets a mail when it is done, asked for at `noticed_at`.
    `snapshot_size`: the bytes of the workflow as it was when the rows were read, once it is stored.
    """

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_open", "lane", "state", postgresql_where=text("state not in ('done', 'cancelled', 'failed')")),
        Index("ix_run_workflow_id", "workflow_id", "id"),
        Index(
            "ix_run_unnoticed", "id", postgresql_where=text("wants_notice and noticed_at is null and state = 'done'")
        ),
    )  # fmt: skip

    id: Mapped[Id]
    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"))
    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    token: Mapped[str | None] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(default="personalised_text", server_default="personalised_text")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    state: Mapped[str]
    lane: Mapped[str] = mapped_column(default=MAIL)
    subject: Mapped[str]
    text: Mapped[str]
    conditions: Mapped[list[Any]] = mapped_column(default=list)
    filter: Mapped[dict[str, Any] | None]
    value_types: Mapped[dict[str, Any]] = mapped_column(default=dict)
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    time_zone: Mapped[str] = mapped_column(default="UTC")
    to_column_id: Mapped[int]
    from_name: Mapped[str] = mapped_column(default="")
    reply_to: Mapped[str] = mapped_column(default="")
    cc: Mapped[list[Any]] = mapped_column(default=list)
    bcc: Mapped[list[Any]] = mapped_column(default=list)
    cost: Mapped[int] = mapped_column(default=1)
    track_opens: Mapped[bool] = mapped_column(default=False)
    track_clicks: Mapped[bool] = mapped_column(default=False)
    skip_rows: Mapped[list[Any]] = mapped_column(default=list)
    leave_out_duplicates: Mapped[bool] = mapped_column(default=True)
    opens_column_id: Mapped[int | None]
    needs_opens_column: Mapped[bool] = mapped_column(default=False)
    due_at: Mapped[datetime | None]
    release_at: Mapped[datetime | None]
    planned_at: Mapped[datetime | None]
    planned: Mapped[int] = mapped_column(default=0)
    paused_by: Mapped[str] = mapped_column(default="")
    pause_reason: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    correlation_id: Mapped[str] = mapped_column(default="")
    schedule_id: Mapped[int | None] = mapped_column(index=True)
    only_new: Mapped[bool] = mapped_column(default=False, server_default="false")
    is_forgotten: Mapped[bool] = mapped_column(default=False, server_default="false")
    wants_notice: Mapped[bool] = mapped_column(default=False, server_default="false")
    noticed_at: Mapped[datetime | None]
    left_out: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    copies: Mapped[str] = mapped_column(default=EACH, server_default="each")
    attached: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    wants_snapshot: Mapped[bool] = mapped_column(default=False, server_default="false")
    snapshot_size: Mapped[int | None]


class RunDraft(Base):
    """A send form that somebody is filling in, with every field as it was typed; `id` is the form's own.

    `left_out` are values of the column of addresses whose learners get nothing. `attached` are files for everybody:
    `key`, `name`, `content_type`, `size`, `version`; a version is known once the file has arrived.
    """

    __tablename__ = "run_draft"
    __table_args__ = (Index("ix_run_draft_user_id", "user_id", "action_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"), index=True)
    action_id: Mapped[int] = mapped_column(ForeignKey("action.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    fields: Mapped[dict[str, Any]]
    left_out: Mapped[list[Any]] = mapped_column(default=list)
    attached: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(index=True)


class Message(Base):
    """One mail to one learner, or one object to another system; made from `values` and `flags`, frozen by planning.

    `lease_until`: until then the worker that claimed it may hand it over. `in_doubt_at`: when nobody could say
    whether it was sent. `rank`: see RANKS. `machine_count`: opens and clicks of programs, which are in no other count.
    `retry_at`: when one that is WAITING is tried again; `answer`: what the other system said to an object.
    """

    __tablename__ = "message"
    __table_args__ = (
        Index(
            "ix_message_open", "lane", "state", "run_id", "id",
            postgresql_where=text("state in ('held', 'queued', 'sending')"),
        ),
        Index("ix_message_run_id_state", "run_id", "state", "id"),
        Index("ix_message_waiting", "lane", "retry_at", postgresql_where=text("state = 'waiting'")),
        Index("ix_message_opened", "run_id", postgresql_where=text("opened_at is not null")),
        UniqueConstraint("run_id", "row_id"),
    )  # fmt: skip

    id: Mapped[Id]
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    lane: Mapped[str]
    row_id: Mapped[int]
    recipient: Mapped[str]
    values: Mapped[dict[str, Any]]
    flags: Mapped[dict[str, Any]]
    state: Mapped[str]
    rank: Mapped[int]
    reason: Mapped[str] = mapped_column(default="", server_default="")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    cost: Mapped[int] = mapped_column(default=1, server_default="1")
    lease_until: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    in_doubt_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    open_count: Mapped[int] = mapped_column(default=0, server_default="0")
    clicked_at: Mapped[datetime | None]
    click_count: Mapped[int] = mapped_column(default=0, server_default="0")
    machine_count: Mapped[int] = mapped_column(default=0, server_default="0")
    ended_at: Mapped[datetime | None]
    ses_id: Mapped[str] = mapped_column(default="", server_default="")
    configuration_set: Mapped[str] = mapped_column(default="", server_default="")
    retry_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(default="", server_default="")


class MailEvent(Base):
    """What SES, a pixel or a link told about a message; the same news twice is one row.

    `is_machine`: an open or click of a program, such as a mail scanner, which counts for nobody.
    """

    __tablename__ = "mail_event"
    __table_args__ = (UniqueConstraint("message_id", "type", "at"),)

    id: Mapped[Id]
    message_id: Mapped[int] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"))
    type: Mapped[str]
    at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]
    is_machine: Mapped[bool] = mapped_column(default=False, server_default="false")


class Lane(Base):
    """How fast one channel may go, shared by all runs.

    `rate` is the limit and `pace` the present speed, in recipients per second; `next_slot` is when the next
    recipient may be served, or after a burst `rest_until`. `served_at` is when a worker last reserved, `helped_at`
    when one last called another to help, `wake_at` when the next wake-up is expected.
    """

    __tablename__ = "lane"

    name: Mapped[str] = mapped_column(primary_key=True)
    rate: Mapped[float]
    pace: Mapped[float]
    paced_at: Mapped[datetime]
    next_slot: Mapped[datetime]
    burst_used: Mapped[int] = mapped_column(default=0)
    quota: Mapped[int]
    sent_24h: Mapped[int] = mapped_column(default=0)
    counted_at: Mapped[datetime]
    limits_at: Mapped[datetime | None]
    rest_until: Mapped[datetime | None]
    served_at: Mapped[datetime | None]
    helped_at: Mapped[datetime | None]
    wake_at: Mapped[datetime | None]
    is_closed: Mapped[bool] = mapped_column(default=False)
    closed_until: Mapped[datetime | None]
    closed_reason: Mapped[str] = mapped_column(default="")


class LaneMinute(Base):
    """Recipients of one lane in one minute, kept for the rolling 24 hours of the quota."""

    __tablename__ = "lane_minute"

    lane: Mapped[str] = mapped_column(primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    sent: Mapped[int]


class Proof(Base):
    """Evidence that the events of a configuration set arrive: the latest claim of a message that one came for.

    `probed_at` is when a mail to SES's mailbox simulator was last sent to have such evidence.
    """

    __tablename__ = "mail_proof"

    configuration_set: Mapped[str] = mapped_column(primary_key=True)
    claimed_at: Mapped[datetime | None]
    probed_at: Mapped[datetime | None]


class Suppression(Base):
    """An address that gets no more mail: it bounced for good, complained or unsubscribed. Kept in lower case.

    `note` is what an administrator wrote who put it there.
    """

    __tablename__ = "suppression"

    address: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    at: Mapped[datetime]
    message_id: Mapped[int | None]
    note: Mapped[str] = mapped_column(default="", server_default="")


class OptOut(Base):
    """Somebody who wants no more mail of one workflow. The address is kept in lower case."""

    __tablename__ = "opt_out"

    workflow_id: Mapped[int] = mapped_column(ForeignKey("workflow.id", ondelete="CASCADE"), primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]


def wants_none(address: SQLColumnExpression[str], workflow_id: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Return what holds for an address that gets no mail, of this workflow or of any."""
    mine = (OptOut.workflow_id == workflow_id) & (OptOut.address == func.lower(address))
    return exists().where(Suppression.address == func.lower(address)) | exists().where(mine)
