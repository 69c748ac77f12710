"""The worker is killed on its way through a change of the table: all of it is done, or nothing.

It dies before every sixth statement or commit, or all of them (ONTASK_FAULTS=all); each stage begins at another one of
the first six.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from chalicelib import database
from chalicelib.actions.surveys import answers
from chalicelib.exchange import service as exchange
from chalicelib.schedules import service as schedules
from chalicelib.tables import changes, queries
from chalicelib.workflows.models import Workflow
from tests.exchange.test_pages import deliver
from tests.factories import make_action
from tests.faults.mortal import Worker, posted
from tests.faults.scenes import IS_ALL
from tests.tables.conftest import Course, fields

pytestmark = pytest.mark.faults

CLASS = "sid,name,mark,tutor\n" + "".join(f"{n},Name {n},{n % 5},{n % 2}\n" for n in range(1, 41))
MARKS = "sid,mark,quiz\n" + "".join(f"{n},{n % 7},{n}\n" for n in range(20, 61))
#: They say who is at work, not what became of the data.
NOTES = {"job", "session"}

Order = dict[str, Any]


@pytest.fixture(scope="module")
def workers() -> Iterator[list[Worker]]:
    """The process that does all orders of this file; it begins once there is a database to speak of."""
    made: list[Worker] = []
    yield made
    for one in made:
        one.stop()


@pytest.fixture
def worker(course: Course, aws: str, workers: list[Worker]) -> Worker:
    """The process; every test's database and cloud have the same addresses."""
    if not workers:
        workers.append(Worker())
    return workers[0]


def due(_course: Course) -> Order:
    """The order to do the one job that waits."""
    with database.scope() as session:
        (job_id,) = schedules.due_jobs(session)
    return {"job": job_id}


def column(course: Course, name: str) -> int:
    with database.scope() as session:
        return next(one.id for one in queries.columns(session, course.workflow_id) if one.name == name)


def reading(course: Course, _folder: Path) -> Order:
    course.send(CLASS.encode())
    return due(course)


def first_import(course: Course, _folder: Path) -> Order:
    page = course.read(CLASS)
    course.browser.post(f"{page}/look", fields(course.browser.follow(course.browser.get(page))))
    assert course.browser.post(f"{page}/check").status == 303
    return due(course)


def merge(course: Course, _folder: Path) -> Order:
    course.add(CLASS)
    page = course.read(MARKS, "marks.csv")
    look = course.browser.follow(course.browser.get(page))
    match = course.browser.follow(course.browser.post(f"{page}/look", fields(look)))
    course.browser.follow(course.browser.post(f"{page}/match", fields(match)))
    assert course.browser.post(f"{page}/check").status == 303
    return due(course)


def flush(what: str) -> Callable[[Course, Path], Order]:
    def order(course: Course, _folder: Path) -> Order:
        course.add(CLASS)
        return posted(course.browser, f"{course.path}/flush", {"what": what})

    return order


def retype(course: Course, _folder: Path) -> Order:
    course.add(CLASS)
    path = f"{course.path}/columns/{column(course, 'mark')}/type"
    return posted(course.browser, path, {"to": "text", "may_lose": 0})


def bulk_set(course: Course, _folder: Path) -> Order:
    course.add(CLASS)
    chosen = {"action": "set", "all": "1", "column": column(course, "mark"), "value": "9", "sure": "1"}
    return posted(course.browser, f"{course.path}/table/rows", chosen)


def bulk_delete(course: Course, _folder: Path) -> Order:
    course.add(CLASS)
    chosen = {"action": "delete", "row": [3, 4, 5], "sure": "1"}
    return posted(course.browser, f"{course.path}/table/rows", chosen)


def restoring(course: Course, _folder: Path) -> Order:
    course.add(CLASS)
    course.add(MARKS, "marks.csv")
    version = course.sql("SELECT max(id) FROM ontask.table_version")
    return posted(course.browser, f"{course.path}/history/{version}", {})


def send_export(course: Course, folder: Path) -> str:
    """Send the export of a class as an import; return the address of its page once the file is there."""
    course.add(CLASS)
    path = folder / "export.zip"
    with database.scope() as session:
        exchange.export(session, session.get_one(Workflow, course.workflow_id), path, [])
    return deliver(course.browser, path.read_bytes())


def import_reading(course: Course, folder: Path) -> Order:
    send_export(course, folder)
    return due(course)


def import_creating(course: Course, folder: Path) -> Order:
    page = send_export(course, folder)
    course.work()
    assert course.browser.post(page, {"step": "create", "name": "Twin"}).status == 303
    return due(course)


def by_job(ask: Callable[[Course, Path], Order]) -> Callable[[Course, Path], Order]:
    """The same change of a table that is too large to wait for."""

    def order(course: Course, folder: Path) -> Order:
        form = ask(course, folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(changes, "AT_ONCE", 0)
            answer = course.browser.request("POST", form["path"], form["body"])
        assert "/table/work/" in answer.location
        return due(course)

    return order


def dealing(course: Course, _folder: Path) -> Order:
    course.add(CLASS)
    groups = {"name": "Group", "type": "text", "values": "A\nB", "seed": "7"}
    return posted(course.browser, f"{course.path}/columns/new/groups", groups)


def answering(course: Course, _folder: Path) -> Order:
    course.add(CLASS)
    with database.scope() as session:
        survey = make_action(session, session.get_one(Workflow, course.workflow_id), "", "Weekly", "survey")
        for row_id, mark in ((3, 7), (4, 8), (4, 9)):
            answers.add(session, survey, row_id, None, answers.LINK, {column(course, "mark"): mark})
    return due(course)


STAGES = {
    "answering": answering,
    "reading": reading, "first import": first_import, "merge": merge, "flush of the rows": flush("rows"),
    "flush of everything": flush("all"), "retype": retype, "bulk set": bulk_set, "bulk delete": bulk_delete,
    "retype by a job": by_job(retype), "bulk set by a job": by_job(bulk_set),
    "bulk delete by a job": by_job(bulk_delete), "groups by a job": by_job(dealing),
    "restoring": restoring, "reading of an import": import_reading, "creating of an import": import_creating,
}  # fmt: skip


def state(course: Course) -> dict[str, Any]:
    """All rows of all tables, but for the notes of who is at work."""
    listed = """
        SELECT schemaname || '.' || quote_ident(tablename) FROM pg_tables
        WHERE schemaname IN ('ontask', 'learners') ORDER BY 1"""
    with database.scope() as session:
        tables = [name for name in session.scalars(text(listed)) if name.partition(".")[2] not in NOTES]
        rows = "(SELECT array_agg(CAST(t AS text) ORDER BY CAST(t AS text)) FROM {} AS t)"
        found = session.execute(text(f"SELECT {', '.join(rows.format(name) for name in tables)}")).one()
        return dict(zip(tables, found, strict=True))


#: From one death to the next, in statements: a death at each of them would take minutes.
STEP = 1 if IS_ALL else 6


def killed_or_done(course: Course, worker: Worker, order: Order, die_at: int) -> bool:
    """Carry out the order with a death on the way; tell whether it survived, once the dead have left the database."""
    backends = "SELECT array_agg(pid ORDER BY pid) FROM pg_stat_activity WHERE datname = current_database()"
    if "job" in order:
        course.sql(
            f"UPDATE ontask.job SET state = 'queued', lease_until = NULL, attempts = 0 WHERE id = {order['job']}"
        )
    before = set(course.sql(backends))
    survived = worker.survives(order, die_at=die_at)
    while set(course.sql(backends)) - before:
        threading.Event().wait(0.005)
    return survived


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_killed_anywhere_leaves_all_of_it_or_nothing(
    course: Course, worker: Worker, tmp_path: Path, stage: str
) -> None:
    order = STAGES[stage](course, tmp_path)
    before = state(course)
    kills, changed, die_at = 0, False, 1 + list(STAGES).index(stage) % STEP
    while not changed:
        survived = killed_or_done(course, worker, order, die_at)
        changed = state(course) != before
        assert changed or not survived, "it came to its end and nothing was done"
        kills += not survived
        die_at += STEP
    assert kills > 1
    if "job" in order:  # a page that was saved is not sent again, a job is
        after, survived, die_at = state(course), False, 0
        while not survived:
            die_at += STEP
            survived = killed_or_done(course, worker, order, die_at)
            assert state(course) == after
        assert course.sql(f"SELECT state FROM ontask.job WHERE id = {order['job']}") == "done"
    left = "SELECT count(*) FROM pg_tables WHERE schemaname = 'learners' AND tablename ~ '^[bn]'"
    assert course.sql(left) == 0


def test_the_state_that_is_compared_notices_a_single_cell(course: Course, aws: str) -> None:
    course.add(CLASS)
    before = state(course)
    with database.scope() as session:
        session.execute(
            text(f"UPDATE learners.w{course.workflow_id} SET c{column(course, 'mark')} = 9 WHERE row_id = 7")
        )
    assert state(course) != before
