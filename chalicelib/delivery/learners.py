"""Learners on the pages of sending: what they are called, who is left out by name, what one of them will read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions.preview import PAGE, name_columns
from chalicelib.database.base import LEARNERS
from chalicelib.delivery import details, sources
from chalicelib.delivery.audience import Audience, rows
from chalicelib.delivery.order import MAX_LEFT_OUT, Sendable
from chalicelib.delivery.render import Renderer
from chalicelib.tables import queries as tables
from chalicelib.workflows.models import Workflow

#: Learners found by a search; more are no help for picking one.
MAX_FOUND = 20
#: Learners whose mails a search by name looks for.
MAX_MATCHES = 1000


@dataclass(frozen=True)
class Learner:
    """A learner to choose from; `label` is the key, `name` what they are called, empty when no column tells."""

    row_id: int
    label: str
    address: str
    name: str

    @property
    def others(self) -> str:
        """What to show after the name, or after the key when there is no name."""
        shown = [self.label, self.address] if self.name else [self.address]
        return ", ".join(dict.fromkeys(part for part in shown if part and part != (self.name or self.label)))


class Picker:
    """The learners of a message's filter, to leave some out. Its methods raise errors.Invalid for a broken filter."""

    def __init__(
        self, session: Session, found: sources.Sources, workflow: Workflow, action: Sendable, skip_rows: Sequence[int]
    ) -> None:
        self._session, self._skipped = session, skip_rows
        self._audience = _audience(found, workflow, action)
        self._names = [f"c{column.id}" for column in name_columns(found.columns)]

    def left_out(self) -> list[Learner]:
        """Return the learners left out by name; those who are gone meanwhile are not among them."""
        if self._audience is None or not self._skipped:
            return []
        found = rows(self._audience)
        return self._read(found, found.c.row_id.in_(self._skipped), MAX_LEFT_OUT)

    def search(self, text: str) -> list[Learner]:
        """Return up to 20 learners with `text` in name, key or address; not those who are left out already."""
        if self._audience is None or not text.strip():
            return []
        found = rows(self._audience)
        matches = sa.or_(*(part.icontains(text.strip(), autoescape=True) for part in self._parts(found)))
        return self._read(found, matches & found.c.row_id.not_in(self._skipped), MAX_FOUND)

    def _parts(self, found: sa.Subquery) -> list[sa.ColumnElement[str]]:
        name = sa.func.concat_ws(" ", *(found.c["values"][key].astext for key in self._names))
        return [found.c.label, found.c.address, name if self._names else sa.literal("")]

    def _read(self, found: sa.Subquery, which: sa.ColumnElement[bool], limit: int) -> list[Learner]:
        chosen = sa.select(found.c.row_id, *self._parts(found)).where(which).order_by(found.c.row_id).limit(limit)
        return [Learner(*row) for row in self._session.execute(chosen)]


def _audience(found: sources.Sources, workflow: Workflow, action: Sendable) -> Audience | None:
    column_id = found.label_column_id
    if column_id is None:
        return None
    return Audience(
        workflow_id=workflow.id, to_column_id=column_id, columns=found.columns, time_zone=workflow.time_zone,
        filter=action.filter, leave_out_duplicates=False, label_column_id=found.label_column_id,
        values=[column.id for column in name_columns(found.columns)],
    )  # fmt: skip


def sample(session: Session, workflow: Workflow, action: Sendable, row_id: int) -> str:
    """Return the mail that one learner would get, as a page.

    Raises errors.NotFound when the message is not for this learner, errors.Invalid when the text can't be used.
    """
    found = sources.read(session, workflow.id, action.id)
    draft = sources.DraftText(found, "", action.text, workflow.time_zone, details.of(session, action, found))
    audience = _audience(found, workflow, action)
    if audience is None:
        raise errors.NotFound
    one = rows(replace(audience, conditions=draft.conditions, values=draft.value_ids, only_rows=[row_id]))
    row = session.execute(sa.select(one.c["values"], one.c.flags)).one_or_none()
    if row is None:
        raise errors.NotFound
    return framed(Renderer(draft).render(*row).html)


def framed(html: str) -> str:
    """Return a mail's HTML as a page that looks as in a mail program."""
    return PAGE.format("The mail", html)


class Called:
    """What the learners of a table are called, such as "Ada Lovelace, s1"."""

    def __init__(self, session: Session, workflow_id: int) -> None:
        columns = tables.columns(session, workflow_id)
        keys = [column.id for column in columns if column.is_key][:1]
        names = [column.id for column in name_columns({column.id: tables.info(column) for column in columns})]
        parts: list[sa.ColumnClause[Any]] = [sa.column(f"c{key}") for key in dict.fromkeys([*names, *keys])]
        self._session = session
        self._table = sa.table(f"w{workflow_id}", sa.column("row_id"), *parts, schema=LEARNERS) if parts else None
        # The null is for tables without such a column: concat_ws wants something to join, and passes over nulls.
        self._name = sa.func.concat_ws(" ", sa.null(), *parts[: len(names)])
        self._key = sa.func.concat_ws("", sa.null(), *parts[len(names) :])

    def labels(self, row_ids: Sequence[int]) -> dict[int, str]:
        """Return name and key by row; those who are gone meanwhile are absent."""
        if self._table is None or not row_ids:
            return {}
        label = sa.func.concat_ws(", ", sa.func.nullif(self._name, ""), sa.func.nullif(self._key, ""))
        chosen = sa.select(self._table.c.row_id, label).where(self._table.c.row_id.in_(row_ids))
        return {row[0]: row[1] for row in self._session.execute(chosen)}

    def search(self, text: str) -> list[int]:
        """Return the rows of up to 1,000 learners with `text` in name or key."""
        if self._table is None or not text.strip():
            return []
        matches = [part.icontains(text.strip(), autoescape=True) for part in (self._name, self._key)]
        chosen = sa.select(self._table.c.row_id).where(sa.or_(*matches)).order_by(self._table.c.row_id)
        return list(self._session.scalars(chosen.limit(MAX_MATCHES)))
