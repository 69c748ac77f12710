"""People at work during every stage of an upload and a merge, and workers that die in every stage.

They die before every third statement, in each stage before others: at each of them it would take minutes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text

from chalicelib import database
from chalicelib.actions.surveys import answers
from chalicelib.actions.surveys import jobs as answer_jobs  # noqa: F401  registers its jobs
from chalicelib.schedules import jobs
from chalicelib.schedules import service as schedules
from chalicelib.tables import cells, queries, service
from chalicelib.workflows.models import Workflow
from tests.factories import make_action
from tests.tables.conftest import Course, fields

PATIENCE = 3.5
CLASS = "sid,name,mark\n" + "".join(f"{n},Name {n},\n" for n in range(1, 201))
MARKS = "sid,mark,quiz\n" + "".join(f"{n},{n % 7},{n}\n" for n in range(100, 301))


class Killed(BaseException):
    """The worker is gone: nothing of it runs any more."""


@contextmanager
def before_each_statement(act: Callable[[int], None]) -> Iterator[None]:
    """Call `act` with 1, 2, … before each statement that this thread sends."""
    me, count = threading.get_ident(), 0

    def note(*_args: Any) -> None:
        nonlocal count
        if threading.get_ident() == me:
            count += 1
            act(count)

    with database.scope() as session:
        engine = session.connection().engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", note)


def due(course: Course) -> list[int]:
    with database.scope() as session:
        return list(schedules.due_jobs(session))


def confirmed(course: Course) -> str:
    """Put a class into the table and confirm a merge, whose job is not done yet."""
    course.add(CLASS)
    page = course.read(MARKS, "marks.csv")
    look = course.browser.follow(course.browser.get(page))
    match = course.browser.follow(course.browser.post(f"{page}/look", fields(look)))
    course.browser.follow(course.browser.post(f"{page}/match", {**fields(match), "wins": "fill"}))
    assert course.browser.post(f"{page}/check").status == 303
    return page


def state(course: Course) -> tuple[Any, ...]:
    """All that a half-done change could have touched."""
    shape = """SELECT string_agg(concat_ws(':', c.id, c.name, c.type, c.is_key, c.deleted_at), ',' ORDER BY c.id)
               FROM ontask."column" c"""
    tables = "SELECT string_agg(tablename, ',' ORDER BY 1) FROM pg_tables WHERE schemaname = 'learners'"
    versions = "SELECT count(*) FROM ontask.table_version"
    counted = "SELECT row_count FROM ontask.workflow"
    rows = course.contents() if course.sql(counted) is not None else None
    return rows, course.sql(shape), course.sql(tables), course.sql(versions), course.sql(counted)


def test_no_edit_is_lost_and_nobody_waits_long_during_a_merge(course: Course, aws: str) -> None:
    confirmed(course)
    with database.scope() as session:
        columns = {column.name: column for column in queries.columns(session, course.workflow_id)}
        survey = make_action(session, session.get_one(Workflow, course.workflow_id), kind="survey")
    stop, waits, saved, refused, read = threading.Event(), [0.0], dict[int, str](), [0], [0.0]
    answered, answering = dict[int, int](), [0.0]

    def edit() -> None:
        number = 0
        while not stop.is_set():
            number = number % 200 + 1
            began = time.monotonic()
            name = columns["name"]
            with database.scope() as session:  # the page on the screen
                seen = cells.seal(service.value(session, course.workflow_id, number, name))
            try:
                with database.scope() as session:
                    workflow = session.get_one(Workflow, course.workflow_id)
                    value = f"Edited {number} {began}"
                    service.change_cell(session, workflow, course.user_id, number, name, value, seen=seen)
                saved[number] = value
            except service.errors.Conflict:
                refused[0] += 1
            waits.append(time.monotonic() - began)

    def look() -> None:
        while not stop.is_set():
            began = time.monotonic()
            with database.scope() as session:
                session.execute(text(f"SELECT count(*) FROM learners.w{course.workflow_id}")).one()
            read.append(time.monotonic() - began)

    def answer() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            row_id, began = 101 + number % 100, time.monotonic()
            with database.scope() as session:
                answers.lock(session, course.workflow_id, row_id)
                answers.add(session, survey, row_id, None, "link", {columns["mark"].id: 1000 + number})
            answered[row_id] = 1000 + number
            answering.append(time.monotonic() - began)

    def linger(_count: int) -> None:
        # Long enough in each stage for edits and looks to meet it.
        threading.Event().wait(0.02)

    people = [threading.Thread(target=one) for one in (edit, look, answer)]
    for person in people:
        person.start()
    with before_each_statement(linger):
        for job_id in due(course):
            jobs.run(job_id)
    stop.set()
    for person in people:
        person.join()
    course.work()  # answers wait for the table, learners do not
    rows = course.contents()
    assert len(rows) == 300
    assert saved
    for number, value in saved.items():
        assert rows[number - 1]["name"] == value
    assert answered
    for row_id, mark in answered.items():
        assert rows[row_id - 1]["mark"] == mark
    assert max(answering) < PATIENCE
    assert max(waits) < PATIENCE
    assert max(read) < 1


def test_an_edit_of_a_column_that_the_file_fills_is_kept(course: Course, aws: str) -> None:
    confirmed(course)
    with database.scope() as session:
        workflow = session.get_one(Workflow, course.workflow_id)
        mark = next(column for column in queries.columns(session, workflow.id) if column.name == "mark")
        service.change_cell(session, workflow, course.user_id, 150, mark, 99, seen=cells.seal(None))
    course.work()
    assert course.contents()[149]["mark"] == 99


@pytest.mark.parametrize(("stage", "first"), [("reading", 1), ("first import", 2), ("merge", 3)])
def test_a_worker_killed_on_its_way_leaves_nothing_half_done(course: Course, aws: str, stage: str, first: int) -> None:
    if stage == "merge":
        confirmed(course)
    else:
        page = course.send(CLASS.encode())
        if stage == "first import":
            course.work()
            course.browser.post(f"{page}/look", fields(course.browser.follow(course.browser.get(page))))
            assert course.browser.post(f"{page}/check").status == 303
    (job_id,) = due(course)
    before = state(course)
    survived, kill_at, step = False, first, 3
    while not survived:

        def kill(count: int, at: int = kill_at) -> None:
            if count == at:
                raise Killed

        try:
            with before_each_statement(kill):
                jobs.run(job_id)
            survived = True
        except Killed:
            # Either all of it or nothing; only the note that it is done may be missing.
            if state(course) != before:
                break
            course.sql(f"UPDATE ontask.job SET state = 'queued', lease_until = NULL, attempts = 0 WHERE id = {job_id}"
                       " RETURNING 1")  # fmt: skip
        kill_at += step
    assert kill_at > 15
    course.sql(f"UPDATE ontask.job SET state = 'queued', lease_until = NULL WHERE id = {job_id} RETURNING 1")
    jobs.run(job_id)
    if stage == "reading":
        assert course.sql("SELECT state FROM ontask.upload ORDER BY id DESC LIMIT 1") == "read"
    else:
        assert len(course.contents()) == (300 if stage == "merge" else 200)
        left = "SELECT count(*) FROM pg_tables WHERE schemaname = 'learners' AND tablename ~ '^[utn]'"
        assert course.sql(left) == 0
