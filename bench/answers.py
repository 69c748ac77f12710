"""A class of 2,000 that answers a survey of five questions at once, in eight connections, against bare inserts.

Every answer is looked for in the table afterwards; putting them there is measured against one bare UPDATE.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from zoneinfo import ZoneInfo

from sqlalchemy import text

from bench import course
from bench.harness import Result, at_most, fresh_database, paired, silence

LEARNERS, AT_ONCE = 2_000, 8


def measure() -> list[Result]:
    """Return the seconds of 2,000 forms sent, of putting their answers into the table, and how many were lost."""
    with fresh_database(), silence():
        from chalicelib import database

        with database.scope(statement_timeout_seconds=600) as session:
            made = course.make(session, LEARNERS)
        action_id, columns = _survey(made.workflow_id, made.user_id)
        send = _sender(made.workflow_id, action_id, made.user_id)
        bare = _bare(made.workflow_id, action_id, columns)
        name = f"learners.w{made.workflow_id}"

        def everybody(work: Callable[[int], None]) -> None:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(work, range(1, LEARNERS + 1)))

        times: list[tuple[float, float]] = []
        for _ in range(3):
            _forget(name, columns)
            first, _ = paired(lambda: everybody(send), lambda: None, rounds=1)
            applied, _ = paired(lambda: _apply(made.workflow_id), lambda: None, rounds=1)
            lost = _lost(name, columns)
            _forget(name, columns)
            second, _ = paired(lambda: everybody(bare), lambda: None, rounds=1)
            times.append((first, second))
        cells = ", ".join(f"c{key} = CAST(row_id % 5 AS bigint)" for key in columns)
        with database.scope() as session:
            update, _ = paired(lambda: session.execute(text(f"UPDATE {name} SET {cells}")), lambda: None, rounds=1)
    times.sort(key=lambda pair: pair[0] / pair[1])
    return [
        at_most("2,000 forms sent by 8 at once", *times[1], limit=16.0),
        at_most("put 10,000 answers into the table", applied, update, limit=60.0),
        Result("answers lost of 10,000", lost, "", 0, 0, "0", lost == 0),
    ]


def _survey(workflow_id: int, user_id: int) -> tuple[int, list[int]]:
    from chalicelib import database
    from chalicelib.actions import service as actions
    from chalicelib.actions.surveys import queries, service
    from chalicelib.actions.surveys.forms import Wish
    from chalicelib.actions.surveys.kinds import Kind
    from chalicelib.workflows.models import Workflow

    with database.scope() as session:
        workflow = session.get_one(Workflow, workflow_id)
        action = actions.create(session, user_id, workflow, "Survey", "", "survey")
        for number in range(5):
            wish = Wish(Kind.NUMBER, f"Question {number}", type="integer")
            service.add(session, workflow, user_id, action, wish)
        return action.id, [one.column_id or 0 for one in queries.questions(session, action.id)]


def _sender(workflow_id: int, action_id: int, user_id: int) -> Callable[[int], None]:
    from chalicelib import database
    from chalicelib.actions.models import Action
    from chalicelib.actions.surveys import answers, queries, sending
    from chalicelib.actions.surveys.asking import Form
    from chalicelib.workflows.models import Workflow

    with database.scope() as session:
        fields = [f"q{one.id}" for one in queries.questions(session, action_id)]

    def send(row_id: int) -> None:
        with database.scope() as session:
            workflow, action = session.get_one(Workflow, workflow_id), session.get_one(Action, action_id)
            form = Form(session, workflow, action, row_id, user_id, ZoneInfo("UTC"))
            sending.send(form, {name: [str(row_id)] for name in fields}, answers.LINK)

    return send


def _bare(workflow_id: int, action_id: int, columns: list[int]) -> Callable[[int], None]:
    import json

    from chalicelib import database

    statement = text("""
        INSERT INTO ontask.answer (workflow_id, action_id, row_id, origin, values, created_at)
        VALUES (:workflow_id, :action_id, :row_id, 'bare', CAST(:values AS jsonb), now())""")

    def insert(row_id: int) -> None:
        values = json.dumps({f"c{key}": str(row_id) for key in columns})
        with database.scope() as session:
            session.execute(
                statement, {"workflow_id": workflow_id, "action_id": action_id, "row_id": row_id, "values": values}
            )

    return insert


def _apply(workflow_id: int) -> None:
    from chalicelib import database
    from chalicelib.actions.surveys import answers, applying
    from chalicelib.workflows.models import Workflow

    with database.scope(statement_timeout_seconds=600) as session:
        assert applying.apply(session, session.get_one(Workflow, workflow_id), answers.APPLY) == LEARNERS


def _lost(name: str, columns: list[int]) -> int:
    from chalicelib import database

    there = " + ".join(f"count(*) FILTER (WHERE c{key} = row_id)" for key in columns)
    with database.scope() as session:
        return LEARNERS * len(columns) - int(session.scalar(text(f"SELECT {there} FROM {name}")) or 0)


def _forget(name: str, columns: list[int]) -> None:
    from chalicelib import database

    with database.scope() as session:
        session.execute(text("TRUNCATE ontask.answer"))
        session.execute(text(f"UPDATE {name} SET {', '.join(f'c{key} = NULL' for key in columns)}"))
