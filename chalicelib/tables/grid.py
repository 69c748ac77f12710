"""What the table page shows, gathered once: a page of rows, counts, pictures, the conditions of a chosen message."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions import queries as actions
from chalicelib.actions import service as action_service
from chalicelib.formulas.check import check
from chalicelib.formulas.words import words
from chalicelib.tables import paging, scope, statistics
from chalicelib.tables.paging import Rows
from chalicelib.tables.scope import Scope
from chalicelib.tables.state import State
from chalicelib.workflows.models import Workflow


@dataclass(frozen=True)
class Flag:
    """A column that says for whom the filter of a message, or one of its conditions, holds; `problem` if it can't."""

    name: str
    label: str
    formula: Any
    sentence: str
    problem: str = ""


@dataclass(frozen=True)
class Counts:
    """How many rows there are: found by search and filters, of those in the view, of those in the table."""

    found: int
    within: int
    everybody: int
    flags: dict[str, int]


@dataclass
class Grid:
    """One state of the table page; each part is read when somebody asks for it."""

    session: Session
    workflow: Workflow
    state: State

    @property
    def everybody(self) -> int:
        """How many learners the table has."""
        return self.workflow.row_count or 0

    @cached_property
    def rows(self) -> Rows:
        """The page; nobody when the view can't be used any more."""
        if self.state.problem:
            return Rows([], None, None)
        return paging.read(
            self.session, self.state.scope, self.state.shown, order=self.state.order, size=self.state.size,
            after=self.state.after, before=self.state.before, flags=self._usable,
        )  # fmt: skip

    @cached_property
    def flags(self) -> list[Flag]:
        """The columns of the chosen message: its filter, then its conditions."""
        if self.state.message is None:
            return []
        action = action_service.get(self.session, self.workflow.id, self.state.message)
        found = [self._flag("filter", "Gets it", action.filter)] if action.filter else []
        for one in actions.conditions(self.session, action.id):
            found.append(self._flag(f"k{one.id}", one.name, one.formula))
        return found

    def _flag(self, name: str, label: str, formula: Any) -> Flag:
        problem = ""
        try:
            check(formula, self.state.infos, self.workflow.time_zone)
        except errors.Invalid as error:
            problem = error.message
        return Flag(name, label, formula, words(formula, self.state.infos), problem)

    @property
    def _usable(self) -> dict[str, Any]:
        return {flag.name: flag.formula for flag in self.flags if not flag.problem}

    @property
    def counts(self) -> Counts | None:
        """The numbers where they are cheap; None where the page asks for them afterwards."""
        plain = self.state.scope.is_everybody and not self.flags
        return self.counted if plain or self.everybody <= paging.COUNTED_ROWS else None

    @cached_property
    def counted(self) -> Counts:
        """The numbers, whatever they cost."""
        if self.state.problem:
            return Counts(0, 0, self.everybody, {})
        within = self._count(self.state.whole)
        if not (self.state.search or self.state.filters or self.state.only or self.flags):
            return Counts(within, within, self.everybody, {})
        found, flags = scope.count(self.session, self.state.scope, self._usable)
        return Counts(found, within, self.everybody, flags)

    def _count(self, rows: Scope) -> int:
        return self.everybody if rows.is_everybody else scope.count(self.session, rows)[0]

    def spreads(self, *, later: bool) -> dict[int, statistics.Spread] | None:
        """Return the pictures of the columns over the rows that are shown, on all pages together.

        With `later` None where they are too slow for the page.
        """
        shown = self.state.shown
        if self.state.problem:
            return {column.id: statistics.Spread() for column in shown}
        if later and not statistics.is_immediate(self.everybody, len(shown)):
            return None
        return statistics.spreads(self.session, self.state.scope, shown, self.everybody)
