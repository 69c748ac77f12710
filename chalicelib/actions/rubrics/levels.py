"""The levels of a rubric, for all its criteria at once: other names, other order, new ones, fewer; with an undo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import errors, seals
from chalicelib.actions import uses
from chalicelib.actions.models import Action
from chalicelib.actions.rubrics import queries, service
from chalicelib.actions.rubrics.models import Criterion, RubricCell
from chalicelib.actions.rubrics.queries import Grid
from chalicelib.audit import service as audit
from chalicelib.tables import queries as tables
from chalicelib.tables.columns import levels as table_levels
from chalicelib.tables.columns import lists
from chalicelib.tables.columns.levels import Step
from chalicelib.workflows.models import Workflow

CHANGED = "rubric_levels_changed"
#: More make the grid unreadable.
MAX_LEVELS = 20
_STALE = "Somebody else changed the levels while you had them open. Look at them again."


@dataclass(frozen=True)
class Plan:
    """What a change of the levels comes to: each step, how many values go by level, what speaks of the old names."""

    steps: tuple[Step, ...]
    gone: tuple[tuple[str, int, str], ...]
    speaking: tuple[str, ...]
    shared_with: tuple[str, ...]

    @property
    def needs_a_look(self) -> bool:
        """Whether something is lost, or left behind, that somebody should know of first."""
        return bool(self.gone or self.speaking or self.shared_with)


def check_seen(grid: Grid, seen: str) -> None:
    """Raise errors.Conflict when the levels are not those that were shown."""
    if seen != seal(grid):
        raise errors.Conflict(_STALE)


def seal(grid: Grid) -> str:
    """Return a short text by which one notices that the levels are others by now."""
    return seals.seal({"levels": [level.value for level in grid.levels]})


def ordered(places: Sequence[int | None]) -> list[int]:
    """Return the levels, counted from 0, in the order of the places asked for: numbers from 1, None for as it is.

    Whoever is moved stands before the one whose place it is, or behind that one when it comes from the front.
    """
    wanted = [at + 1 if place is None else place for at, place in enumerate(places)]
    return sorted(range(len(wanted)), key=lambda at: (wanted[at], (wanted[at] > at + 1) - (wanted[at] < at + 1), at))


def read(
    grid: Grid, typed: Sequence[str], added: str, zone: ZoneInfo, places: Sequence[int | None] = ()
) -> list[Step]:  # fmt: skip
    """Return the steps from one field for each level, where an empty one takes the level out, and the new levels.

    They are in the order of `places`, see `ordered`.

    Raises errors.Invalid (fields `level-0` …, `added`) for what does not fit the type or is there twice.
    """
    kind = grid.columns[0].type
    problems: dict[str, str] = {}
    steps: list[Step] = []
    for at, (level, text) in enumerate(zip(grid.levels, typed, strict=True)):
        if text.strip() == level.shown:
            steps.append((level.value, level.value))
        elif not text.strip():
            steps.append((level.value, None))
        else:
            steps.append((level.value, _one(text, kind, zone, f"level-{at}", problems)))
    try:
        steps += [(None, value) for value in lists.read(added.replace(",", "\n"), kind, zone, field="added")]
    except errors.Invalid as error:
        problems |= error.fields
    wanted = [new for _, new in steps if new is not None]
    for at, (_, new) in enumerate(steps):
        if new is not None and wanted.count(new) > 1:
            name = f"level-{at}" if at < len(grid.levels) else "added"
            problems.setdefault(name, f"“{new}” is there twice.")
    if not wanted:
        problems.setdefault("level-0", "A rubric needs at least one level.")
    if len(wanted) > MAX_LEVELS:
        problems.setdefault("added", f"Use at most {MAX_LEVELS} levels.")
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
    order = ordered(places) if len(places) == len(grid.levels) else range(len(grid.levels))
    return [*(steps[at] for at in order), *steps[len(grid.levels) :]]


def _one(text: str, kind: str, zone: ZoneInfo, field: str, problems: dict[str, str]) -> Any:
    try:
        return lists.read(text, kind, zone, field=field)[0]
    except errors.Invalid as error:
        problems |= error.fields
        return None


def plan(session: Session, workflow: Workflow, action: Action, grid: Grid, steps: Sequence[Step]) -> Plan:
    """Return what the steps come to."""
    columns = grid.columns
    names = {column.id: column.name for column in columns}
    gone = []
    for old, new in steps:
        if old is not None and new is None:
            held = table_levels.holders(session, workflow, columns, old)
            if held:
                where = ", ".join(f"“{names[key]}”" for key in held)
                gone.append((str(old), sum(held.values()), where))
    is_renamed = any(old is not None and old != new for old, new in steps)
    speaking = _speaking(session, workflow.id, columns) if is_renamed else []
    others = {name for column in columns for name in queries.of_column(session, column.id)} - {action.name}
    return Plan(tuple(steps), tuple(gone), tuple(speaking), tuple(sorted(others)) if is_renamed else ())


def _speaking(session: Session, workflow_id: int, columns: Sequence[Any]) -> list[str]:
    """Return the filters and conditions that compare with values of these columns, in words."""
    found: dict[str, None] = {}
    for column in columns:
        for use in uses.of_column(session, workflow_id, column.id):
            if use.kind == uses.FILTER:
                found[f"who gets “{use.action}”"] = None
            elif use.kind == uses.CONDITION:
                found[f"the condition “{use.name}” of “{use.action}”"] = None
    return list(found)


def change(session: Session, workflow: Workflow, user_id: int, action: Action, steps: Sequence[Step]) -> int | None:
    """Do the steps in all criteria of the rubric; return the event that `take_back` undoes, None without a change.

    `action` must be locked. Raises errors.Invalid when the criteria do not share their levels.
    """
    grid = queries.grid(session, action.id, tables.columns(session, workflow.id))
    if not grid.is_consistent:
        raise errors.Invalid("The criteria have different levels. Put that right first; they are marked in the grid.")
    if [level.value for level in grid.levels] == [new for _, new in steps]:
        return None
    event_id = service.record(
        session, CHANGED, user_id, action, steps=[list(step) for step in steps],
        columns=[column.id for column in grid.columns], before=[level.value for level in grid.levels],
    )  # fmt: skip
    _carry_out(session, workflow, grid.columns, steps, event_id)
    return event_id


def _carry_out(
    session: Session, workflow: Workflow, columns: Sequence[Any], steps: Sequence[Step], event_id: int
) -> None:
    keys = {
        _key(old, columns[0]): _key(new, columns[0])
        for old, new in steps if old is not None and new is not None and old != new
    }  # fmt: skip
    table_levels.change(session, workflow, columns, steps, event_id)
    of_columns = sa.select(Criterion.id).where(Criterion.column_id.in_([column.id for column in columns]))
    moved = sa.case(keys, value=RubricCell.level, else_=RubricCell.level) if keys else None
    if moved is not None:
        _make_way(session, of_columns, keys)
        session.execute(
            sa.update(RubricCell).where(RubricCell.criterion_id.in_(of_columns)).values(level=moved),
            execution_options={"synchronize_session": "fetch"},
        )


def _make_way(session: Session, of_columns: Any, keys: dict[str, str]) -> None:
    """Drop cells of levels that went long ago and whose names come back with another level."""
    taken = set(keys.values()) - set(keys)
    session.execute(
        sa.delete(RubricCell).where(RubricCell.criterion_id.in_(of_columns), RubricCell.level.in_(taken)),
        execution_options={"synchronize_session": "fetch"},
    )


def _key(value: Any, column: Any) -> str:
    return queries.level_of(value, column.type).key


def take_back(session: Session, workflow: Workflow, user_id: int, action: Action, event_id: int) -> str:
    """Undo a change of the levels; return the words for what happened. `action` must be locked.

    Raises errors.NotFound for another event, errors.Conflict when levels or criteria were changed since.
    """
    event = audit.get(session, workflow.id, event_id)
    if event.type != CHANGED or event.action_id != action.id or event.detail.get("taken_back"):
        raise errors.NotFound
    steps = [(old, new) for old, new in event.detail["steps"]]
    columns = [column for column in tables.columns(session, workflow.id) if column.id in event.detail["columns"]]
    after = [new for _, new in steps if new is not None]
    if len(columns) != len(event.detail["columns"]) or any(column.allowed_values != after for column in columns):
        raise errors.Conflict("The levels were changed again meanwhile, so they were left as they are.")
    back = _back(steps, event.detail.get("before", []))
    undo_id = service.record(
        session, CHANGED, user_id, action, steps=[list(step) for step in back], columns=event.detail["columns"],
        of=event_id,
    )  # fmt: skip
    _carry_out(session, workflow, columns, back, undo_id)
    table_levels.bring_back(session, workflow, columns, event_id)
    event.detail = {**event.detail, "taken_back": True}
    return "The levels are what they were before."


def _back(steps: Sequence[Step], before: Sequence[Any]) -> list[Step]:
    """Return the steps that undo these, in the order that was there before."""
    back = [(new, old) for old, new in steps if old is not None]
    back.sort(key=lambda step: before.index(step[1]) if step[1] in before else len(before))
    return [*back, *((new, None) for old, new in steps if old is None)]
