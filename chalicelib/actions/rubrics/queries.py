"""Reads of rubrics: the grid, what it says, who has a value that is no level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.actions.language import references, rubric
from chalicelib.actions.models import Action
from chalicelib.actions.rubrics.models import Criterion, RubricCell
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.tables import cells as table_cells

#: So many learners with an unknown value are named for each criterion.
NAMED = 5


@dataclass(frozen=True)
class Level:
    """A level by the text that cells have of it, as people read it, and as the column has it."""

    key: str
    shown: str
    value: Any


@dataclass(frozen=True)
class Line:
    """A criterion with its column, None when that was deleted; `problem` says why it can't be used with the others."""

    criterion: Criterion
    column: Any
    levels: tuple[Level, ...] = ()
    cells: Mapping[str, RubricCell] = field(default_factory=dict)
    problem: str = ""

    @property
    def id(self) -> int:
        """The criterion's id."""
        return self.criterion.id

    @property
    def name(self) -> str:
        """What the criterion is called."""
        return self.column.name if self.column is not None else "A deleted column"

    def cell(self, key: str) -> RubricCell | None:
        """Return what is written for the level; None when the criterion does not have it, or nothing is written."""
        return self.cells.get(key) if any(level.key == key for level in self.levels) else None


@dataclass(frozen=True)
class Grid:
    """A rubric: its levels are those of the first criterion, its lines the criteria in their order."""

    levels: tuple[Level, ...]
    lines: tuple[Line, ...]

    @property
    def columns(self) -> list[Any]:
        """The columns of its criteria that are there."""
        return [line.column for line in self.lines if line.column is not None]

    @property
    def is_consistent(self) -> bool:
        """Whether all criteria have the same levels."""
        return not any(line.problem for line in self.lines)


def levels_of(column: Any) -> tuple[Level, ...]:
    """Return the levels that the allowed values of a column are."""
    return tuple(level_of(value, column.type) for value in column.allowed_values or ())


def level_of(stored: Any, kind: str) -> Level:
    """Return the level that an allowed value is; `kind` is the column's type."""
    value = datetime.fromisoformat(stored) if kind == "datetime" else float(stored) if kind == "double" else stored
    return Level(rubric.level(value) or "", table_cells.shown(value, table_cells.UTC_ZONE), stored)


def criteria(session: Session, action_id: int) -> list[Criterion]:
    """Return the criteria of a rubric in their order."""
    query = sa.select(Criterion).where(Criterion.action_id == action_id, Criterion.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Criterion.position, Criterion.id)))


def grid(session: Session, action_id: int, columns: Iterable[Any]) -> Grid:
    """Return a rubric; `columns` are those of the table."""
    by_id = {column.id: column for column in columns}
    rows = criteria(session, action_id)
    written: dict[int, dict[str, RubricCell]] = {row.id: {} for row in rows}
    for cell in session.scalars(sa.select(RubricCell).where(RubricCell.criterion_id.in_(written))):
        written[cell.criterion_id][cell.level] = cell
    first = next((by_id[row.column_id] for row in rows if _has_levels(by_id.get(row.column_id))), None)
    lines = []
    for row in rows:
        column = by_id.get(row.column_id)
        found = levels_of(column) if column is not None else ()
        lines.append(Line(row, column, found, written[row.id], problem(column, first)))
    return Grid(levels_of(first) if first is not None else (), tuple(lines))


def _has_levels(column: Any) -> bool:
    return column is not None and bool(column.allowed_values)


def problem(column: Any, first: Any) -> str:
    """Say why a column can't be a criterion beside the first one; nothing when it can."""
    if column is None:
        return "Its column was deleted. Bring the column back, or remove the criterion."
    if column.is_key:
        return "It tells learners apart, so it has no levels."
    if not column.allowed_values:
        return "It takes any value, so it has no levels. List its values on the column’s page."
    if first is None or first.id == column.id:
        return ""
    ours, theirs = levels_of(column), levels_of(first)
    if column.type != first.type or {one.key for one in ours} != {one.key for one in theirs}:
        return f"It has other levels than “{first.name}”: {', '.join(one.shown for one in ours)}."
    return ""


def fitting(found: Grid, columns: Iterable[Any]) -> list[tuple[Any, str]]:
    """Return the columns with a list of values that are no criterion yet, each with why it can't be one, or nothing."""
    taken = {line.criterion.column_id for line in found.lines}
    first = next((line.column for line in found.lines if _has_levels(line.column)), None)
    return [
        (column, problem(column, first))
        for column in columns
        if column.id not in taken and column.allowed_values and not column.is_key
    ]


def said(session: Session, action_id: int, columns: Mapping[int, ColumnInfo]) -> list[rubric.Criterion]:
    """Return what the rubric says, for the text that shows it; a criterion without its column says nothing."""
    query = (
        sa.select(Criterion.column_id, RubricCell.level, RubricCell.feedback)
        .join(RubricCell, RubricCell.criterion_id == Criterion.id, isouter=True)
        .where(Criterion.action_id == action_id, Criterion.deleted_at.is_(None))
        .order_by(Criterion.position, Criterion.id, RubricCell.id)
    )
    found: dict[int, dict[str, str]] = {}
    for column_id, level, feedback in session.execute(query):
        texts = found.setdefault(column_id, {})
        if level is not None and not rubric.is_blank(feedback):
            texts[level] = feedback
    return [
        rubric.Criterion(f"c{column_id}", columns[column_id].name, texts)
        for column_id, texts in found.items()
        if column_id in columns
    ]


def speaks_of(session: Session, action_id: int, column_id: int) -> bool:
    """Tell whether the rubric has the column as a criterion, or a feedback shows it."""
    query = (
        sa.select(Criterion.column_id, RubricCell.feedback)
        .join(RubricCell, RubricCell.criterion_id == Criterion.id, isouter=True)
        .where(Criterion.action_id == action_id, Criterion.deleted_at.is_(None))
    )
    return any(
        criterion == column_id or (feedback and f"c{column_id}" in references(feedback))
        for criterion, feedback in session.execute(query)
    )


@dataclass(frozen=True)
class Unknown:
    """Learners whose value in a criterion is no level: how many, and the first of them as (row, name, value)."""

    criterion: str
    count: int
    first: Sequence[tuple[int, str, str]]


def of_column(session: Session, column_id: int) -> list[str]:
    """Return the names of the rubrics that have the column as a criterion."""
    query = (
        sa.select(Action.name)
        .join(Criterion, Criterion.action_id == Action.id)
        .where(Criterion.column_id == column_id, Criterion.deleted_at.is_(None), Action.deleted_at.is_(None))
    )
    return sorted(set(session.scalars(query)))


def refusal(session: Session, column_id: int) -> str:
    """Say why the values that a column takes have to stay as they are: rubrics have them as levels; or nothing."""
    names = of_column(session, column_id)
    if not names:
        return ""
    listed = ", ".join(f"“{name}”" for name in names)
    return f"It is a criterion of {listed}. Change the levels on that page, or remove the criterion there first."
