"""A page of the table with a million learners, against one with 10,000; sorting and searching, against psql."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from bench import course
from bench.harness import Result, at_most, fresh_database, medians, paired, statements, timed
from bench.psql import Psql, psql, typed
from bench.visitor import signed_in

FEW, MANY = 10_000, 1_000_000
PAGE_ROUNDS, SCAN_ROUNDS = 25, 5
#: It is in one address only, so that all rows are looked at.
NEEDLE = "s999999@"
LIMIT = 1.5


def measure() -> list[Result]:
    """Return the figures of pages as visitors get them, of their rows alone, and of sorting and searching."""
    with fresh_database() as url:
        from chalicelib import database

        with database.scope(statement_timeout_seconds=600) as session:
            few, many = course.make(session, FEW), course.make(session, MANY)
        results = _pages(few, many)
        with database.scope(statement_timeout_seconds=600) as session, psql(url) as typing:
            return [*results, *_rows(session, few, many), *_scans(session, many, typing)]


def _pages(few: course.Course, many: course.Course) -> list[Result]:
    from chalicelib import database

    with database.scope() as session:
        large, small = (signed_in(session, made.user_id) for made in (many, few))
    results = []
    for name, query in (("first", ""), ("next", "?after=50")):
        ours, bare = paired(
            partial(large.get, f"/workflows/{many.workflow_id}/table{query}"),
            partial(small.get, f"/workflows/{few.workflow_id}/table{query}"),
            PAGE_ROUNDS,
        )
        results.append(at_most(f"table page, {name}: 1M rows, against 10k", ours, bare, LIMIT))
    return results


def _rows(session: Session, few: course.Course, many: course.Course) -> list[Result]:
    from chalicelib.tables.paging import Cursor

    results = []
    for name, by_key, after in (("first", False, None), ("next", False, Cursor(50)), ("by a key", True, None)):
        read_many = _reading(session, many, by_key=by_key, after=after)
        read_few = _reading(session, few, by_key=by_key, after=after)
        ours, bare = paired(read_many, read_few, PAGE_ROUNDS)
        results.append(at_most(f"its rows alone, {name}: 1M rows, against 10k", ours, bare, LIMIT))
    return results


def _scans(session: Session, many: course.Course, typing: Psql) -> list[Result]:
    from chalicelib.tables import queries
    from chalicelib.tables.paging import By, Order

    columns = {column.name: column for column in queries.columns(session, many.workflow_id)}
    asked: dict[str, dict[str, Any]] = {
        "sorted by a number": {"order": Order((By(columns["m1"], descending=True),))},
        "sorted by a text": {"order": Order((By(columns["email"]),))},
        "searched": {"search": NEEDLE},
    }
    results = []
    for name, options in asked.items():
        read = _reading(session, many, **options)
        with statements(session) as ran:
            assert read().rows
        written = [typed(*one) for one in ran]
        ours, bare = medians(partial(timed, read), partial(_typed_in, typing, written), SCAN_ROUNDS)
        results.append(at_most(f"table of 1M rows, {name}, against psql", ours, bare, LIMIT))
    return results


def _typed_in(typing: Psql, written: list[str]) -> float:
    return sum(typing.seconds(statement) for statement in written)


def _reading(session: Session, made: course.Course, *, by_key: bool = False, **options: Any) -> Callable[[], Any]:
    """Return the reading of a page, its columns known already."""
    from chalicelib.tables import paging, queries
    from chalicelib.tables.scope import Scope

    columns = queries.columns(session, made.workflow_id)
    key = next(column for column in columns if column.is_key)
    options.setdefault("order", paging.Order((paging.By(key),) if by_key else ()))
    infos = {column.id: queries.info(column) for column in columns}
    scope = Scope(made.workflow_id, infos, search=options.pop("search", ""), searched=columns)
    return lambda: paging.read(session, scope, columns, **options)
