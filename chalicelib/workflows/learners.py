"""Learners with access: everybody whose address is in one column of the table.

People choose the column; the rest follows from the data. A job makes accounts for new addresses and lets go those that
have left the column, after every change of the table; nobody is mailed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import errors, seals
from chalicelib.accounts import service as accounts
from chalicelib.accounts.models import User
from chalicelib.audit import service as audit
from chalicelib.database.base import LEARNERS
from chalicelib.delivery.audience import BLANKS
from chalicelib.delivery.order import ADDRESS_PATTERN, MAX_ADDRESS_LENGTH, MAX_LOCAL_LENGTH
from chalicelib.schedules import service as schedules
from chalicelib.tables import queries as tables
from chalicelib.workflows.models import Learner, Workflow

REFRESH = "workflows.learners"
#: So many bad addresses are listed; the rest is counted.
MAX_LISTED = 1000


@dataclass(frozen=True)
class Bad:
    """A row whose address can't be used: what it is, why, and the learner's key."""

    row_id: int
    key: str
    address: str
    why: str


@dataclass(frozen=True)
class Addresses:
    """What is in a column of addresses."""

    good: int
    bad_count: int
    bad: list[Bad]


def candidates(session: Session, workflow: Workflow) -> list[tuple[int, str]]:
    """Return id and name of the columns that can say who the learners are: texts that tell learners apart."""
    found = tables.columns(session, workflow.id) if workflow.row_count is not None else []
    return [(column.id, column.name) for column in found if column.is_key and column.type == "text"]


def choose(session: Session, user_id: int, workflow: Workflow, column_id: int | None, *, seen: str = "") -> None:
    """Give access to everybody in the column, or to nobody; `seen` is the seal of what the form showed.

    Raises errors.Invalid (field `column`) when it is no such column or has a bad address: nothing is changed then;
    seals.Stale when somebody else chose another one meanwhile.
    """
    session.refresh(workflow, with_for_update=True)
    names = dict(candidates(session, workflow))
    if column_id is not None and column_id not in names:
        raise errors.Invalid("Choose another column.", {"column": "Choose a column of texts that is a key."})
    who = audit.who_last(session, workflow.id, ["learners_chosen", "learners_reset"])
    now = names.get(workflow.learner_column_id or 0, "no access")
    seals.check(seen, shown(workflow), {"column": column_id}, who=who, shown={"column": now})
    if column_id == workflow.learner_column_id:
        return
    if column_id is not None and (count := look(session, workflow, column_id).bad_count):
        are = "addresses in this column are" if count > 1 else "address in this column is"
        message = f"{count:,} {are} not usable: see the list. Correct them in the table, or choose another column."
        raise errors.Invalid(message, {"column": message})
    workflow.learner_column_id = column_id
    audit.record(
        session, "learners_chosen", workflow_id=workflow.id, user_id=user_id, name=names.get(column_id or 0, "nobody")
    )
    ask_refresh(session, workflow)


def shown(workflow: Workflow) -> dict[str, int | None]:
    """Return what the form shows."""
    return {"column": workflow.learner_column_id}


def look(session: Session, workflow: Workflow, column_id: int) -> Addresses:
    """Return how many addresses of the column can be used, and which can't."""
    keys = [column for column in tables.columns(session, workflow.id) if column.is_key]
    label = next((column.id for column in keys if column.id != column_id), column_id)
    found = _addresses(workflow.id, column_id, label)
    why = sa.case(
        (found.c.email == "", "is empty"), (_is_bad(found.c.email), "is no e-mail address"),
        (found.c.shared > 1, "belongs to another row, too"), else_="",
    )  # fmt: skip
    judged = sa.select(found, why.label("why")).subquery("judged")
    good, bad_count = session.execute(
        sa.select(sa.func.count().filter(judged.c.why == ""), sa.func.count().filter(judged.c.why != ""))
    ).one()
    query = sa.select(judged.c.row_id, judged.c.key, judged.c.address, judged.c.why).where(judged.c.why != "")
    bad = [Bad(*row) for row in session.execute(query.order_by(judged.c.row_id).limit(MAX_LISTED))]
    return Addresses(good, bad_count, bad)


def count(session: Session, workflow_id: int) -> int:
    """Return how many learners have access."""
    query = sa.select(sa.func.count()).select_from(Learner).where(Learner.workflow_id == workflow_id)
    return session.scalar(query) or 0


def data_changed(session: Session, workflow: Workflow) -> None:
    """Have the learners follow a change of the table; a column that is gone means that nobody has access any more."""
    if workflow.learner_column_id is None:
        return
    if _is_column_gone(session, workflow):
        _reset(session, workflow)
    else:
        ask_refresh(session, workflow)


def ask_refresh(session: Session, workflow: Workflow) -> None:
    """Have the accounts brought up to date by a job."""
    schedules.enqueue_once(session, REFRESH, workflow.id)


def with_column(session: Session) -> list[int]:
    """Return the workflows whose learners have access."""
    query = sa.select(Workflow.id).where(Workflow.learner_column_id.is_not(None), Workflow.deleted_at.is_(None))
    return list(session.scalars(query))


def forget(session: Session, workflow_id: int, addresses: Collection[str]) -> list[int]:
    """Let the learners with these addresses go from the workflow; return their accounts, which stay."""
    theirs = sa.select(User.id).where(User.email.in_(addresses))
    gone = sa.delete(Learner).where(Learner.workflow_id == workflow_id, Learner.user_id.in_(theirs))
    session.execute(gone)
    return list(session.scalars(theirs.where(User.role == "learner")))


def refresh_by_id(session: Session, workflow_id: int) -> dict[str, int] | None:
    """Make accounts for new addresses, and let go those that have left: a few statements, however many there are."""
    workflow = session.scalar(sa.select(Workflow).where(Workflow.id == workflow_id).with_for_update())
    if workflow is None:
        return None
    if workflow.learner_column_id is not None and _is_column_gone(session, workflow):
        _reset(session, workflow)
    if workflow.learner_column_id is None:
        session.execute(sa.delete(Learner).where(Learner.workflow_id == workflow_id))
        return {"learners": 0}
    good = _good_addresses(session, workflow_id, workflow.learner_column_id)
    made = accounts.add_learners(session, good)
    wanted = sa.select(User.id).where(User.email.in_(good))
    gone = _done(
        session, sa.delete(Learner).where(Learner.workflow_id == workflow_id, Learner.user_id.not_in(wanted))
    )  # fmt: skip
    known = sa.select(Learner.user_id).where(Learner.workflow_id == workflow_id)
    rows = sa.select(sa.literal(workflow_id, sa.BigInteger), User.id).where(User.id.in_(wanted), User.id.not_in(known))
    added = _done(session, sa.insert(Learner).from_select(["workflow_id", "user_id"], rows))
    if added or gone:
        audit.record(
            session, "learners_updated", workflow_id=workflow_id, added=added, gone=gone, accounts=made,
            total=count(session, workflow_id),
        )  # fmt: skip
    return {"added": added, "gone": gone, "accounts": made}


def _good_addresses(session: Session, workflow_id: int, column_id: int) -> sa.Select[tuple[str]]:
    """Work out the usable addresses once, as a table that the transaction takes with it, and return the way to it."""
    kept = sa.table("good_address", sa.column("email", sa.Text))
    session.execute(sa.text("CREATE TEMPORARY TABLE IF NOT EXISTS good_address (email text) ON COMMIT DROP"))
    session.execute(sa.delete(kept))
    found = _addresses(workflow_id, column_id, column_id)
    usable = (found.c.email != "", found.c.shared == 1, sa.not_(_is_bad(found.c.email)))
    session.execute(sa.insert(kept).from_select(["email"], sa.select(found.c.email).where(*usable)))
    session.execute(sa.text("ANALYZE good_address"))
    return sa.select(kept.c.email)


def _done(session: Session, statement: sa.Delete | sa.Insert) -> int:
    """Carry out a change of many rows and return their number."""
    changed = session.execute(statement, execution_options={"synchronize_session": False})
    return int(changed.rowcount)  # type: ignore[attr-defined]


def _is_column_gone(session: Session, workflow: Workflow) -> bool:
    return workflow.row_count is None or workflow.learner_column_id not in tables.infos(session, workflow.id)


def _reset(session: Session, workflow: Workflow) -> None:
    workflow.learner_column_id = None
    session.execute(sa.delete(Learner).where(Learner.workflow_id == workflow.id))
    audit.record(session, "learners_reset", workflow_id=workflow.id)


def _addresses(workflow_id: int, column_id: int, label_id: int) -> sa.Subquery:
    """Return every row as (row_id, key, address, email, shared): `email` in lower case, `shared` by so many rows."""
    names = [f"c{key}" for key in {column_id, label_id}]
    table = sa.table(f"w{workflow_id}", *map(sa.column, ["row_id", *names]), schema=LEARNERS)
    address = sa.func.coalesce(sa.func.btrim(sa.cast(table.c[f"c{column_id}"], sa.Text), BLANKS), "")
    each = sa.select(
        table.c.row_id, sa.cast(table.c[f"c{label_id}"], sa.Text).label("key"), address.label("address"),
        sa.func.lower(address).label("email"),
    ).subquery("each")  # fmt: skip
    shared = sa.func.count().over(partition_by=each.c.email)
    return sa.select(each, shared.label("shared")).subquery("addresses")


def _is_bad(email: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.or_(
        sa.func.length(email) > MAX_ADDRESS_LENGTH,
        sa.func.strpos(email, "@") > MAX_LOCAL_LENGTH + 1,
        email.op("!~")(sa.literal(ADDRESS_PATTERN)),
    )
