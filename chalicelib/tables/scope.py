"""Which rows of the table are meant: those of a view, that pass the filters of columns, in which a search finds.

The parts are always joined by AND: nothing that people search or filter shows a row from outside the view.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.formulas import sql
from chalicelib.formulas.check import Columns
from chalicelib.formulas.tree import holds_nothing
from chalicelib.tables import filters, queries
from chalicelib.tables.filters import Filter
from chalicelib.tables.models import Column
from chalicelib.tables.searching import matching


@dataclass(frozen=True)
class Scope:
    """Some rows of a workflow's table.

    Rules of a view, and `held`, further formulas that must hold, are read in the workflow's time zone, filters and
    search in the reader's. The search looks into the columns `searched`.
    """

    workflow_id: int
    columns: Columns = field(default_factory=dict)
    rules: Any = None
    rules_zone: str = "UTC"
    filters: tuple[Filter, ...] = ()
    search: str = ""
    searched: Sequence[Column] = ()
    time_zone: str = "UTC"
    held: tuple[Any, ...] = ()

    @property
    def is_everybody(self) -> bool:
        """Whether no row is left out."""
        return holds_nothing(self.rules) and not self.filters and not self.search and not self.held

    def table(self) -> sa.FromClause:
        """Return the workflow's table under the name `t`."""
        return sql.learners(self.workflow_id, self.columns).alias("t")

    def where(self, table: sa.FromClause) -> list[sa.ColumnElement[bool]]:
        """Return what holds for the rows, over `table()`.

        Raises errors.Invalid when a rule can't be used any more.
        """
        found: list[Any] = []
        if not holds_nothing(self.rules):
            found.append(sql.condition(self.rules, self.columns, table, self.rules_zone))
        found += [sql.condition(one, self.columns, table, self.rules_zone) for one in self.held]
        found += [filters.condition(one, self.columns, table, self.time_zone) for one in self.filters]
        if self.search:
            condition, values = matching(self.searched, self.search, self.time_zone)
            found.append(sa.text(condition).bindparams(**values))
        return found


def everybody(workflow_id: int, columns: Iterable[Column]) -> Scope:
    """Return all rows of the workflow's table."""
    return Scope(workflow_id, {column.id: queries.info(column) for column in columns})


def count(session: Session, scope: Scope, flags: Mapping[str, Any] | None = None) -> tuple[int, dict[str, int]]:
    """Return how many rows there are, and for how many of them each of the formulas in `flags` holds.

    Raises errors.Invalid as `Scope.where` does.
    """
    table = scope.table()
    wanted = [
        sa.func.count().filter(sql.condition(formula, scope.columns, table, scope.rules_zone)).label(name)
        for name, formula in (flags or {}).items()
    ]
    query = sa.select(sa.func.count().label("n"), *wanted).select_from(table).where(*scope.where(table))
    row = session.execute(query).one()._mapping
    return int(row["n"]), {name: int(row[name]) for name in flags or {}}
