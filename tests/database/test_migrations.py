"""Releases and schemas meet in any order: what each does with the other, and migrations that meet trouble."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from chalicelib import clock, database, errors
from chalicelib.database import migrate, schema
from chalicelib.schedules import jobs
from chalicelib.schedules import service as schedules
from chalicelib.schedules.models import Job
from chalicelib.workflows.models import Workflow
from tests.conftest import ROOT, Browser, Clock, Outside, make_user, signed_in
from tests.handlers import ALL_BACK, BATCHES, MOMENTS, Context, batch

NEXT = '''"""What a release after this one would add."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{newest:04}"


def upgrade() -> None:
    """Apply the change."""
    op.create_table("pet", sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True), schema="ontask")
    op.add_column("workflow", sa.Column("colour", sa.String(), server_default="green", nullable=False), schema="ontask")
    {more}
'''
GATE = 42
#: Says that half of the migration is done, and goes on when the test opens the gate.
HALF_WAY = f'print("half-way", flush=True); op.execute("SELECT pg_advisory_lock({GATE})")'
MIGRATE = (
    "import sys; from pathlib import Path; from chalicelib.database import migrate; print('begun', flush=True); "
    "print(migrate.upgrade(Path(sys.argv[1]))['revision'], flush=True)"
)


def make_next_release(tmp_path: Path, more: str = "") -> Path:
    """The migrations of a release after this one; the folder."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9999_next.py").write_text(NEXT.format(newest=schema.needed(), more=more))
    return folder


@pytest.fixture
def anybody(fresh_database: str) -> Browser:
    """An instructor's browser, in a database of the test's own."""
    with database.scope() as session:
        return signed_in(session, make_user(session))


@pytest.fixture
def old_schema(fresh_database: str) -> Iterator[None]:
    """The database as the release before this one left it."""
    with database.scope() as session:
        session.execute(text("UPDATE ontask.alembic_version SET version_num = '0000'"))
    schema.forget()
    yield
    schema.forget()


def execute(statement: str) -> list[Any]:
    """Run a statement without asking which schema this is."""
    engine = database.engine()
    assert isinstance(engine, Engine)
    with engine.begin() as connection:
        found = connection.execute(text(statement))
        return list(found.scalars()) if found.returns_rows else []


def test_migrations_are_numbered_in_one_line_and_the_newest_is_what_this_release_needs(connection: Connection) -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(migrate.config(connection))
    numbers = [revision.revision for revision in script.walk_revisions()]
    assert numbers == [f"{number:04}" for number in range(schema.needed(), 0, -1)]
    files = [path.name[:4] for path in schema.VERSIONS.glob("*.py") if path.name != "__init__.py"]
    assert sorted(files) == sorted(numbers)


def test_pages_say_that_the_product_is_being_updated_until_the_schema_is_there(
    anybody: Browser, old_schema: None
) -> None:
    page = anybody.get("/workflows")
    assert page.status == 503
    assert int(page.headers["Retry-After"]) > 0
    assert "OnTask is being updated" in page.body
    assert "http-equiv" in page.body
    part = anybody.get("/workflows", htmx=True)
    assert (part.status, "<html" in part.body) == (503, False)
    assert "being updated" in part.body
    data = anybody.request("GET", "/workflows", headers={"accept": "application/json"})
    assert (data.status, data.headers["Content-Type"]) == (503, "application/json")
    assert anybody.get("/healthz").status == 200
    deep = anybody.get("/healthz", deep=1)
    assert (deep.status, "being updated" in deep.body) == (503, True)
    execute(f"UPDATE ontask.alembic_version SET version_num = '{schema.needed():04}'")
    assert anybody.get("/workflows").status == 200


def test_a_form_sent_during_an_update_changes_nothing_and_comes_back(anybody: Browser, old_schema: None) -> None:
    page = anybody.request("POST", "/workflows", "csrf_token=x&name=Biology+101")
    assert page.status == 503
    assert '<input type="hidden" name="name" value="Biology 101">' in page.body
    assert execute("SELECT count(*) FROM ontask.workflow") == [0]


@pytest.mark.parametrize("name", BATCHES)
def test_queue_handlers_give_the_whole_batch_back_until_the_schema_is_there(
    old_schema: None, frozen_clock: Clock, name: str
) -> None:
    began = clock.now()
    assert BATCHES[name](Context()) == ALL_BACK
    assert clock.now() == began, "a migration takes longer than a handler can wait"


@pytest.mark.parametrize("name", MOMENTS)
def test_alarms_are_put_off_until_the_schema_is_there(
    old_schema: None, frozen_clock: Clock, no_aws: Outside, name: str
) -> None:
    with pytest.raises(errors.Updating):
        MOMENTS[name](Context())
    assert no_aws.alarms == [clock.now()]


def test_a_database_that_was_never_migrated_is_being_updated(server: str, worker_id: str) -> None:
    from local import postgres

    postgres.create_database(server, f"bare_{worker_id}", replace=True)
    bare = database.make(f"{server}/bare_{worker_id}", local=True)
    database.use(bare)
    schema.forget()
    try:
        with pytest.raises(errors.Updating), database.scope():
            pass
    finally:
        database.use(None)
        schema.forget()
        bare.dispose()
        postgres.drop_database(server, f"bare_{worker_id}")


def test_the_revision_is_looked_at_once_a_process(fresh_database: str) -> None:
    looked = []
    engine = database.engine()
    assert isinstance(engine, Engine)
    event.listen(engine, "before_cursor_execute", lambda *args: looked.append(args[2]))
    for _ in range(3):
        with database.scope() as session:
            session.execute(text("SELECT 1"))
    assert sum("alembic_version" in statement for statement in looked) == 1


@jobs.job("test.name")
def name_workflow(task: jobs.Task) -> None:
    with database.scope() as session:
        session.get_one(Workflow, task.payload["workflow"]).name = "Named by a job"


def test_this_release_goes_on_working_on_the_schema_of_the_next(
    anybody: Browser, no_aws: Outside, frozen_clock: Clock, tmp_path: Path
) -> None:
    migrate.upgrade(make_next_release(tmp_path))
    schema.forget()
    assert anybody.get("/healthz", deep=1).status == 200
    made = anybody.post("/workflows", {"name": "Biology 101"})
    assert anybody.follow(made).status == 200
    for path in ("/workflows", "/trash", "/help", "/me"):
        assert anybody.get(path).status == 200
    with database.scope() as session:
        (workflow,) = session.query(Workflow)
        job = schedules.enqueue(session, "test.name", {"workflow": workflow.id})
    from app import work_job

    assert work_job(batch({"job": job.id}), Context()) == {"batchItemFailures": []}
    for handle in MOMENTS.values():
        handle(Context())
    with database.scope() as session:
        assert session.get_one(Workflow, workflow.id).name == "Named by a job"
        assert session.get_one(Job, job.id).state == "done"
    assert execute("SELECT colour FROM ontask.workflow") == ["green"]


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MIGRATE, str(folder)], cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def rest(process: subprocess.Popen[str]) -> list[str]:
    # Not by communicate(): what came together with the line that was read before lies in the buffer of this file.
    assert process.stdout is not None
    words = process.stdout.read().split()
    process.wait(timeout=60)
    return words


def test_two_migrations_at_once_apply_it_once(fresh_database: str, tmp_path: Path) -> None:
    folder = make_next_release(tmp_path, HALF_WAY)
    engine = database.engine()
    assert isinstance(engine, Engine)
    with engine.begin() as gate:
        gate.execute(text(f"SELECT pg_advisory_xact_lock({GATE})"))
        both = [start(folder), start(folder)]
        assert [said(process) for process in both] == ["begun", "begun"]
        while gate.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")) < 2:
            gate.execute(text("SELECT pg_sleep(0.02)"))  # one waits at the gate, the other for the one
    assert sorted(word for process in both for word in rest(process)) == ["9999", "9999", "half-way"]
    assert [process.returncode for process in both] == [0, 0]
    assert execute("SELECT version_num FROM ontask.alembic_version") == ["9999"]


def test_a_migration_that_is_killed_half_way_leaves_nothing_and_can_be_repeated(
    fresh_database: str, tmp_path: Path
) -> None:
    folder = make_next_release(tmp_path, HALF_WAY)
    engine = database.engine()
    assert isinstance(engine, Engine)
    with engine.begin() as gate:
        gate.execute(text(f"SELECT pg_advisory_xact_lock({GATE})"))
        process = start(folder)
        assert [said(process), said(process)] == ["begun", "half-way"]
        process.send_signal(signal.SIGKILL)
        process.wait()
        # Its half still lies in its own transaction. The next one waits until the server notices.
        again = start(folder)
        assert said(again) == "begun"
        assert said(again) == "half-way"
        assert execute("SELECT to_regclass('ontask.pet')::text") == [None]
    assert rest(again) == ["9999"]
    assert execute("SELECT to_regclass('ontask.pet')::text") == ["ontask.pet"]


def test_a_migration_does_not_make_readers_wait_behind_somebody_who_works_long(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.1)
    engine = database.engine()
    assert isinstance(engine, Engine)
    worker = engine.connect()
    worker.execute(text("LOCK TABLE ontask.workflow IN ROW EXCLUSIVE MODE"))
    tries = []

    def pause(seconds: float) -> None:
        tries.append(seconds)
        with database.scope() as session:
            session.query(Workflow).count()
        if len(tries) == 2:
            worker.close()

    clock.use(None, pause)
    try:
        assert migrate.upgrade(make_next_release(tmp_path)) == {"revision": "9999"}
    finally:
        clock.use(None)
        worker.close()
    assert len(tries) == 2
