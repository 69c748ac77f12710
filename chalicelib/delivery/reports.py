"""What the pages show beside the runs themselves: learners to leave out, one sample, the workflow's time line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.database.base import LEARNERS
from chalicelib.delivery import sources
from chalicelib.delivery.audience import Audience, rows
from chalicelib.delivery.forms import MAX_LEFT_OUT, SendForm
from chalicelib.delivery.order import Sendable
from chalicelib.delivery.render import Renderer
from chalicelib.workflows.models import Workflow

#: Learners found by a search; more are no help for picking one.
MAX_FOUND = 20
PAGE_SIZE = 40


@dataclass(frozen=True)
class Learner:
    """A learner to choose from; `label` is the key."""

    row_id: int
    label: str
    address: str


def find_learners(
    session: Session, found: sources.Sources, workflow: Workflow, action: Sendable, form: SendForm, search: str
) -> list[Learner]:
    """Return up to 20 learners of the message's filter whose key or address contains `search`, but those left out."""
    audience = _audience(found, workflow, action, form.to_column_id)
    if audience is None or not search.strip():
        return []
    everybody = rows(audience)
    matches = sa.or_(*(column.icontains(search.strip(), autoescape=True) for column in _said(everybody)))
    return _learners(session, everybody, matches & everybody.c.row_id.not_in(form.skip_rows), MAX_FOUND)


def left_out(
    session: Session, found: sources.Sources, workflow: Workflow, action: Sendable, form: SendForm
) -> list[Learner]:
    """Return the learners left out by name; those who are gone meanwhile are not among them."""
    audience = _audience(found, workflow, action, form.to_column_id)
    if audience is None or not form.skip_rows:
        return []
    everybody = rows(audience)
    return _learners(session, everybody, everybody.c.row_id.in_(form.skip_rows), MAX_LEFT_OUT)


def _audience(
    found: sources.Sources, workflow: Workflow, action: Sendable, to_column_id: int | None
) -> Audience | None:
    column_id = to_column_id if to_column_id in found.columns else found.label_column_id
    if column_id is None:
        return None
    return Audience(
        workflow_id=workflow.id, to_column_id=column_id, columns=found.columns, time_zone=workflow.time_zone,
        filter=action.filter, leave_out_duplicates=False, label_column_id=found.label_column_id,
    )  # fmt: skip


def _said(everybody: sa.Subquery) -> list[sa.ColumnElement[str]]:
    return [everybody.c.label, everybody.c.address]


def _learners(session: Session, everybody: sa.Subquery, which: sa.ColumnElement[bool], limit: int) -> list[Learner]:
    chosen = sa.select(everybody.c.row_id, *_said(everybody)).where(which).order_by(everybody.c.row_id).limit(limit)
    return [Learner(*row) for row in session.execute(chosen)]


def sample(session: Session, workflow: Workflow, action: Sendable, row_id: int) -> str:
    """Return the HTML that one learner would get.

    Raises errors.NotFound when the message is not for this learner, errors.Invalid when the text can't be used.
    """
    found = sources.read(session, workflow.id, action.id)
    draft = sources.DraftText(found, "", action.text, workflow.time_zone)
    audience = _audience(found, workflow, action, None)
    if audience is None:
        raise errors.NotFound
    one = rows(replace(audience, conditions=draft.conditions, values=draft.value_ids, only_row=row_id))
    row = session.execute(sa.select(one.c["values"], one.c.flags)).one_or_none()
    if row is None:
        raise errors.NotFound
    return Renderer(draft).render(*row).html


def labels(session: Session, workflow_id: int, row_ids: Sequence[int]) -> dict[int, str]:
    """Return the keys of the learners by row; those who are gone meanwhile are absent."""
    key = session.scalar(_KEY, {"workflow_id": workflow_id}) if row_ids else None
    if key is None:
        return {}
    learners = sa.table(f"w{workflow_id}", sa.column("row_id"), sa.column(f"c{key}"), schema=LEARNERS)
    label = sa.func.coalesce(sa.cast(learners.c[f"c{key}"], sa.Text), "")
    chosen = sa.select(learners.c.row_id, label).where(learners.c.row_id.in_(row_ids))
    return {row[0]: row[1] for row in session.execute(chosen)}


_KEY = sa.text("""
    SELECT id FROM ontask.column WHERE workflow_id = :workflow_id AND is_key AND deleted_at IS NULL
    ORDER BY position, id LIMIT 1
""")


def action_name(session: Session, action_id: int) -> str:
    """Return what a run's message is called; "" when it is gone."""
    return session.scalar(sa.text("SELECT name FROM ontask.action WHERE id = :id"), {"id": action_id}) or ""


@dataclass(frozen=True)
class Happening:
    """A line of the time line."""

    id: int
    at: datetime
    type: str
    who: str
    detail: dict[str, Any]
    action_id: int | None
    run_id: int | None
    action_name: str
    kind: str


@dataclass(frozen=True)
class HappeningPage:
    """A page of the time line; `before` leads to older lines, None at the end."""

    rows: list[Happening]
    before: int | None


#: The filters of the time line, in the order of the page.
KINDS = {"mail": "Sending", "data": "Learners and data", "texts": "Messages", "people": "Workflow and people"}

# The kind follows from what an event speaks of; only those about data are told by their type.
_HAPPENINGS = sa.text(r"""
    SELECT * FROM (
        SELECT e.id, e.at, e.type, coalesce(nullif(u.name, ''), u.email, '') AS who, e.detail,
               a.id AS action_id, r.id AS run_id, coalesce(a.name, '') AS action_name,
               CASE WHEN e.run_id IS NOT NULL THEN 'mail'
                    WHEN e.action_id IS NOT NULL THEN 'texts'
                    WHEN e.type ~ '^(workflow|member|person|people|invitation)_' THEN 'people'
                    WHEN e.type ~ '^(action|condition|message)_' THEN 'texts'
                    ELSE 'data' END AS kind
        FROM ontask.event e
        LEFT JOIN ontask."user" u ON u.id = e.user_id
        LEFT JOIN ontask.action a ON a.id = e.action_id AND a.deleted_at IS NULL
        LEFT JOIN ontask.run r ON r.id = e.run_id
        WHERE e.workflow_id = :workflow_id
          AND (:before = 0 OR (e.at, e.id) < (SELECT b.at, b.id FROM ontask.event b WHERE b.id = :before))
    ) AS line
    WHERE :kind = '' OR kind = :kind
    ORDER BY at DESC, id DESC LIMIT :limit
""")


def happenings(session: Session, workflow_id: int, *, kind: str = "", before: int = 0) -> HappeningPage:
    """Return 40 lines of the workflow's time line, newest first, from the one after the event `before`."""
    values = {"workflow_id": workflow_id, "kind": kind, "before": before, "limit": PAGE_SIZE + 1}
    found = [Happening(*row) for row in session.execute(_HAPPENINGS, values)]
    return HappeningPage(found[:PAGE_SIZE], found[PAGE_SIZE - 1].id if len(found) > PAGE_SIZE else None)
