"""Who gets a mail and who does not, and from which values each mail is made: one SELECT over the learners' table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chalicelib.database.base import LEARNERS
from chalicelib.delivery.models import BAD, DUPLICATE, EMPTY, EXCLUDED, SUPPRESSED, Suppression
from chalicelib.delivery.order import ADDRESS_PATTERN, MAX_ADDRESS_LENGTH, MAX_LOCAL_LENGTH
from chalicelib.formulas.check import Columns
from chalicelib.formulas.sql import SQL_TYPES, condition

#: PostgreSQL functions take 100 arguments: jsonb_build_object gets 50 pairs at a time.
PAIRS = 50
#: Blanks that spreadsheets leave around an address, the no-break space among them.
BLANKS = " \t\r\n\u00a0\u200b\ufeff"


@dataclass(frozen=True, kw_only=True)
class Audience:
    """What decides who gets a mail. `values` and `conditions` are those the text uses; the rest is not copied."""

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
    only_row: int | None = None

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
    address = sa.func.btrim(sa.cast(learners.c[f"c{audience.to_column_id}"], sa.Text), BLANKS)
    flags = [(f"k{item['id']}", _holds(audience, item["formula"], learners)) for item in audience.conditions]
    picked = sa.select(
        learners.c.row_id,
        sa.func.coalesce(address, "").label("address"),
        _excluded(audience, learners).label("excluded"),
        _label(audience, learners).label("label"),
        _object([(f"c{key}", learners.c[f"c{key}"]) for key in audience.values]).label("values"),
        _object(flags).label("flags"),
    )
    if audience.filter:
        picked = picked.where(_holds(audience, audience.filter, learners))
    if audience.only_row is not None:
        picked = picked.where(learners.c.row_id == audience.only_row)
    found = picked.subquery("picked")
    return sa.select(
        found.c.row_id, found.c.address, _reason(audience, found).label("reason"), found.c.label,
        found.c["values"], found.c.flags,
    ).subquery("audience")  # fmt: skip


def _holds(audience: Audience, formula: dict[str, Any], learners: sa.TableClause) -> sa.ColumnElement[bool]:
    return condition(formula, audience.columns, learners, audience.time_zone)


def _excluded(audience: Audience, learners: sa.TableClause) -> sa.ColumnElement[bool]:
    if not audience.skip_rows:
        return sa.false()
    skipped = sa.literal(list(audience.skip_rows), ARRAY(sa.BigInteger))
    return learners.c.row_id == sa.func.any(skipped)


def _reason(audience: Audience, found: sa.Subquery) -> sa.ColumnElement[str]:
    address = found.c.address
    bad = sa.or_(
        sa.func.length(address) > MAX_ADDRESS_LENGTH,
        sa.func.strpos(address, "@") > MAX_LOCAL_LENGTH + 1,
        address.op("!~")(sa.literal(ADDRESS_PATTERN)),
    )
    suppressed = sa.exists().where(Suppression.address == sa.func.lower(address))
    whens: list[tuple[sa.ColumnElement[bool], str]] = [
        (found.c.excluded, EXCLUDED), (address == "", EMPTY), (bad, BAD), (suppressed, SUPPRESSED),
    ]  # fmt: skip
    if audience.leave_out_duplicates:
        # In byte order: sorting 100,000 addresses by the rules of a language takes several times as long.
        plain = sa.func.lower(address).collate("C")
        number = sa.func.row_number().over(partition_by=[plain, found.c.excluded], order_by=found.c.row_id)
        whens.append((number > 1, DUPLICATE))
    return sa.case(*whens, else_="")


def _label(audience: Audience, learners: sa.TableClause) -> sa.ColumnElement[str]:
    if audience.label_column_id is None:
        return sa.cast(learners.c.row_id, sa.Text)
    return sa.func.coalesce(sa.cast(learners.c[f"c{audience.label_column_id}"], sa.Text), "")


def _object(pairs: list[tuple[str, sa.ColumnElement[Any]]]) -> sa.ColumnElement[Any]:
    """Return a jsonb object; the keys are made of ids, so they need no binding."""
    made: sa.ColumnElement[Any] = sa.literal_column("'{}'::jsonb", JSONB)
    for start in range(0, len(pairs), PAIRS):
        part = pairs[start : start + PAIRS]
        arguments = [item for name, value in part for item in (sa.literal_column(f"'{name}'", sa.Text), value)]
        built = sa.type_coerce(sa.func.jsonb_build_object(*arguments), JSONB)
        made = built if start == 0 else made.op("||")(built)
    return made
