"""Any sequence of changes, all of them taken back by the ways that the history offers, leaves everything as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import database, errors
from chalicelib.accounts.models import User
from chalicelib.tables import cells, queries, rows, service, store
from chalicelib.tables.columns import create, groups, remove, retype
from chalicelib.tables.columns import settings as column_settings
from chalicelib.tables.columns.recipes import Recipe
from chalicelib.tables.history import queries as history
from chalicelib.tables.history import versions
from chalicelib.tables.models import Column
from chalicelib.tables.scope import Scope
from chalicelib.tables.uploads import service as uploads
from chalicelib.workflows import flushing
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.conftest import make_user
from tests.factories import make_table

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.sampled_from(["", "a", "Ünïcode", "00123", "yes", "7", None]),
    "integer": st.sampled_from([0, 1, -5, 2**53 + 1, None]),
    "double": st.sampled_from([0.1, -0.0, 1e300, 3.0, None]),
    "boolean": st.sampled_from([True, False, None]),
    "datetime": st.sampled_from([datetime(2026, 3, 1, 8, 30, 15, 123456, tzinfo=UTC), None]),
}
TYPES = {"sid": "text", "email": "text", "quiz": "integer", "mark": "double", "ok": "boolean"}
ROWS = [("s1", "a@x", 1, 0.5, True), ("s2", "b@x", None, 1.5, None), ("s3", "", 3, None, False)]
NUMBERS = count(1)
#: More earlier tables than these are not kept.
BULK = {"merge", "replace", "retype", "flush"}


class Course:
    """A table and its changes, each in a transaction of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        with database.scope() as session:
            user = make_user(session, f"ines{next(NUMBERS)}@uni.example")
            workflow = workflows.create(session, user.id, f"Biology {user.id}")
            make_table(session, workflow, TYPES, ROWS)
            self.workflow_id, self.user_id = workflow.id, user.id

    def do(self, work: Callable[[Session, Workflow], Any]) -> bool:
        """Do it; tell whether it could be done. The stored number of rows is right in either case."""
        try:
            with database.scope() as session:
                work(session, session.get_one(Workflow, self.workflow_id))
        except (errors.Invalid, errors.Conflict):
            done = False
        else:
            done = True
        with database.scope() as session:
            table = store.table(self.workflow_id)
            there = session.scalar(text(f"SELECT count(*) FROM {table}")) if store.exists(session, table) else None
            assert session.get_one(Workflow, self.workflow_id).row_count == there
        return done

    def state(self) -> Any:
        """Columns with all their settings, and the values of all rows in their order."""
        with database.scope() as session:
            columns = queries.columns(session, self.workflow_id)
            if not columns:
                return [], []
            cells = ", ".join(["row_id", *(f"c{column.id}" for column in columns)])
            found = session.execute(text(f"SELECT {cells} FROM {store.table(self.workflow_id)} ORDER BY row_id"))
            return versions.snapshot(columns), [tuple(row) for row in found]

    def changes(self) -> list[history.Line]:
        with database.scope() as session:
            return history.lines(session, self.workflow_id)

    def take_back(self, line: history.Line) -> bool:
        def work(session: Session, workflow: Workflow) -> None:
            if line.way == history.RESTORE:
                assert line.version_id
                versions.restore(session, workflow, line.version_id, self.user_id)
            else:
                service.take_back(session, workflow, self.user_id, line.id)

        return self.do(work)


def change_cell(course: Course, draw: st.DataObject) -> Callable[[Session, Workflow], Any]:
    def work(session: Session, workflow: Workflow) -> None:
        column = pick_column(session, workflow, draw)
        row_id = pick_row(session, workflow, draw)
        new = draw.draw(VALUES[column.type])
        seen = cells.seal(service.value(session, workflow.id, row_id, column))
        service.change_cell(session, workflow, course.user_id, row_id, column, new, seen=seen)

    return work


def pick_column(session: Session, workflow: Workflow, draw: st.DataObject, *, any_one: bool = False) -> Column:
    found = [column for column in queries.columns(session, workflow.id) if any_one or not column.is_key]
    if not found:
        raise errors.Invalid("no column")
    return draw.draw(st.sampled_from(sorted(found, key=lambda column: column.id)))


def pick_row(session: Session, workflow: Workflow, draw: st.DataObject) -> int:
    found = list(session.scalars(text(f"SELECT row_id FROM {store.table(workflow.id)} ORDER BY row_id")))
    if not found:
        raise errors.Invalid("no row")
    return draw.draw(st.sampled_from(found))


def add_row(course: Course, draw: st.DataObject) -> Callable[[Session, Workflow], Any]:
    def work(session: Session, workflow: Workflow) -> None:
        columns = queries.columns(session, workflow.id)
        course.number += 1
        values = {c.id: f"new{course.number}" if c.is_key else draw.draw(VALUES[c.type]) for c in columns}
        service.add_row(session, workflow, course.user_id, columns, values)

    return work


def delete_row(course: Course, draw: st.DataObject) -> Callable[[Session, Workflow], Any]:
    def work(session: Session, workflow: Workflow) -> None:
        row_id, columns = pick_row(session, workflow, draw), queries.columns(session, workflow.id)
        service.delete_row(session, workflow, course.user_id, row_id, columns)

    return work


def everybody(session: Session, workflow: Workflow) -> Scope:
    return Scope(workflow.id, queries.infos(session, workflow.id))


def set_many(course: Course, draw: st.DataObject) -> Callable[[Session, Workflow], Any]:
    def work(session: Session, workflow: Workflow) -> None:
        column = pick_column(session, workflow, draw)
        value = draw.draw(VALUES[column.type])
        rows.set_column(session, workflow, course.user_id, everybody(session, workflow), None, column, value)

    return work


def delete_many(course: Course, draw: st.DataObject) -> Callable[[Session, Workflow], Any]:
    def work(session: Session, workflow: Workflow) -> None:
        chosen = [pick_row(session, workflow, draw), pick_row(session, workflow, draw)]
        rows.delete(session, workflow, course.user_id, everybody(session, workflow), chosen)

    return work


def rename(course: Course, draw: st.DataObject) -> Callable[[Session, Workflow], Any]:
    def work(session: Session, workflow: Workflow) -> None:
        column = pick_column(session, workflow, draw, any_one=True)
        course.number += 1
        now = column_settings.of(session, column)
        position = draw.draw(st.integers(1, 5))
        wanted = replace(now, name=f"name {course.number}", in_charts=not now.in_charts, position=position)
        column_settings.change(session, workflow, course.user_id, column, wanted)

    return work


def add_column(course: Course, draw: st.DataObject) -> Callable[[Session, Workflow], Any]:
    def work(session: Session, workflow: Workflow) -> None:
        course.number += 1
        details = create.Details(f"column {course.number}", "integer", position=draw.draw(st.integers(0, 3)))
        kind = draw.draw(st.sampled_from(["value", "formula", "groups", "copy"]))
        numbers = [c for c in queries.columns(session, workflow.id) if c.type in {"integer", "double"}]
        if kind == "value":
            create.add(session, workflow, course.user_id, details, draw.draw(st.sampled_from([None, 5])))
        elif kind == "groups":
            groups.add(session, workflow, course.user_id, details, groups.Deal([1, 2], seed=1))
        elif kind == "copy":
            create.clone(session, workflow, course.user_id, pick_column(session, workflow, draw))
        elif numbers:
            sources = tuple(c.id for c in numbers[:3])
            create.add_formula(session, workflow, course.user_id, details, Recipe("sum", sources, ignore_missing=True))

    return work


def delete_column(course: Course, draw: st.DataObject) -> Callable[[Session, Workflow], Any]:
    def work(session: Session, workflow: Workflow) -> None:
        remove.delete(session, workflow, course.user_id, pick_column(session, workflow, draw, any_one=True))

    return work


def change_type(course: Course, draw: st.DataObject) -> Callable[[Session, Workflow], Any]:
    def work(session: Session, workflow: Workflow) -> None:
        column = pick_column(session, workflow, draw)
        choice = draw.draw(st.sampled_from(sorted(retype.CHOICES[column.type])))
        retype.carry_out(session, workflow, course.user_id, column, choice, may_lose=100)

    return work


def flush(course: Course, _draw: st.DataObject) -> Callable[[Session, Workflow], Any]:
    def work(session: Session, workflow: Workflow) -> None:
        flushing.flush(session, session.get_one(User, course.user_id), workflow, flushing.ROWS)

    return work


def upload(method: str) -> Callable[[Course, st.DataObject], Callable[[Session, Workflow], Any]]:
    def made(course: Course, draw: st.DataObject) -> Callable[[Session, Workflow], Any]:
        def work(session: Session, workflow: Workflow) -> None:
            course.number += 1
            path = course.folder / f"{course.number}.csv"
            values = [draw.draw(st.sampled_from(["", "1", "2", "2.5", "x"])) for _ in range(3)]
            path.write_text(f"sid,quiz,fresh {course.number}\ns1,{values[0]},a\ns3,{values[1]},b\ns9,{values[2]},c\n")
            wanted = "outer" if method == "merge" else "right"
            uploads.import_file(
                session, workflow, course.user_id, path, keys=("sid",), choices={"method": method, "rows": wanted}
            )

        return work

    return made


CHANGES = {
    "cell": change_cell, "add row": add_row, "delete row": delete_row, "set many": set_many, "delete many": delete_many,
    "rename": rename, "add column": add_column, "delete column": delete_column, "retype": change_type, "flush": flush,
    "merge": upload("merge"), "replace": upload("replace"),
}  # fmt: skip


@given(plan=st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=8), draw=st.data())
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
def test_taking_everything_back_is_the_identity(
    fresh_database: str, tmp_path: Path, plan: list[str], draw: st.DataObject
) -> None:
    course = Course(tmp_path)
    states = [course.state()]
    bulk = 0
    for name in plan:
        bulk += name in BULK
        if bulk > versions.KEPT:
            break
        course.do(CHANGES[name](course, draw))
        states.append(course.state())
    for event_id in [line.id for line in course.changes()]:
        line = next(line for line in course.changes() if line.id == event_id)
        assert line.way in {history.RESTORE, history.UNDO}, line
        assert course.take_back(line), line
    assert course.state() == states[0]
