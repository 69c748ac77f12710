"""Empty a workflow: the rows alone, or the table and the messages too. The earlier table is kept and can come back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts.models import User
from chalicelib.audit import service as audit
from chalicelib.delivery import service as delivery
from chalicelib.schedules import plans
from chalicelib.tables import names, store
from chalicelib.tables import queries as tables
from chalicelib.tables.history import versions
from chalicelib.workflows import parts, service
from chalicelib.workflows.models import Workflow
from chalicelib.workflows.references import PARTS

Result = TypeVar("Result")
ROWS, ALL = "rows", "all"
#: Everything but attributes goes with the table: what is left speaks of no learner.
_STAY = {"attribute", "column"}


@dataclass(frozen=True)
class Losses:
    """How much of each there is."""

    rows: int
    columns: int
    others: dict[str, int]
    runs: int


def losses(session: Session, workflow: Workflow) -> Losses:
    """Count what would go."""
    rows = parts.live(session, workflow.id)
    others = {table: len(found) for table, found in rows.items() if table not in _STAY}
    runs = delivery.scheduled(session, workflow.id)
    others["schedule"] = len(plans.of_workflow(session, workflow.id))
    return Losses(workflow.row_count or 0, len(rows["column"]), others, len(runs))


def flush(session: Session, user: User, workflow: Workflow, what: str) -> int:
    """Empty the workflow and return the id of the event by which `take_back` undoes it.

    `what` is ROWS or ALL; with ALL scheduled runs are cancelled, too. Raises errors.Invalid when there are no rows or
    nothing was chosen, errors.Conflict when the table is in use just now.
    """
    if what not in {ROWS, ALL}:
        raise errors.Invalid("Choose what to empty.", {"what": "Choose one of the two."})
    if not workflow.row_count:
        raise errors.Invalid("There are no rows.", {"what": "There are no learners in the table; nothing to empty."})
    return _in_table(session, lambda: _flush(session, user, workflow, what))


def _flush(session: Session, user: User, workflow: Workflow, what: str) -> int:
    lost = losses(session, workflow)
    columns = tables.columns(session, workflow.id)
    store.lock_for_bulk(session, workflow.id)
    first_free = store.first_free_row_id(session, workflow.id)
    version = versions.keep(session, workflow, user.id, "Before the table was emptied")
    gone: dict[str, list[int]] = {}
    if what == ROWS:
        fields = [store.Field(column.id, column.type, column.is_key) for column in columns]
        store.create_table(session, workflow.id, fields, first_free=first_free)
        workflow.row_count = 0
    else:
        for run in delivery.scheduled(session, workflow.id):
            delivery.undo(session, user.id, run)
        gone = _set_aside(session, workflow)
        gone["schedule"] = [one.id for one in plans.go_with(session, user.id, workflow.id, clock.now())]
        workflow.row_count = None
    service.touch(workflow)
    event = audit.record(
        session, "workflow_flushed", workflow_id=workflow.id, user_id=user.id, what=what, rows=lost.rows,
        columns=lost.columns if what == ALL else 0, version=version.id, gone=gone, name=workflow.name,
        learner_column=workflow.learner_column_id,
    )  # fmt: skip
    session.flush()
    return event.id


def _set_aside(session: Session, workflow: Workflow) -> dict[str, list[int]]:
    """Mark everything but the attributes as deleted and return the ids by table; columns come back with the table."""
    gone = {}
    for part in PARTS:
        table = parts.table_of(part)
        if part.table == "attribute" or part.parent_letter != "w" or "deleted_at" not in table.c:
            continue
        statement = table.update().where(table.c.workflow_id == workflow.id, table.c.deleted_at.is_(None))
        gone[part.table] = list(session.scalars(statement.values(deleted_at=clock.now()).returning(table.c.id)))
    return {table: ids for table, ids in gone.items() if table != "column"}


def take_back(session: Session, user: User, workflow: Workflow, event_id: int) -> dict[str, Any]:
    """Undo an emptying: the table and its columns as they were, and what went with them. Scheduled runs stay cancelled.

    Raises errors.NotFound for other events or when the earlier table is not kept any more, errors.Conflict when the
    table is in use just now.
    """
    event = audit.get(session, workflow.id, event_id)
    if event.type != "workflow_flushed":
        raise errors.NotFound
    _in_table(session, lambda: versions.restore(session, workflow, event.detail["version"], user.id))
    for schedule_id in event.detail["gone"].get("schedule", []):
        plans.restore(session, user.id, plans.get(session, workflow.id, schedule_id, in_trash=True, lock=True))
    for part in PARTS:
        if ids := event.detail["gone"].get(part.table):
            table = parts.table_of(part)
            mine = table.c.workflow_id == workflow.id
            _free_names(session, table, mine, ids)
            session.execute(table.update().where(table.c.id.in_(ids), mine).values(deleted_at=None))
    return event.detail


def _free_names(session: Session, table: sa.Table, mine: sa.ColumnElement[bool], ids: list[int]) -> None:
    """Give what comes back another name where something new has its name by now."""
    taken = set(session.scalars(sa.select(table.c.name).where(mine, table.c.deleted_at.is_(None))))
    for key, name in session.execute(sa.select(table.c.id, table.c.name).where(table.c.id.in_(ids), mine)).all():
        if name in taken:
            free = names.unused(name, taken)
            session.execute(table.update().where(table.c.id == key).values(name=free))
            taken.add(free)


def _in_table(session: Session, work: Callable[[], Result]) -> Result:
    session.execute(text(f"SET LOCAL lock_timeout = '{store.DDL_LOCK_SECONDS}s'"))
    try:
        return work()
    except DBAPIError as error:
        if store.sqlstate(error) not in {store.LOCK_NOT_AVAILABLE, store.DEADLOCK}:
            raise
        raise errors.Conflict("The table is in use just now. Nothing was changed; please try again.") from error
