"""Programs at the same time, and a database that is away: real connections."""

from __future__ import annotations

import threading

import pytest

from chalicelib import database
from chalicelib.accounts import tokens
from chalicelib.tables import store
from chalicelib.workflows import service as workflows
from tests.conftest import make_user
from tests.factories import make_table
from tests.programs import Answer, Program


@pytest.fixture
def place(fresh_database: str) -> tuple[int, str]:
    """A committed table of one learner, and a token."""
    with database.scope() as session:
        user = make_user(session)
        workflow = workflows.create(session, user.id, "Biology 101")
        make_table(session, workflow, {"sid": "integer", "a": "integer", "b": "integer"}, [(1, 0, 0)])
        return workflow.id, tokens.make(session, user, "A program", "write", 0)


def at_once(token: str, *calls: tuple[str, str, object, str]) -> list[Answer]:
    """Make the calls (method, path, body, key) at the same time."""
    answers: list[Answer | None] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))
    clients = [Program(token) for _ in calls]  # made before: the first one turns the app into a local one

    def call(number: int) -> None:
        method, path, body, key = calls[number]
        barrier.wait()
        answers[number] = clients[number].send(method, path, body, idempotency_key=key)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answer for answer in answers if answer is not None]


def test_a_row_that_two_add_at_once_is_one_row_with_both_their_values(place: tuple[int, str]) -> None:
    workflow_id, token = place
    for sid in range(10, 15):
        path = f"/api/v2/workflows/{workflow_id}/rows/{sid}"
        answers = at_once(
            token, ("PUT", path, {"values": {"a": 1}}, ""), ("PUT", path, {"values": {"b": 2}}, "")
        )  # fmt: skip
        assert sorted(answer.status for answer in answers) == [200, 201]
        assert Program(token).get(path).json == {"sid": sid, "a": 1, "b": 2}
    assert Program(token).get(f"/api/v2/workflows/{workflow_id}").json["rows"] == 6


def test_a_request_that_is_sent_twice_at_once_is_done_once(place: tuple[int, str]) -> None:
    _, token = place
    call = ("POST", "/api/v2/workflows", {"name": "Once"}, "k1")
    first, second = at_once(token, call, call)
    assert (first.status, first.text) == (201, second.text)
    names = [one["name"] for one in Program(token).get("/api/v2/workflows").json["items"]]
    assert names == ["Biology 101", "Once"]


def test_a_table_that_is_in_use_is_said_to_be(place: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.tables.store.ROW_LOCK_SECONDS", 0.2)
    monkeypatch.setattr("chalicelib.tables.store.DDL_LOCK_SECONDS", 0.2)
    workflow_id, token = place
    api, path = Program(token), f"/api/v2/workflows/{workflow_id}"
    with database.scope() as session:
        store.lock_for_bulk(session, workflow_id)
        assert api.send("PATCH", f"{path}/rows/1", {"values": {"a": 5}}).status == 409
        assert api.send("PUT", f"{path}/table", {"rows": [{"sid": 1, "a": 1, "b": 2}]}).status == 409
        assert api.get(f"{path}/rows/1").json == {"sid": 1, "a": 0, "b": 0}
    assert api.send("PATCH", f"{path}/rows/1", {"values": {"a": 5}}).status == 200


def test_a_database_that_sleeps_is_said_to(place: tuple[int, str]) -> None:
    from chalicelib.settings import settings

    _, token = place
    database.dispose()
    # In a context of its own: the fixture would put the address back when its database is gone.
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DATABASE_URL", "postgresql+pg8000://ontask@127.0.0.1:1/none")
        settings.cache_clear()
        for version in ("/api/v2/workflows", "/api/v1/workflow/workflows/"):
            answer = Program(token).get(version)
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert "waking up" in answer.json["detail"]
        database.dispose()
    settings.cache_clear()
