"""The pages of the way from a class to its mails: SQL statements, and what they take at 1 and 8 clients."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection

from sqlalchemy import Engine, event, text

from bench.harness import Result, timed
from bench.installation import Installation, installation
from bench.visitor import Visitor

REQUESTS = 40
CLIENTS = 8
MOST_STATEMENTS = 10
MOST_MS = 50.0
TRIVIAL = "/healthz"


def measure() -> list[Result]:
    """Return three figures for each page."""
    with installation() as served:
        results: list[Result] = []
        for name, path, cookie in _pages(served):
            count = _statements(Visitor(cookie), path)
            results.append(
                Result(f"{name}: SQL statements", count, "", MOST_STATEMENTS, round(count / MOST_STATEMENTS, 2),
                       f"≤ {MOST_STATEMENTS}", count <= MOST_STATEMENTS)
            )  # fmt: skip
            for clients in (1, CLIENTS):
                results.append(_speed(name, served.port, path, cookie, clients))
    return results


def _pages(served: Installation) -> list[tuple[str, str, str]]:
    """Return name, path and cookie of each page; the message is the one whose run is over."""
    from chalicelib import database

    with database.scope() as session:
        workflow_id, action_id, run_id = session.execute(
            text("SELECT workflow_id, action_id, id FROM ontask.run ORDER BY id LIMIT 1")
        ).one()
    course = f"/workflows/{workflow_id}"
    paths = {
        "workflows": "/workflows", "overview": course, "table": f"{course}/table", "messages": f"{course}/actions",
        "editor": f"{course}/actions/{action_id}", "send": f"{course}/actions/{action_id}/send",
        "run": f"{course}/runs/{run_id}",
    }  # fmt: skip
    return [("sign-in", "/sign-in", ""), *((name, path, served.cookie) for name, path in paths.items())]


def _statements(visitor: Visitor, path: str) -> int:
    """Return how many statements the page runs, all of them counted."""
    from chalicelib import database

    visitor.get(path)
    engine = database.engine()
    assert isinstance(engine, Engine)
    with _counted(engine) as ran:
        visitor.get(path)
    return len(ran)


@contextmanager
def _counted(engine: Engine) -> Iterator[list[str]]:
    ran: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        ran.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield ran
    finally:
        event.remove(engine, "before_cursor_execute", note)


def _speed(name: str, port: int, path: str, cookie: str, clients: int) -> Result:
    """Return the median, in milliseconds, beside that of the trivial route; both are asked for in turns.

    All clients share one process, so the limit grows with them.
    """
    with ThreadPoolExecutor(clients) as pool:
        times = [pair for pairs in pool.map(lambda _: _client(port, path, cookie), range(clients)) for pair in pairs]
    figure, trivial = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
    limit = MOST_MS * clients
    crowd = "1 client" if clients == 1 else f"{clients} clients"
    return Result(f"{name}: p50 at {crowd}, against {TRIVIAL}", round(figure, 1), "ms", round(trivial, 1),
                  round(figure / trivial, 2), f"≤ {limit:.0f} ms", figure <= limit)  # fmt: skip


def _client(port: int, path: str, cookie: str) -> list[tuple[float, float]]:
    connection = HTTPConnection("127.0.0.1", port)
    headers = {"Cookie": cookie} if cookie else {}

    def ask(target: str) -> None:
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, f"{target} answers {answer.status}"

    ask(path)
    times = [(timed(lambda: ask(path)), timed(lambda: ask(TRIVIAL))) for _ in range(REQUESTS)]
    connection.close()
    return times
