"""Changes of whole rows, and of many rows at once: one statement each, with what was there before kept beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.audit import service as audit
from chalicelib.tables import cells, queries, store
from chalicelib.tables.columns import keeping, recipes
from chalicelib.tables.models import Column, RowChange
from chalicelib.tables.scope import Scope
from chalicelib.tables.writing import Undone, add_to_count, kept, label, record, writing
from chalicelib.workflows.models import Workflow

GONE = "This learner is not in the table any more."


class Stale(errors.Conflict):
    """Raised when somebody changed cells of a row meanwhile; `now` has their values by column id."""

    def __init__(self, now: Mapping[int, Any]) -> None:
        super().__init__("Somebody changed this learner while you had the form open.")
        self.now = dict(now)


def change(
    session: Session, workflow: Workflow, user_id: int, row_id: int, new: Mapping[Column, Any], seen: Mapping[int, str]
) -> int | None:  # fmt: skip
    """Give some cells of a row new values; `seen` are the seals of what the form showed, by column id.

    Returns the id of the event by which it can be taken back; None when nothing changes. Raises Stale when a cell has
    another value by now, errors.Invalid (fields `c<id>`) for a key or what a formula keeps up to date,
    errors.NotFound when the row is gone.
    """
    refuse_fixed(new)

    def work() -> int | None:
        old = _locked(session, workflow, row_id, new)
        changed = {column: value for column, value in new.items() if _differs(old[column.id], value)}
        stale = {column.id: old[column.id] for column in changed if cells.seal(old[column.id]) != seen.get(column.id)}
        if stale:
            raise Stale(stale)
        if not changed:
            return None
        _write(session, workflow.id, row_id, changed)
        return record(
            session, workflow, user_id, "row_changed", row_id=row_id, name=_name_of(session, workflow.id, row_id),
            values={str(c.id): [kept(old[c.id]), kept(value)] for c, value in changed.items()},
        )  # fmt: skip

    return writing(session, workflow, {}, {}, work, None)


def refuse_fixed(columns: Mapping[Column, Any] | Sequence[Column]) -> None:
    """Raise errors.Invalid when one of the columns is a key, or takes no value by hand."""
    problems = {}
    for column in columns:
        recipe = recipes.formula(column.recipe)
        if column.is_key:
            problems[f"c{column.id}"] = f"“{column.name}” tells learners apart. Change it on the learner’s page."
        elif recipe is not None and recipe.keep:
            problems[f"c{column.id}"] = f"“{column.name}” is worked out from other columns. Change those."
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)


def _locked(session: Session, workflow: Workflow, row_id: int, columns: Mapping[Column, Any]) -> dict[int, Any]:
    wanted = ", ".join(["row_id", *(f"c{column.id}" for column in columns)])
    statement = f"SELECT {wanted} FROM {store.table(workflow.id)} WHERE row_id = :row_id FOR UPDATE"
    found = session.execute(sa.text(statement), {"row_id": row_id}).one_or_none()
    if found is None:
        raise errors.NotFound(GONE)
    return {column.id: value for column, value in zip(columns, found[1:], strict=True)}


def _differs(old: Any, new: Any) -> bool:
    return bool(old != new) or (old is None) != (new is None)


def _write(session: Session, workflow_id: int, row_id: int, values: Mapping[Column, Any]) -> None:
    given = ", ".join(f"c{column.id} = :c{column.id}" for column in values)
    session.execute(
        sa.text(f"UPDATE {store.table(workflow_id)} SET {given} WHERE row_id = :row_id"),
        {"row_id": row_id, **{f"c{column.id}": value for column, value in values.items()}},
    )
    keeping.data_changed(session, workflow_id, column_ids=[column.id for column in values], row_ids=[row_id])


def _name_of(session: Session, workflow_id: int, row_id: int) -> str:
    keys = [column for column in queries.columns(session, workflow_id) if column.is_key][:1]
    statement = f"SELECT c{keys[0].id} FROM {store.table(workflow_id)} WHERE row_id = :row_id"
    return label(keys, {keys[0].id: session.scalar(sa.text(statement), {"row_id": row_id})})


def undo_change(session: Session, workflow: Workflow, user_id: int, detail: dict[str, Any]) -> Undone:
    """Give a row the values back that `change` replaced, where nobody changed them since."""
    live = {str(column.id): column for column in queries.columns(session, workflow.id)}
    pairs = {live[key]: pair for key, pair in detail["values"].items() if key in live and not live[key].is_key}
    old = {column: cells.restored(pair[0], column.type) for column, pair in pairs.items()}
    seen = {column.id: cells.seal(cells.restored(pair[1], column.type)) for column, pair in pairs.items()}
    try:
        change(session, workflow, user_id, int(detail["row_id"]), old, seen)
    except Stale:
        raise errors.Conflict("The learner was changed again meanwhile, so nothing was taken back.") from None
    return Undone(f"“{detail['name']}” is what it was before.", int(detail["row_id"]))


def chosen(scope: Scope, row_ids: Sequence[int] | None) -> sa.Select[Any]:
    """Return the SELECT of the ids of some rows of the scope; None: all of them."""
    table = scope.table()
    return sa.select(table.c.row_id).where(*scope.where(table), *_among(table, row_ids))


_IDS = ARRAY(sa.BigInteger())
_CHANGE: Any = RowChange.__table__


def count(session: Session, scope: Scope, row_ids: Sequence[int] | None) -> int:
    """Return how many rows `chosen` finds."""
    return session.scalar(sa.select(sa.func.count()).select_from(chosen(scope, row_ids).subquery())) or 0


def set_column(
    session: Session, workflow: Workflow, user_id: int, scope: Scope, row_ids: Sequence[int] | None, column: Column,
    value: Any,
) -> tuple[int, int | None]:  # fmt: skip
    """Give the cells of a column one value, which must fit it, in some rows of the scope (None: in all of them).

    Returns how many changed and the id of the event by which they get their values back. Raises errors.Invalid for a
    column that can't be written like this.
    """
    refuse_fixed([column])
    name = f"c{column.id}"

    def work() -> tuple[int, int | None]:
        event_id = record(
            session, workflow, user_id, "rows_changed", column_id=column.id, name=column.name, new=kept(value)
        )  # fmt: skip
        table: Any = scope.table()
        new = sa.literal(value, table.c[name].type)
        before = (
            sa.select(table.c.row_id, table.c[name].label("old"))
            .where(*scope.where(table), table.c[name].is_distinct_from(new), *_among(table, row_ids))
            .with_for_update(of=table)
            .cte("before")
        )
        target: Any = sa.table(f"w{workflow.id}", sa.column("row_id"), sa.column(name), schema="learners")
        done = (
            sa.update(target).values({name: new}).where(target.c.row_id == before.c.row_id)
            .returning(before.c.row_id, before.c.old).cte("done")
        )  # fmt: skip
        changed = _keep(session, event_id, done, sa.func.jsonb_build_object(name, done.c.old))
        if changed:
            keeping.data_changed(session, workflow.id, column_ids=[column.id])
        return finish(session, workflow, event_id, changed)

    return writing(session, workflow, {}, {}, work, None)


def delete(
    session: Session, workflow: Workflow, user_id: int, scope: Scope, row_ids: Sequence[int] | None
) -> tuple[int, int | None]:
    """Delete some rows of the scope (None: all of them).

    Returns how many and the id of the event by which they come back.
    """

    def work() -> tuple[int, int | None]:
        event_id = record(session, workflow, user_id, "rows_deleted", name="")
        table: Any = scope.table()
        wanted = sa.select(table.c.row_id).where(*scope.where(table), *_among(table, row_ids))
        target: Any = sa.table(f"w{workflow.id}", sa.column("row_id"), schema="learners").alias("d")
        done = (
            sa.delete(target).where(target.c.row_id.in_(wanted))
            .returning(target.c.row_id, sa.literal_column("to_jsonb(d) - 'row_id'").label("old")).cte("done")
        )  # fmt: skip
        deleted = _keep(session, event_id, done, done.c.old)
        add_to_count(session, workflow, -deleted)
        return finish(session, workflow, event_id, deleted, name=plural_learners(deleted))

    return writing(session, workflow, {}, {}, work, None)


def _among(table: Any, row_ids: Sequence[int] | None) -> list[Any]:
    return [] if row_ids is None else [table.c.row_id == sa.any_(sa.literal(list(row_ids), _IDS))]


def _keep(session: Session, event_id: int, done: sa.CTE, old: Any) -> int:
    """Run the change `done` and keep what was there, in one statement; return the number of rows."""
    rows = sa.select(sa.literal(event_id, sa.BigInteger()), done.c.row_id, old)
    statement = sa.insert(_CHANGE).from_select(["event_id", "row_id", "old"], rows)
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]


def finish(session: Session, workflow: Workflow, event_id: int, number: int, **detail: Any) -> tuple[int, int | None]:
    """Write the number of rows into the event; return both, or no event when there was nothing to do."""
    event = audit.get(session, workflow.id, event_id)
    if not number:
        session.delete(event)
        return 0, None
    event.detail = {**event.detail, "rows": number, **detail}
    return number, event_id


def undo_set(session: Session, workflow: Workflow, user_id: int, detail: dict[str, Any]) -> Undone:
    """Give the cells back what `set_column` replaced, where nobody changed them since."""
    column = queries.column(session, workflow.id, detail["column_id"])
    kind, name = store.TYPES[column.type], f"c{column.id}"
    statement = f"""
        UPDATE {store.table(workflow.id)} t SET {name} = CAST(r.old->>'{name}' AS {kind})
        FROM ontask.row_change r
        WHERE r.event_id = :event_id AND t.row_id = r.row_id AND t.{name} IS NOT DISTINCT FROM CAST(:new AS {kind})"""

    def work() -> int:
        new = cells.restored(detail["new"], column.type)
        restored = run(session, statement, {"event_id": detail["event_id"], "new": new})
        keeping.data_changed(session, workflow.id, column_ids=[column.id])
        record(session, workflow, user_id, "rows_restored", name=column.name, rows=restored, of=detail["event_id"])
        return restored

    restored = writing(session, workflow, {}, {}, work, None)
    left = int(detail["rows"]) - restored
    also = f" {left:,} were changed again or deleted meanwhile and stay as they are." if left else ""
    return Undone(f"“{column.name}” is what it was before.{also}")


def undo_delete(session: Session, workflow: Workflow, user_id: int, detail: dict[str, Any]) -> Undone:
    """Bring the rows back that `delete` took out, all or none."""
    name = store.table(workflow.id)
    statement = f"""
        INSERT INTO {name} SELECT p.* FROM ontask.row_change r
        CROSS JOIN LATERAL jsonb_populate_record(
            CAST(NULL AS {name}), r.old || jsonb_build_object('row_id', r.row_id)) p
        WHERE r.event_id = :event_id AND NOT EXISTS (SELECT FROM {name} t WHERE t.row_id = r.row_id)"""

    def work() -> int:
        restored = run(session, statement, {"event_id": detail["event_id"]})
        add_to_count(session, workflow, restored)
        keeping.data_changed(session, workflow.id)
        record(
            session, workflow, user_id, "rows_restored", name=plural_learners(restored), rows=restored,
            of=detail["event_id"],
        )  # fmt: skip
        return restored

    restored = writing(session, workflow, {}, {}, work, None)
    if not restored:
        raise errors.Conflict("These learners are in the table again.")
    return Undone(f"{plural_learners(restored)} {'is' if restored == 1 else 'are'} back.")


def run(session: Session, statement: str, values: Mapping[str, Any]) -> int:
    """Do what brings values back and return the number of rows.

    Raises errors.Conflict when a column can't hold them any more.
    """
    try:
        with session.begin_nested():
            return int(session.execute(sa.text(statement), values).rowcount)  # type: ignore[attr-defined]
    except DBAPIError as error:
        if not store.sqlstate(error).startswith(("22", "42804")):
            raise
        raise errors.Conflict("A column has another type by now, so this can't be taken back.") from error


def plural_learners(number: int) -> str:
    """Return such as `1 learner`, `2,498 learners`."""
    return f"{number:,} learner{'' if number == 1 else 's'}"
