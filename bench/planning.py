"""Planning 100,000 messages, against the bare `INSERT … SELECT` of the very rows that it writes."""

from __future__ import annotations

from sqlalchemy import text

from bench import course
from bench.harness import Result, at_most, fresh_database, paired, silence

LEARNERS = 100_000
COLUMNS = "lane, row_id, recipient, values, flags, state, rank, reason, cost, ended_at"


def measure() -> list[Result]:
    """Return the one figure; every round plans a run of its own into an empty table."""
    with fresh_database(), silence():
        from chalicelib import database
        from chalicelib.delivery import plan

        with database.scope(statement_timeout_seconds=600) as session:
            made = course.make(session, LEARNERS)

        def run() -> int:
            with database.scope(statement_timeout_seconds=600) as session:
                session.execute(text("TRUNCATE ontask.message CASCADE"))
                return course.confirm(session, made)

        runs = iter([run()])

        def ours() -> None:
            with database.scope(statement_timeout_seconds=600) as session:
                assert plan.plan(session, next(runs)) == LEARNERS

        def bare() -> None:
            with database.scope(statement_timeout_seconds=600) as session:
                session.execute(
                    text(
                        f"INSERT INTO ontask.message (run_id, {COLUMNS}) "
                        f"SELECT (SELECT max(id) FROM ontask.run), {COLUMNS} FROM planned ORDER BY row_id"
                    )
                )

        ours()
        with database.scope(statement_timeout_seconds=600) as session:
            session.execute(text("CREATE UNLOGGED TABLE planned AS SELECT * FROM ontask.message"))
            session.execute(text("ANALYZE planned"))
        times: list[tuple[float, float]] = []
        for _ in range(3):
            runs = iter([run()])
            first, _ = paired(ours, lambda: None, rounds=1)
            run()
            second, _ = paired(bare, lambda: None, rounds=1)
            times.append((first, second))
        times.sort(key=lambda pair: pair[0] / pair[1])
    return [at_most("plan 100k messages", *times[1], limit=2.0)]
