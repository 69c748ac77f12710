"""An outer merge of 100,000 × 5 into 100,000 × 20, indexes included, against the same statements typed into psql."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import text

from bench.harness import Result, at_most, fresh_database, silence, timed
from bench.psql import psql
from bench.uploads import LEARNERS, class_file

ROUNDS = 3
#: Against the same statements in psql. On two cores that nobody else uses these take about 1.1 s, where OnTask 11 takes
#: 13.1 s for the merge: what holds this is ten times as quick.
LIMIT = 1.2


def measure() -> list[Result]:
    """Return the seconds of the merge, dry run, kept version and counts included, beside those of the bare work."""
    with fresh_database() as url, silence():
        from chalicelib import clock, database
        from chalicelib.accounts.models import User

        with database.scope() as session:
            user = User(email="bench@uni.example", name="Bench", role="instructor", is_active=True,
                        created_at=clock.now())  # fmt: skip
            session.add(user)
            session.flush()
            user_id = user.id
        times = [_round(url, user_id, number) for number in range(ROUNDS)]
    ours, typed = (statistics.median(column) for column in zip(*times, strict=True))
    return [at_most("outer merge of 100k × 5 into 100k × 20, against psql", ours, typed, LIMIT)]


def _round(url: str, user_id: int, number: int) -> tuple[float, float]:
    from chalicelib import database
    from chalicelib.tables import queries, store
    from chalicelib.tables.uploads import plan, service, steps
    from chalicelib.tables.uploads.models import READING, Upload
    from chalicelib.workflows import service as workflows

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "class.csv"
        path.write_bytes(class_file())
        with database.scope(statement_timeout_seconds=600) as session:
            workflow = workflows.create(session, user_id, f"Merge {number}")
            service.import_file(session, workflow, user_id, path)
        path.write_text(_marks())
        with database.scope(statement_timeout_seconds=600) as session:
            from chalicelib import clock

            upload = Upload(workflow_id=workflow.id, user_id=user_id, filename="marks.csv", state=READING,
                            created_at=clock.now())  # fmt: skip
            session.add(upload)
            session.flush()
            service.read(session, upload, path, lambda _progress, _message: None)
            steps.choose_columns(session, upload, upload.choices["columns"], add_number=False)
    with psql(url) as bare:
        typed = _typed(bare, workflow.id, upload.id)

    def work() -> None:
        with database.scope(statement_timeout_seconds=600) as session:
            row = session.get_one(Upload, upload.id)
            email = next(one.id for one in queries.columns(session, workflow.id) if one.name == "Email")
            row.choices = {**row.choices, "method": plan.UPDATE, "rows": "outer", "unmark": [email]}
            service.carry_out(session, row)

    taken = timed(work)
    with database.scope() as session:
        assert session.scalar(text(f"SELECT count(*) FROM {store.table(workflow.id)}")) == LEARNERS * 11 // 10
        assert len(queries.columns(session, workflow.id)) == 22
        store.drop_workflow(session, workflow.id)
    return taken, typed


def _marks() -> str:
    """Return 100,000 rows: nine of ten learners are known, two columns are new, two have other values."""
    lines = ["Student id,Videos,Quiz 1,Essay,Group"]
    for number in range(LEARNERS // 10, LEARNERS * 11 // 10):
        lines.append(f"{4_000_000 + number * 7:08},{number % 25},{number % 101},{number % 10}.5,G{number % 40}")
    return "\n".join(lines)


def _typed(bare: Any, workflow_id: int, upload_id: int) -> float:
    """Return the seconds that a person's own statements take: count what happens, make the table, index it."""
    from chalicelib import database
    from chalicelib.tables import queries

    with database.scope() as session:
        columns = {column.name: column for column in queries.columns(session, workflow_id)}
        keys = [f"c{column.id}" for column in columns.values() if column.is_key and column.name == "Student id"]
    goes = {"Student id": "t1", "Videos": "t2", "Quiz 1": "t3"}
    cells = [
        f"coalesce(n.{goes[name]}, o.c{column.id}) AS c{column.id}" if name in goes else f"o.c{column.id}"
        for name, column in columns.items()
    ]  # fmt: skip
    join = f"learners.w{workflow_id} o FULL JOIN learners.t{upload_id} n ON o.c{columns['Student id'].id} = n.t1"
    changed = ", ".join(
        f"count(*) FILTER (WHERE n.{source} IS DISTINCT FROM o.c{columns[name].id} AND o.row_id IS NOT NULL)"
        for name, source in goes.items()
    )
    statements = [
        f"SELECT count(*) FILTER (WHERE o.row_id IS NULL), count(*) FILTER (WHERE n.row_id IS NULL), {changed} "
        f"FROM {join}",
        f"CREATE TABLE learners.bare AS SELECT coalesce(o.row_id, {LEARNERS} + n.row_id) AS row_id, "
        f"{', '.join(cells)}, n.t4, n.t5 FROM {join}",
        "ALTER TABLE learners.bare ADD PRIMARY KEY (row_id)",
        *(f"CREATE UNIQUE INDEX ON learners.bare ({key})" for key in keys),
        "ANALYZE learners.bare",
    ]
    taken = sum(bare.seconds(statement) for statement in statements)
    bare.seconds("DROP TABLE learners.bare")
    return taken
