"""Ten and a hundred conditions counted over 100,000 learners, against that very SELECT typed into psql."""

from __future__ import annotations

from bench import course
from bench.harness import Result, at_most, fresh_database, medians, statements, timed
from bench.psql import psql, typed

LEARNERS = 100_000
ROUNDS = 15
MANY = 100
MOST_SECONDS = 3


def measure() -> list[Result]:
    """Return how many statements the counting takes and how long they take."""
    with fresh_database() as url:
        from chalicelib import database
        from chalicelib.actions import queries
        from chalicelib.actions.models import Action
        from chalicelib.tables import queries as tables
        from chalicelib.workflows.models import Workflow

        with database.scope(statement_timeout_seconds=600) as session:
            made = course.make(session, LEARNERS)
        with database.scope() as session, psql(url) as typing:
            workflow, action = session.get_one(Workflow, made.workflow_id), session.get_one(Action, made.action_id)
            columns = tables.infos(session, workflow.id)
            formulas = {condition.id: condition.formula for condition in queries.conditions(session, action.id)}

            def count() -> queries.Counts:
                return queries.counts(session, workflow, columns, action.filter, formulas)

            with statements(session) as ran:
                counted = count()
            assert counted.total == LEARNERS
            assert len(counted.conditions) == course.CONDITIONS
            query = typed(*ran[0])
            ours, bare = medians(lambda: timed(count), lambda: typing.seconds(query), ROUNDS)

            some = list(formulas.values())
            formulas = {key: some[key % len(some)] for key in range(MANY)}
            with statements(session) as of_many:
                counted = count()
            assert len(counted.conditions) == MANY
            many = min(timed(count) for _ in range(3))
    return [
        Result("count 10 conditions and the filter: statements", len(ran), "", 1, len(ran), "one SELECT",
               len(ran) == 1 and ran[0][0].startswith("SELECT")),
        at_most("count 10 conditions and the filter over 100k rows", ours, bare, 1.5),
        Result("count 100 conditions over 100k rows, in one pass", round(many, 2), "s", len(of_many),
               round(many / MOST_SECONDS, 2), f"≤ {MOST_SECONDS} s", many <= MOST_SECONDS and len(of_many) == 1),
    ]  # fmt: skip
