"""Who gets a mail and who does not, and from which values each mail is made: one SELECT over the learners' table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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
    wants_none,
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


class Reaching(Protocol):
    """An order or a run that a schedule may have asked for."""

    @property
    def schedule_id(self) -> int | None:
        """The schedule."""

    @property
    def only_new(self) -> bool:
        """Whether it is for those alone whom the schedule has not reached yet."""


@dataclass(frozen=True, kw_only=True)
class Audience:
    """What decides who gets a mail. `values` and `conditions` are those the text uses; the rest is not copied.

    Without `with_content` they only tell which mails are the same; nothing is copied, and a count costs less.
    With `addresses` the column must hold e-mail addresses; without, every row that is not excluded takes part.
    `not_reached_by`, a schedule and an action: those whom the one has reached with the other do not take part.
    `left_out` are values of the column `to_column_id`: every row with one of them is excluded.
    """

    workflow_id: int
    to_column_id: int
    columns: Columns
    time_zone: str = "UTC"
    filter: dict[str, Any] | None = None
    conditions: Sequence[dict[str, Any]] = ()
    values: Sequence[int] = ()
    skip_rows: Sequence[int] = ()
    left_out: Sequence[str] = ()
    leave_out_duplicates: bool = True
    label_column_id: int | None = None
    only_rows: Sequence[int] | sa.Select[int] | None = None
    not_reached_by: tuple[int, int] | None = None
    addresses: bool = True
    with_content: bool = True

    @property
    def learners(self) -> sa.TableClause:
        """The learners' table."""
        # A column that was deleted after the confirmation may still be in the table; if not, PostgreSQL says so.
        ids = sorted({*self.columns, *self.values, self.to_column_id})
        parts = [
            sa.column(f"c{key}", SQL_TYPES[self.columns[key].type] if key in self.columns else None) for key in ids
        ]  # fmt: skip
        return sa.table(f"w{self.workflow_id}", sa.column("row_id", sa.BigInteger), *parts, schema=LEARNERS)


def only_new(order: Reaching, action_id: int) -> tuple[int, int] | None:
    """Return what makes an audience one of those whom a schedule has not reached yet, if the order or run says so."""
    return (order.schedule_id, action_id) if order.only_new and order.schedule_id is not None else None


def rows(audience: Audience) -> sa.Subquery:
    """Return every row of the filter as (row_id, address, reason, label, values, flags); reason "" means a mail.

    Raises errors.Invalid when a formula can't be run any more.
    """
    learners = audience.learners
    chosen = _chosen(
        audience,
        sa.select(
            learners.c.row_id,
            _address(audience, learners).label("address"),
            _excluded(audience, learners).label("excluded"),
            _label(audience, learners).label("label"),
            *(_content(audience, learners) if audience.with_content else _no_content()),
        ),
        learners,
    )
    picked = _once(chosen).subquery("picked")
    twins = _twins(audience) if audience.leave_out_duplicates else None
    made = sa.select(
        picked.c.row_id, picked.c.address, _reason(audience, picked, twins).label("reason"), picked.c.label,
        picked.c["values"], picked.c.flags,
    )  # fmt: skip
    if twins is not None:
        made = made.outerjoin_from(picked, twins, twins.c.row_id == picked.c.row_id)
    return _once(made).subquery("audience")


def _content(audience: Audience, learners: sa.TableClause) -> tuple[sa.Label[Any], sa.Label[Any]]:
    """Return what a mail is made from: the values and whether each condition holds."""
    flags = [(f"k{item['id']}", _holds(audience, item["formula"], learners)) for item in audience.conditions]
    shown = [(f"c{key}", learners.c[f"c{key}"]) for key in audience.values]
    return object_of(shown).label("values"), object_of(flags).label("flags")


def _no_content() -> tuple[sa.Label[Any], sa.Label[Any]]:
    return object_of([]).label("values"), object_of([]).label("flags")


def is_one_of(value: sa.ColumnElement[str], of: Sequence[str]) -> sa.ColumnElement[bool]:
    """Tell whether the value is among these. They may be many: as a subquery PostgreSQL looks them up in a hash."""
    listed = sa.cast(sa.literal(json.dumps(list(of)), sa.Text), JSONB)
    return value.in_(sa.select(sa.func.jsonb_array_elements_text(listed)))


def values(audience: Audience, also: Sequence[int], search: str = "") -> sa.Subquery:
    """Return the values of the column `to_column_id` as (value, count, also0, also1, …): what rows have in common.

    With `search` only of rows that have this text in the value or in one of the columns `also`.
    """
    learners = audience.learners
    shown = [sa.func.coalesce(sa.cast(learners.c[f"c{key}"], sa.Text), "") for key in also]
    parts = [_address(audience, learners), *shown]
    names = ["value", *(f"also{number}" for number in range(len(also)))]
    labelled: list[Any] = [part.label(name) for part, name in zip(parts, names, strict=True)]
    each = _chosen(audience, sa.select(*labelled), learners)
    if search:
        each = each.where(sa.or_(*(part.icontains(search, autoescape=True) for part in parts)))
    one = each.subquery("each")
    together = [sa.func.string_agg(sa.distinct(one.c[name]), ", ").label(name) for name in names[1:]]
    found: sa.Select[Any] = sa.select(one.c.value, sa.func.count().label("count"), *together)
    return found.group_by(one.c.value).subquery("among")


def _once(found: sa.Select[Any]) -> sa.Select[Any]:
    """Have every expression worked out once a row: without OFFSET they would be copied to wherever they are used."""
    return found.offset(sa.literal_column("0"))


def _chosen(audience: Audience, found: sa.Select[Any], learners: sa.TableClause) -> sa.Select[Any]:
    if audience.filter:
        found = found.where(_holds(audience, audience.filter, learners))
    if audience.not_reached_by is not None:
        found = found.where(sa.not_(_reached(*audience.not_reached_by, learners)))
    if audience.only_rows is not None:
        found = found.where(learners.c.row_id.in_(audience.only_rows))
    return found


def _reached(schedule_id: int, action_id: int, learners: sa.TableClause) -> sa.ColumnElement[bool]:
    """Tell whether a run of the action by the schedule has sent a message for the row, or is about to."""
    by_schedule = sa.select(Run.id).where(
        Run.schedule_id == schedule_id, Run.action_id == action_id, sa.not_(Run.is_forgotten)
    )  # fmt: skip
    return sa.exists().where(
        Message.run_id.in_(by_schedule), Message.row_id == learners.c.row_id, Message.state.not_in(NEVER_SENT)
    )


def _twins(audience: Audience) -> sa.Subquery:
    """Return the rows whose mail is, to the letter, one that the same address gets for an earlier row.

    Few addresses are shared, so that looking at the mails of these costs less than numbering (and sorting) all rows.
    """
    learners = audience.learners
    address = sa.func.lower(_address(audience, learners))
    stays = sa.not_(_excluded(audience, learners))
    each = _chosen(audience, sa.select(address.label("address")), learners).where(stays, address != "").subquery("each")
    several = sa.select(each.c.address).group_by(each.c.address).having(sa.func.count() > 1)
    mails = sa.select(learners.c.row_id, address.label("address"), *_content(audience, learners))
    alike = _once(_chosen(audience, mails, learners).where(stays, address.in_(several))).subquery("alike")
    before = sa.func.row_number().over(
        partition_by=(alike.c.address, alike.c["values"], alike.c.flags), order_by=alike.c.row_id
    )
    numbered = sa.select(alike.c.row_id, before.label("number")).subquery("numbered")
    return sa.select(numbered.c.row_id).where(numbered.c.number > 1).subquery("twins")


def _holds(audience: Audience, formula: dict[str, Any], learners: sa.TableClause) -> sa.ColumnElement[bool]:
    return condition(formula, audience.columns, learners, audience.time_zone)


def _excluded(audience: Audience, learners: sa.TableClause) -> sa.ColumnElement[bool]:
    found: list[sa.ColumnElement[bool]] = []
    if audience.skip_rows:
        skipped = sa.literal(list(audience.skip_rows), ARRAY(sa.BigInteger))
        found.append(learners.c.row_id == sa.func.any(skipped))
    if audience.left_out:
        found.append(is_one_of(_address(audience, learners), audience.left_out))
    return sa.or_(*found) if found else sa.false()


def _address(audience: Audience, learners: sa.TableClause) -> sa.ColumnElement[str]:
    address = sa.cast(learners.c[f"c{audience.to_column_id}"], sa.Text)
    return sa.func.coalesce(sa.func.btrim(address, BLANKS), "")


def _reason(audience: Audience, picked: sa.Subquery, twins: sa.Subquery | None) -> sa.ColumnElement[str]:
    if not audience.addresses:
        return sa.case((picked.c.excluded, EXCLUDED), else_="")
    address = picked.c.address
    bad = sa.or_(
        sa.func.length(address) > MAX_ADDRESS_LENGTH,
        sa.func.strpos(address, "@") > MAX_LOCAL_LENGTH + 1,
        address.op("!~")(sa.literal(ADDRESS_PATTERN)),
    )
    suppressed = wants_none(address, audience.workflow_id)
    whens: list[tuple[sa.ColumnElement[bool], str]] = [
        (picked.c.excluded, EXCLUDED), (address == "", EMPTY), (bad, BAD), (suppressed, SUPPRESSED),
    ]  # fmt: skip
    if twins is not None:
        whens.append((twins.c.row_id.is_not(None), DUPLICATE))
    return sa.case(*whens, else_="")


def _label(audience: Audience, learners: sa.TableClause) -> sa.ColumnElement[str]:
    if audience.label_column_id is None:
        return sa.cast(learners.c.row_id, sa.Text)
    return sa.func.coalesce(sa.cast(learners.c[f"c{audience.label_column_id}"], sa.Text), "")


def object_of(pairs: Sequence[tuple[str, sa.ColumnElement[Any]]]) -> sa.ColumnElement[Any]:
    """Return a jsonb object; the keys are made of ids, so they need no binding."""
    made: sa.ColumnElement[Any] = sa.literal_column("'{}'::jsonb", JSONB)
    for start in range(0, len(pairs), PAIRS):
        part = pairs[start : start + PAIRS]
        arguments = [item for name, value in part for item in (sa.literal_column(f"'{name}'", sa.Text), value)]
        built = sa.type_coerce(sa.func.jsonb_build_object(*arguments), JSONB)
        made = built if start == 0 else made.op("||")(built)
    return made
