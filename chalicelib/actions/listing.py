"""The list of actions: which are shown, in which order, how; each as a card with what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.actions.kinds import KINDS, Channel, Kind
from chalicelib.actions.language import TemplateError, references
from chalicelib.actions.models import ListChoice
from chalicelib.actions.service import IN_BIN
from chalicelib.formulas.check import Columns
from chalicelib.formulas.sql import condition as to_sql
from chalicelib.formulas.sql import learners
from chalicelib.workflows.models import Workflow
from chalicelib.workflows.queries import attributes

#: How lists can be ordered, and by what; the first is what people get who never chose.
SORTS = {
    "changed": "a.updated_at DESC",
    "name": "lower(unaccent(a.name))",
    "type": "a.kind, lower(a.name)",
    "run": "ran_at DESC NULLS LAST, a.updated_at DESC",
}
LAYOUTS = ("cards", "table")
MAX_SEARCH_LENGTH = 200
#: So many counts fit into one statement: PostgreSQL takes 1,664 columns.
_AT_ONCE = 500
#: Rows times conditions; with more the list does not look for conditions that hold for nobody. Half a second's work.
_MOST_TO_COUNT = 2_000_000


@dataclass(frozen=True)
class Shown:
    """What of the list is asked for. Order and layout are remembered for each person, the others are not."""

    search: str = ""
    kind: str = ""
    sort: str = "changed"
    layout: str = "cards"

    @property
    def is_narrowed(self) -> bool:
        """Whether some actions may be left out."""
        return bool(self.search or self.kind)

    def address(self, **changes: str) -> dict[str, str]:
        """Return the values of an address that shows this, with changes."""
        return {"search": self.search, "kind": self.kind} | changes


def shown(
    session: Session, user_id: int, *, search: str = "", kind: str = "", sort: str = "", layout: str = ""
) -> Shown:
    """Return what to show; an order or layout that is given is remembered from now on."""
    chosen = session.get(ListChoice, user_id)
    before = Shown(sort=chosen.sort, layout=chosen.layout) if chosen else Shown()
    now = replace(
        before, sort=sort if sort in SORTS else before.sort, layout=layout if layout in LAYOUTS else before.layout
    )
    if now != before:
        values = {"sort": now.sort, "layout": now.layout}
        query = insert(ListChoice).values(user_id=user_id, **values)
        session.execute(query.on_conflict_do_update(index_elements=["user_id"], set_=values))
    return replace(now, search=search.strip()[:MAX_SEARCH_LENGTH], kind=kind if kind in set(Kind) else "")


@dataclass(frozen=True)
class Card:
    """An action in the list; `selected` is None when its filter can't be run. `warnings` say what is wrong with it.

    `ran_at` is when it was sent last, or answered; `answered` by how many learners, of forms.
    """

    id: int
    kind: Kind
    name: str
    description: str
    has_text: bool
    has_filter: bool
    condition_count: int
    run_id: int | None
    ran_at: datetime | None
    answered: int
    updated_at: datetime
    selected: int | None
    next_at: datetime | None
    link: str
    warnings: tuple[str, ...]


# Runs, questions and answers are another room's, which is why this is plain SQL.
_ROWS = """
    SELECT a.id, a.kind, a.name, a.description, a.text, a.filter, a.updated_at,
           r.id AS run_id, coalesce(r.started_at, r.created_at, given.at) AS ran_at, given.answered,
           (SELECT jsonb_agg(jsonb_build_object('id', c.id, 'name', c.name, 'formula', c.formula)
                             ORDER BY c.position, c.id)
            FROM ontask.condition c WHERE c.action_id = a.id AND c.deleted_at IS NULL) AS conditions,
           CASE WHEN NOT l.is_on THEN 'off' WHEN l.open_from > :now THEN 'later' WHEN l.open_until <= :now THEN 'over'
                WHEN l.is_on THEN 'on' ELSE '' END AS link,
           least((SELECT min(s.next_at) FROM ontask.schedule s WHERE s.action_id = a.id AND s.deleted_at IS NULL),
                 (SELECT min(d.due_at) FROM ontask.run d WHERE d.action_id = a.id AND d.state = 'scheduled')
           ) AS next_at,
           ARRAY(SELECT q.condition_id FROM ontask.question q
                 WHERE q.action_id = a.id AND q.deleted_at IS NULL AND q.condition_id IS NOT NULL) AS asked
    FROM ontask.action a
    LEFT JOIN ontask.served_link l ON l.action_id = a.id
    LEFT JOIN LATERAL (SELECT * FROM ontask.run WHERE action_id = a.id ORDER BY id DESC LIMIT 1) r ON true
    LEFT JOIN LATERAL (SELECT max(created_at) AS at, count(DISTINCT row_id) AS answered
                       FROM ontask.answer WHERE action_id = a.id) given ON true
    WHERE a.workflow_id = :workflow_id AND a.deleted_at IS NULL AND (CAST(:kind AS text) = '' OR a.kind = :kind)
      AND (CAST(:search AS text) = '' OR strpos(lower(unaccent(a.name || E'\\n' || a.description)),
                                  lower(unaccent(CAST(:search AS text)))) > 0)
    ORDER BY {order}, a.id
"""


def cards(session: Session, workflow: Workflow, columns: Columns, asked: Shown | None = None) -> list[Card]:
    """Return the workflow's actions; a few statements however many there are."""
    asked = asked or Shown()
    values = {"workflow_id": workflow.id, "kind": asked.kind, "search": asked.search, "now": clock.now()}
    rows = session.execute(sa.text(_ROWS.format(order=SORTS[asked.sort])), values).all()
    if not rows:
        return []
    known = {f"c{key}" for key in columns} | {f"a{one.id}" for one in attributes(session, workflow.id)}
    counted = _Counts(session, workflow, columns)
    pairs = [(one["formula"], row.filter) for row in rows for one in row.conditions or ()]
    counts_all = len(pairs) * (workflow.row_count or 0) <= _MOST_TO_COUNT
    counted.add([*((row.filter, None) for row in rows), *(pairs if counts_all else ())])
    counted.look_at(formula for formula, _ in pairs)
    return [_card(row, counted, known, workflow) for row in rows]


def _card(row: Any, counted: _Counts, known: Collection[str], workflow: Workflow) -> Card:
    conditions = row.conditions or []
    selected = counted.of(row.filter)
    return Card(
        row.id, Kind(row.kind), row.name, row.description, bool(row.text), bool(row.filter), len(conditions),
        row.run_id, row.ran_at, row.answered, row.updated_at, selected, row.next_at, row.link,
        tuple(_warnings(row, conditions, selected, counted, known)) if workflow.row_count is not None else (),
    )  # fmt: skip


def _warnings(
    row: Any, conditions: list[dict[str, Any]], selected: int | None, counted: _Counts, known: Collection[str]
) -> Iterable[str]:
    if selected is None:
        yield "The rules for who gets it have to be repaired."
    elif not selected:
        yield "Nobody gets it."
    used = {f"k{key}" for key in row.asked}
    try:
        used |= references(row.text, KINDS[Kind(row.kind)].output)
    except TemplateError:
        yield "The text has to be repaired."
    if used - set(known) - {f"k{one['id']}" for one in conditions}:
        yield "The text uses something that was deleted."
    for one in conditions:
        name = f"“{one['name']}”"
        if counted.is_broken(one["formula"]):
            yield f"The condition {name} has to be repaired."
        elif f"k{one['id']}" not in used:
            is_form = KINDS[Kind(row.kind)].channel is Channel.FORM
            yield f"The condition {name} is not used in {'a question' if is_form else 'the text'}."
        elif selected and (count := counted.of(one["formula"], row.filter)) in {0, selected}:
            yield f"The condition {name} holds for {'everybody' if count else 'nobody'}."


class _Counts:
    """For how many learners formulas hold; those that are alike are counted once."""

    def __init__(self, session: Session, workflow: Workflow, columns: Columns) -> None:
        self._session, self._workflow, self._columns = session, workflow, columns
        self._table = learners(workflow.id, columns)
        self._found: dict[str, int] = {}
        self._broken: set[str] = set()

    def of(self, formula: Any, within: Any = None) -> int | None:
        """Return the count; None when it was not counted, because the formula can't be run or there are too many."""
        return self._found.get(_key(formula, within))

    def is_broken(self, formula: Any) -> bool:
        """Tell whether the formula can't be run."""
        return _key(formula) in self._broken

    def look_at(self, formulas: Iterable[Any]) -> None:
        """Find out which formulas can be run, without counting."""
        for formula in formulas:
            self._sql(formula)

    def add(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Count each formula among those for whom the one beside it holds."""
        wanted: dict[str, sa.ColumnElement[bool]] = {}
        for formula, within in pairs:
            name = _key(formula, within)
            holds, chosen = self._sql(formula), self._sql(within)
            if name not in wanted and holds is not None and chosen is not None:
                wanted[name] = sa.and_(chosen, holds)
        if self._workflow.row_count is None:
            self._found |= dict.fromkeys(wanted, 0)
            return
        names = list(wanted)
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            counts = [sa.func.count().filter(wanted[name]).label(f"n{at}") for at, name in enumerate(some)]
            row = self._session.execute(sa.select(*counts).select_from(self._table)).one()
            self._found |= dict(zip(some, row, strict=True))

    def _sql(self, formula: Any) -> sa.ColumnElement[bool] | None:
        try:
            return to_sql(formula, self._columns, self._table, self._workflow.time_zone)
        except errors.Invalid:
            self._broken.add(_key(formula))
            return None


def _key(formula: Any, within: Any = None) -> str:
    return json.dumps([formula or None, within or None], sort_keys=True)


@dataclass(frozen=True)
class Deleted:
    """An action in the bin."""

    id: int
    kind: Kind
    name: str
    deleted_at: datetime
    days_left: int


_DELETED = sa.text("""
    SELECT id, kind, name, deleted_at FROM ontask.action
    WHERE workflow_id = :workflow_id AND deleted_at > :since ORDER BY deleted_at DESC, id DESC
""")


def deleted(session: Session, workflow_id: int) -> list[Deleted]:
    """Return the actions that can be taken back, the one deleted last first."""
    now = clock.now()
    rows = session.execute(_DELETED, {"workflow_id": workflow_id, "since": now - IN_BIN}).all()
    return [
        Deleted(row.id, Kind(row.kind), row.name, row.deleted_at, (row.deleted_at + IN_BIN - now).days) for row in rows
    ]
