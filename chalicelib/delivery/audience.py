"""Who gets a mail and who does not, and from which values each mail is made: one SELECT over the learners' table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chalicelib.database.base import LEARNERS
from chalicelib.delivery.models import (
    BAD,
    CANCELLED,
    DUPLICATE,
    EMPTY,
    EXCLUDED,
    FAILED,
    SKIPPED,
    SUPPRESSED,
    Message,
    Run,
    Suppression,
)
from chalicelib.delivery.order import ADDRESS_PATTERN, MAX_ADDRESS_LENGTH, MAX_LOCAL_LENGTH
from chalicelib.formulas.check import Columns
from chalicelib.formulas.sql import SQL_TYPES, condition

#: PostgreSQL functions take 100 arguments: jsonb_build_object gets 50 pairs at a time.
PAIRS = 50
#: A message in one of these has reached nobody and never will.
NEVER_SENT = (SKIPPED, CANCELLED, FAILED)
#: Blanks that spreadsheets leave around an address, the no-break space among them.
BLANKS = " \t\r\n\u00a0\u200b\ufeff"


@dataclass(frozen=True, kw_only=True)
class Audience:
    """What decides who gets a mail. `values` and `conditions` are those the text uses; the rest is not copied.

    With `addresses` the column must hold e-mail addresses; without, every row that is not excluded takes part.
    `not_reached_by` leaves out those whom a run of this schedule has reached.
    """

    workflow_id: int
    to_column_id: int
    columns: Columns
    time_zone: str = "UTC"
    filter: dict[str, Any] | None = None
    conditions: Sequence[dict[str, Any]] = ()
    values: Sequence[int] = ()
    skip_rows: Sequence[int] = ()
    leave_out_duplicates: bool = True
    label_column_id: int | None = None
    only_rows: Sequence[int] | sa.Select[int] | None = None
    not_reached_by: int | None = None
    addresses: bool = True

    @property
    def learners(self) -> sa.TableClause:
        """The learners' table."""
        # A column that was deleted after the confirmation may still be in the table; if not, PostgreSQL says so.
        ids = sorted({*self.columns, *self.values, self.to_column_id})
        parts = [
            sa.column(f"c{key}", SQL_TYPES[self.columns[key].type] if key in self.columns else None) for key in ids
        ]  # fmt: skip
        return sa.table(f"w{self.workflow_id}", sa.column("row_id", sa.BigInteger), *parts, schema=LEARNERS)


def rows(audience: Audience) -> sa.Subquery:
    """Return every row of the filter as (row_id, address, reason, label, values, flags); reason "" means a mail.

    Raises errors.Invalid when a formula can't be run any more.
    """
    learners = audience.learners
    flags = [(f"k{item['id']}", _holds(audience, item["formula"], learners)) for item in audience.conditions]
    chosen = _chosen(
        audience,
        sa.select(
            learners.c.row_id,
            _address(audience, learners).label("address"),
            _excluded(audience, learners).label("excluded"),
            _label(audience, learners).label("label"),
            object_of([(f"c{key}", learners.c[f"c{key}"]) for key in audience.values]).label("values"),
            object_of(flags).label("flags"),
        ),
        learners,
    )
    picked = _once(chosen).subquery("picked")
    shared = _shared(audience) if audience.leave_out_duplicates else None
    made = sa.select(
        picked.c.row_id, picked.c.address, _reason(audience, picked, shared).label("reason"), picked.c.label,
        picked.c["values"], picked.c.flags,
    )  # fmt: skip
    if shared is not None:
        made = made.outerjoin_from(picked, shared, shared.c.address == sa.func.lower(picked.c.address))
    return _once(made).subquery("audience")


def _once(found: sa.Select[Any]) -> sa.Select[Any]:
    """Have every expression worked out once a row: without OFFSET they would be copied to wherever they are used."""
    return found.offset(sa.literal_column("0"))


def _chosen(audience: Audience, found: sa.Select[Any], learners: sa.TableClause) -> sa.Select[Any]:
    if audience.filter:
        found = found.where(_holds(audience, audience.filter, learners))
    if audience.not_reached_by is not None:
        found = found.where(sa.not_(_reached(audience.not_reached_by, learners)))
    if audience.only_rows is not None:
        found = found.where(learners.c.row_id.in_(audience.only_rows))
    return found


def _reached(schedule_id: int, learners: sa.TableClause) -> sa.ColumnElement[bool]:
    """Tell whether a run of the schedule has sent a message for the row, or is about to."""
    by_schedule = sa.select(Run.id).where(Run.schedule_id == schedule_id)
    return sa.exists().where(
        Message.run_id.in_(by_schedule), Message.row_id == learners.c.row_id, Message.state.not_in(NEVER_SENT)
    )


def _shared(audience: Audience) -> sa.Subquery:
    """Return the addresses that several rows have, and the first of these rows: only that one gets the mail.

    Few addresses are shared, so joining this costs less than numbering (and sorting) all rows.
    """
    learners = audience.learners
    each = sa.select(sa.func.lower(_address(audience, learners)).label("address"), learners.c.row_id)
    each = _chosen(audience, each, learners).where(sa.not_(_excluded(audience, learners)))
    all_ = each.subquery("each")
    found = sa.select(all_.c.address, sa.func.min(all_.c.row_id).label("first"))
    return found.group_by(all_.c.address).having(sa.func.count() > 1).subquery("shared")


def _holds(audience: Audience, formula: dict[str, Any], learners: sa.TableClause) -> sa.ColumnElement[bool]:
    return condition(formula, audience.columns, learners, audience.time_zone)


def _excluded(audience: Audience, learners: sa.TableClause) -> sa.ColumnElement[bool]:
    if not audience.skip_rows:
        return sa.false()
    skipped = sa.literal(list(audience.skip_rows), ARRAY(sa.BigInteger))
    return learners.c.row_id == sa.func.any(skipped)


def _address(audience: Audience, learners: sa.TableClause) -> sa.ColumnElement[str]:
    address = sa.cast(learners.c[f"c{audience.to_column_id}"], sa.Text)
    return sa.func.coalesce(sa.func.btrim(address, BLANKS), "")


def _reason(audience: Audience, picked: sa.Subquery, shared: sa.Subquery | None) -> sa.ColumnElement[str]:
    if not audience.addresses:
        return sa.case((picked.c.excluded, EXCLUDED), else_="")
    address = picked.c.address
    bad = sa.or_(
        sa.func.length(address) > MAX_ADDRESS_LENGTH,
        sa.func.strpos(address, "@") > MAX_LOCAL_LENGTH + 1,
        address.op("!~")(sa.literal(ADDRESS_PATTERN)),
    )
    suppressed = sa.exists().where(Suppression.address == sa.func.lower(address))
    whens: list[tuple[sa.ColumnElement[bool], str]] = [
        (picked.c.excluded, EXCLUDED), (address == "", EMPTY), (bad, BAD), (suppressed, SUPPRESSED),
    ]  # fmt: skip
    if shared is not None:
        whens.append((shared.c.first < picked.c.row_id, DUPLICATE))
    return sa.case(*whens, else_="")


def _label(audience: Audience, learners: sa.TableClause) -> sa.ColumnElement[str]:
    if audience.label_column_id is None:
        return sa.cast(learners.c.row_id, sa.Text)
    return sa.func.coalesce(sa.cast(learners.c[f"c{audience.label_column_id}"], sa.Text), "")


def object_of(pairs: list[tuple[str, sa.ColumnElement[Any]]]) -> sa.ColumnElement[Any]:
    """Return a jsonb object; the keys are made of ids, so they need no binding."""
    made: sa.ColumnElement[Any] = sa.literal_column("'{}'::jsonb", JSONB)
    for start in range(0, len(pairs), PAIRS):
        part = pairs[start : start + PAIRS]
        arguments = [item for name, value in part for item in (sa.literal_column(f"'{name}'", sa.Text), value)]
        built = sa.type_coerce(sa.func.jsonb_build_object(*arguments), JSONB)
        made = built if start == 0 else made.op("||")(built)
    return made
