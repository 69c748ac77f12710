"""A form for one learner: which questions there are now, in which order, which are locked, what was answered so far.

Everything is found by the row: nothing that a browser sends says which question is open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.actions import html, links
from chalicelib.actions import queries as action_queries
from chalicelib.actions.editor import Editor
from chalicelib.actions.language.formats import Formats
from chalicelib.actions.models import Action
from chalicelib.actions.surveys import answers, fields, queries
from chalicelib.actions.surveys.kinds import Kind
from chalicelib.actions.surveys.queries import Item
from chalicelib.formulas import sql, tree
from chalicelib.formulas.check import Columns
from chalicelib.tables import queries as tables
from chalicelib.tables import service as table
from chalicelib.workflows.models import Workflow

#: A form that was opened in time is taken for so long after its end.
GRACE = timedelta(minutes=5)


@dataclass(frozen=True)
class Asked:
    """A question, or a heading, as it stands in the form; `typed` is what is in its field."""

    item: Item
    widget: str
    choices: Mapping[str, str]
    typed: Sequence[str]
    said: str
    is_locked: bool


@dataclass
class Form:
    """The form of one learner. `person` is the user who looks at it; staff see closed and locked questions too.

    `editor` is that of the form where there is one: what it has read already is not read again; without one `known` are
    the columns of the table where somebody has read them.
    Raises errors.NotFound when the learner is not in the table any more.
    """

    session: Session
    workflow: Workflow
    action: Action
    row_id: int
    person: int
    zone: ZoneInfo
    is_staff: bool = False
    editor: Editor | None = None
    known: Sequence[Any] = ()

    @cached_property
    def columns(self) -> list[Any]:
        """The columns of the table."""
        return self.editor.table if self.editor else list(self.known) or tables.columns(self.session, self.workflow.id)

    @cached_property
    def infos(self) -> Columns:
        """What formulas have to know of the columns."""
        return {column.id: tables.info(column) for column in self.columns}

    @cached_property
    def items(self) -> list[Item]:
        """All questions and headings."""
        if self.editor:
            return queries.with_columns(self.editor.questions, self.columns)
        return queries.items(self.session, self.action, self.columns)

    @cached_property
    def values(self) -> dict[int, Any]:
        """The learner's values by column, with what they answered and the table does not have yet."""
        # In this order: an answer that the job puts into the table in between is in both, not in none of them.
        waiting = answers.waiting(self.session, self.workflow.id, self.columns, [self.row_id])
        now = table.row(self.session, self.workflow, self.row_id, self.columns)
        return {**now, **waiting.get(self.row_id, {})}

    @cached_property
    def conditions(self) -> dict[int, Any]:
        """The formulas of all conditions of the form, by id."""
        known = self.editor.conditions if self.editor else action_queries.conditions(self.session, self.action.id)
        return {one.id: one.formula for one in known}

    @cached_property
    def formulas(self) -> dict[int, Any]:
        """The conditions on which questions depend, by id; one that was deleted holds for everybody and is none."""
        used = {item.question.condition_id for item in self.items} - {None}
        return {key: formula for key, formula in self.conditions.items() if key in used} if used else {}

    def introduction(self) -> str:
        """Return what stands above the questions, as HTML for a page of ours; nothing where it has to be repaired."""
        if not self.action.text:
            return ""
        from chalicelib.actions.language.compile import compile_template

        used = action_queries.used(self.action)
        fixed = {}
        if any(reference.startswith(("a", "m")) for reference in used):
            fixed = links.read(self.session, self.workflow.id).values
        tested = {}
        if any(reference.startswith("k") for reference in used):
            tested = {key: formula for key, formula in self.conditions.items() if f"k{key}" in used}
        holds = flags(self.session, self.infos, self.values, tested, self.workflow.time_zone) if tested else {}
        context = {**fixed, **{f"c{key}": value for key, value in self.values.items()}}
        context |= {f"k{key}": truth for key, truth in holds.items()}
        if used - context.keys():
            return ""
        try:
            formats = Formats.of(self.workflow.formats)
            template = compile_template(
                self.action.text, "html", time_zone=self.workflow.time_zone, formats=formats
            )  # fmt: skip
            return html.for_page(template.render(context))
        except errors.Invalid:
            return ""

    def visible(self, values: Mapping[int, Any] | None = None, *, grace: timedelta = timedelta(0)) -> list[Item]:
        """Return the questions for which the conditions hold and that are open now; values may be as typed."""
        now = clock.now()
        return [
            item for item in self.meant(self.values if values is None else values)
            if item.is_heading or self.is_staff or is_open(item, now, grace)
        ]  # fmt: skip

    def meant(self, values: Mapping[int, Any]) -> list[Item]:
        """Return the questions for which the conditions hold, whenever they are open."""
        holds = self._flags(values)
        return [
            item for item in self.items if holds.get(item.question.condition_id or 0, True) and not item.problem
        ]  # fmt: skip

    def look_again(self) -> None:
        """Forget the values: somebody may have answered meanwhile."""
        self.__dict__.pop("values", None)

    def _flags(self, values: Mapping[int, Any]) -> dict[int, bool]:
        if not self.formulas:
            return {}
        return flags(self.session, self.infos, values, self.formulas, self.workflow.time_zone)

    @cached_property
    def is_branching(self) -> bool:
        """Whether an answer decides which questions follow."""
        asked = {item.question.column_id for item in self.items}
        return any(asked & tree.references(formula) for formula in self.formulas.values())

    def is_locked(self, item: Item) -> bool:
        """Tell whether the answer can't be changed: the first one stays."""
        if self.is_staff or not item.question.is_once:
            return False
        value = self.values.get(item.question.column_id or 0)
        return bool(value) if item.kind is Kind.TICK else value is not None

    def ordered(self, found: Sequence[Item]) -> list[Item]:
        """Return the questions in the order of this person: between two headings they are shuffled, if that is wished.

        Headings that nothing follows are left out.
        """
        blocks: list[list[Item]] = [[]]
        for item in found:
            if item.is_heading:
                blocks.append([])
            blocks[-1].append(item)
        return [item for block in blocks for item in self._block(block)]

    def _block(self, block: list[Item]) -> list[Item]:
        head, rest = ([block[0]], block[1:]) if block and block[0].is_heading else ([], block)
        if self.action.is_shuffled and not self.is_staff:
            rest = sorted(rest, key=lambda item: _place(self.person, self.action.id, item.id))
        return [*head, *rest] if rest or (head and head[0].kind is Kind.PAGE) else []

    def pages(self, typed: Mapping[str, Sequence[str]]) -> list[list[Asked]]:
        """Return the form page by page; `typed` is what stands in some fields, by name."""
        made: list[list[Asked]] = [[]]
        values = self.overlaid(typed) if self.is_branching else self.values
        for item in self.ordered(self.visible(values)):
            if item.kind is Kind.PAGE and made[-1]:
                made.append([])
            made[-1].append(self.asked(item, typed))
        return [page for page in made if any(not one.item.is_heading for one in page)]

    def asked(self, item: Item, typed: Mapping[str, Sequence[str]]) -> Asked:
        """Return one question as it stands in the form."""
        if item.is_heading:
            return Asked(item, "heading", {}, [], "", False)
        value = self.values.get(item.question.column_id or 0)
        stands, locked = fields.written(item, value, self.zone), self.is_locked(item)
        offered = dict(fields.choices(item, self.zone))
        if offered and item.kind is not Kind.CHOICES:  # what is there although it is no answer any more stays
            offered |= {text: text for text in stands if text not in offered}
        shown = stands if locked else typed.get(item.field, stands)
        return Asked(item, fields.widget(item), offered, shown, fields.said(value, self.zone), locked)

    def overlaid(self, typed: Mapping[str, Sequence[str]]) -> dict[int, Any]:
        """Return the values with what was typed at questions that are visible, and that it makes visible.

        What is not an answer yet counts as before.
        """
        values = dict(self.values)
        seen: set[int] = set()
        for _ in range(len(self.items)):
            found = {item.id for item in self.visible(values, grace=GRACE)}
            if found == seen:
                break
            seen, values = found, dict(self.values)
            for item in self.items:
                if item.id in found and not item.is_heading and item.field in typed and not self.is_locked(item):
                    values[item.column.id] = self._attempted(item, typed[item.field])
        return values

    def _attempted(self, item: Item, typed: Sequence[str]) -> Any:
        was = self.values[item.column.id]
        try:
            return fields.read(item, typed, self.zone, was)
        except errors.Invalid:
            return was


def _place(person: int, action_id: int, question_id: int) -> bytes:
    return hashlib.sha256(f"{person}:{action_id}:{question_id}".encode()).digest()


def is_open(item: Item, now: datetime, grace: timedelta = timedelta(0)) -> bool:
    """Tell whether the question's own window is open."""
    start, end = item.column.active_from, item.column.active_until
    return (start is None or start <= now) and (end is None or now < end + grace)


def flags(
    session: Session, columns: Columns, values: Mapping[int, Any], formulas: Mapping[int, Any], time_zone: str
) -> dict[int, bool]:
    """Return for which formulas these values hold, worked out by the database; one that can't be run does not hold."""
    used = {key for formula in formulas.values() for key in tree.references(formula)} & columns.keys()
    cells = [
        sa.cast(sa.literal(values.get(key), sql.SQL_TYPES[columns[key].type]), sql.SQL_TYPES[columns[key].type])
        for key in sorted(used)
    ]
    named = [cell.label(f"c{key}") for key, cell in zip(sorted(used), cells, strict=True)]
    row = sa.select(sa.literal_column("1").label("row_id"), *named).subquery("t")
    wanted: list[Any] = []
    for key, formula in formulas.items():
        try:
            wanted.append(sql.condition(formula, columns, row, time_zone).label(f"k{key}"))
        except errors.Invalid:
            wanted.append(sa.false().label(f"k{key}"))
    found = session.execute(sa.select(*wanted).select_from(row)).one()._mapping
    return {key: bool(found[f"k{key}"]) for key in formulas}
