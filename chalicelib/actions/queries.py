"""Reads for the pages of messages: the list, names, counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions.kinds import Kind
from chalicelib.actions.language import Names, TemplateError, of_message, references
from chalicelib.actions.models import Action, Condition
from chalicelib.formulas import tree
from chalicelib.formulas.check import Columns
from chalicelib.formulas.sql import condition as to_sql
from chalicelib.formulas.sql import counts_select, learners
from chalicelib.workflows.models import Workflow
from chalicelib.workflows.queries import Attribute


def conditions(session: Session, action_id: int) -> list[Condition]:
    """Return the live conditions of a message in their order."""
    query = sa.select(Condition).where(Condition.action_id == action_id, Condition.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Condition.position, Condition.id)))


def names(columns: Columns, conditions: Iterable[Condition], attributes: Iterable[Attribute] = ()) -> Names:
    """Return what the text of a message can speak of."""
    return of_message(
        {column.id: (column.name, column.type) for column in columns.values()},
        {condition.id: condition.name for condition in conditions},
        {attribute.id: attribute.name for attribute in attributes},
    )  # fmt: skip


def labels(session: Session, workflow_id: int) -> dict[int, str]:
    """Return the names of the workflow's messages by id, in the order of the alphabet."""
    query = sa.select(Action.id, Action.name).where(Action.workflow_id == workflow_id, Action.deleted_at.is_(None))
    return dict(session.execute(query.order_by(Action.name, Action.id)).all())


def used(action: Action) -> set[str]:
    """Return the references of the message's text; none when it can't be read."""
    try:
        return references(action.text)
    except TemplateError:
        return set()


def columns_of(action: Action, conditions: Iterable[Condition]) -> set[int]:
    """Return the columns that the message's text, filter and conditions speak of."""
    found = {int(reference[1:]) for reference in used(action) if reference.startswith("c")}
    for formula in (action.filter, *(condition.formula for condition in conditions)):
        if formula:
            found |= {rule.column for rule in tree.rules(tree.parse(formula))}
    return found


@dataclass(frozen=True)
class Counts:
    """How many learners there are, how many of them get the message, and for how many of these conditions hold.

    `conditions` maps a condition's id to its count; `none` are those for whom no condition holds.
    """

    total: int
    selected: int
    none: int
    conditions: dict[int, int]


def counts(
    session: Session, workflow: Workflow, columns: Columns, chosen: Any, formulas: Mapping[int, Any]
) -> Counts:  # fmt: skip
    """Count in one statement; all zero while there are no learners.

    Raises errors.Invalid when a formula can't be run any more.
    """
    if workflow.row_count is None:
        return Counts(0, 0, 0, dict.fromkeys(formulas, 0))
    row = session.execute(counts_select(workflow.id, columns, chosen, formulas, workflow.time_zone)).one()._mapping
    return Counts(row["total"], row["selected"], row["none"], {key: row[f"k{key}"] for key in formulas})


@dataclass(frozen=True)
class Card:
    """A message as a card of the list; `selected` is None when its filter can't be run any more."""

    id: int
    kind: Kind
    name: str
    description: str
    has_text: bool
    has_filter: bool
    condition_count: int
    run_id: int | None
    ran_at: datetime | None
    updated_at: datetime
    selected: int | None


# The runs are another domain's, which is why this is plain SQL.
_CARDS = sa.text("""
    SELECT a.id, a.kind, a.name, a.description, a.text <> '' AS has_text, a.filter, a.updated_at,
           (SELECT count(*) FROM ontask.condition c WHERE c.action_id = a.id AND c.deleted_at IS NULL) AS conditions,
           r.id AS run_id, coalesce(r.started_at, r.created_at) AS ran_at
    FROM ontask.action a
    LEFT JOIN LATERAL (SELECT * FROM ontask.run WHERE action_id = a.id ORDER BY id DESC LIMIT 1) r ON true
    WHERE a.workflow_id = :workflow_id AND a.deleted_at IS NULL
    ORDER BY a.updated_at DESC, a.id DESC
""")


def cards(session: Session, workflow: Workflow, columns: Columns) -> list[Card]:
    """Return the workflow's messages, the one changed last first; two statements however many there are."""
    rows = session.execute(_CARDS, {"workflow_id": workflow.id}).all()
    selected = _selected(session, workflow, columns, {row.id: row.filter for row in rows})
    return [
        Card(
            row.id, Kind(row.kind), row.name, row.description, row.has_text, bool(row.filter), row.conditions,
            row.run_id, row.ran_at, row.updated_at, selected.get(row.id),
        )
        for row in rows
    ]  # fmt: skip


def _selected(session: Session, workflow: Workflow, columns: Columns, filters: Mapping[int, Any]) -> dict[int, int]:
    if workflow.row_count is None:
        return dict.fromkeys(filters, 0)
    table = learners(workflow.id, columns)
    wanted: list[sa.ColumnElement[Any]] = []
    for key, formula in filters.items():
        try:
            holds = to_sql(formula, columns, table, workflow.time_zone)
        except errors.Invalid:
            continue
        wanted.append(sa.func.count().filter(holds).label(f"a{key}"))
    if not wanted:
        return {}
    row = session.execute(sa.select(*wanted).select_from(table)).one()._mapping
    return {key: row[f"a{key}"] for key in filters if f"a{key}" in row}
