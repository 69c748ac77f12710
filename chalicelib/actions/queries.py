"""Reads for the pages of messages: the list, names, counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.actions.kinds import KINDS, Kind
from chalicelib.actions.language import Names, TemplateError, of_message, references
from chalicelib.actions.language.syntax import Reference
from chalicelib.actions.links import Link
from chalicelib.actions.models import Action, Condition
from chalicelib.formulas import tree
from chalicelib.formulas.check import Columns
from chalicelib.formulas.sql import counts_select
from chalicelib.workflows.models import Workflow
from chalicelib.workflows.queries import Attribute


def conditions(session: Session, action_id: int) -> list[Condition]:
    """Return the live conditions of a message in their order."""
    query = sa.select(Condition).where(Condition.action_id == action_id, Condition.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Condition.position, Condition.id)))


def names(
    columns: Columns, conditions: Iterable[Condition], attributes: Iterable[Attribute] = (), links: Iterable[Link] = ()
) -> Names:  # fmt: skip
    """Return what the text of a message can speak of."""
    return of_message(
        {column.id: (column.name, column.type) for column in columns.values()},
        {condition.id: condition.name for condition in conditions},
        {attribute.id: attribute.name for attribute in attributes}, {link.id: link.name for link in links},
    )  # fmt: skip


def labels(session: Session, workflow_id: int, kinds: Iterable[Kind] = KINDS) -> dict[int, str]:
    """Return the names of the workflow's messages (of some kinds) by id, in the order of the alphabet."""
    query = sa.select(Action.id, Action.name).where(Action.workflow_id == workflow_id, Action.deleted_at.is_(None))
    query = query.where(Action.kind.in_(list(kinds)))
    return dict(session.execute(query.order_by(Action.name, Action.id)).all())


def kinds(session: Session, workflow_id: int) -> dict[int, str]:
    """Return the kinds of the workflow's messages and forms by id."""
    query = sa.select(Action.id, Action.kind).where(Action.workflow_id == workflow_id, Action.deleted_at.is_(None))
    return dict(session.execute(query).all())


def used(action: Action) -> set[str]:
    """Return the references of the message's text; none when it can't be read."""
    try:
        return references(action.text, KINDS[Kind(action.kind)].output)
    except TemplateError:
        return set()


def columns_of(action: Action, conditions: Iterable[Condition], used: Iterable[Reference]) -> set[int]:
    """Return the columns among what the message's text has `used`, and those that filter and conditions speak of."""
    found = {int(reference[1:]) for reference in used if reference.startswith("c")}
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
