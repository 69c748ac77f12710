"""A run in depth: opens, links, blocks, reasons; beside another run; its recipients as a file."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import IO, Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.delivery import feedback, outbox, plan, service
from chalicelib.delivery.models import Message, Run
from chalicelib.delivery.news import News
from chalicelib.delivery.order import SendOrder
from chalicelib.schedules import jobs
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Clock, Page
from tests.factories import make_action, make_condition, make_table

MINUTE = timedelta(minutes=1)
A, B = "https://uni.example/a", "https://uni.example/b"


@pytest.fixture
def runs(session: Session, user: User, workflow: Workflow, frozen_clock: Clock) -> tuple[Run, Run]:
    """Two runs of a message: of six learners (one without an address), and again with two of them left out."""
    rows: list[tuple[Any, ...]] = [(f"s{n}", f"s{n}@uni.example", n * 10) for n in range(1, 6)]
    columns = make_table(session, workflow, {"sid": "text", "email": "text", "mark": "integer"}, [*rows, ("s6", "", 5)])
    action = make_action(session, workflow)
    low = make_condition(session, action, "low", {"all": [{"column": columns["mark"], "op": "less", "value": "25"}]})
    action.text = f"<p>{{% if @k{low.id} %}}more{{% endif %}}</p>"
    made = []
    for skipped in ((), (1, 2)):
        order = SendOrder(to_column_id=columns["email"], subject="Hello", leave_out_bad=True, track_opens=True,
                          track_clicks=True, skip_rows=skipped)  # fmt: skip
        run = service.confirm(session, user.id, workflow, action, order)
        session.flush()
        plan.plan(session, run.id)
        frozen_clock.advance(hours=1)
        chosen = (Message.run_id == run.id) & (Message.state == "queued")
        session.execute(update(Message).where(chosen).values(
            state="sending", claimed_at=clock.now(), lease_until=clock.now()))  # fmt: skip
        ids = [m.id for m in session.query(Message).filter(Message.run_id == run.id, Message.state == "sending")]
        sent = [outbox.Outcome(one, "sent", clock.now()) for one in ids[:-1]]
        outbox.settle(session, [*sent, outbox.Outcome(ids[-1], "failed", clock.now(), f"<s{len(ids)}@uni.example> no")],
                      clock.now())  # fmt: skip
        made.append((run, sorted(ids)))
    (first, ids), (second, _) = made
    at = clock.now()
    opens = [News(ids[0], "open", at + n * MINUTE) for n in range(3)]
    clicks = [(0, 1, A), (0, 2, A), (1, 3, A), (1, 4, B)]
    followed = [News(ids[who], "click", at + when * MINUTE, detail={"url": url}) for who, when, url in clicks]
    others = [News(ids[1], "open", at + MINUTE), News(ids[1], "open", at + 2 * MINUTE, is_machine=True)]
    feedback.record(session, [*opens, *followed, *others])
    session.flush()
    return first, second


def words(page: Page) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.body))


def test_a_run_is_told_in_depth(client: Browser, runs: tuple[Run, Run]) -> None:
    run, _ = runs
    assert "/numbers" in client.get(f"/workflows/{run.workflow_id}/runs/{run.id}").body
    page = client.get(f"/workflows/{run.workflow_id}/runs/{run.id}/numbers")
    told = words(page)
    assert "Opened 2 50.0 % 4 times" in told
    assert "Followed a link 2 50.0 % 4 times" in told
    assert "1 open or click of programs" in told
    assert f"{A} 2 50.0 % 3 {B} 1 25.0 % 1" in told
    assert "low 2 of 5 40.0 %" in told
    assert "… no Failed 1" in told
    assert "no address Left out 1" in told
    assert "Opens and clicks over time" in told
    assert "Totals over time: learners who opened 2, opened in all 4, " in page.body
    assert client.get(f"/workflows/{run.workflow_id}/runs/{run.id}/nonsense").status == 404


def test_runs_of_one_message_stand_beside_each_other(client: Browser, runs: tuple[Run, Run]) -> None:
    run, other = runs
    path = f"/workflows/{run.workflow_id}/runs/{run.id}/numbers"
    assert "4 of 5 sent" not in words(client.get(path)), "not beside itself"
    told = words(client.get(path, beside=other.id))
    assert "Sent 4 2 " in told
    assert "Opened 50.0 % 0.0 %" in told
    assert "Failed 1 1 Learners who also got this one – 2 of 2" in told


def test_the_recipients_come_as_a_file_that_no_spreadsheet_runs(
    client: Browser, session: Session, runs: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: dict[str, bytes] = {}

    def put(key: str, file: IO[bytes], content_type: str) -> None:
        written[key] = file.read()

    monkeypatch.setattr("chalicelib.aws.files.put", put)
    monkeypatch.setattr("chalicelib.aws.files.download_link", lambda key, name: f"https://files.example/{key}")
    run, _ = runs
    session.execute(update(Message).where(Message.row_id == 1).values(answer="=cmd()"))
    asked = client.post(f"/workflows/{run.workflow_id}/runs/{run.id}")
    assert "being written" in client.follow(asked).body
    jobs.run(int(asked.location.rpartition("=")[2]))
    session.expire_all()
    assert "6 recipients, ready" in words(client.follow(asked))
    (key,) = written
    assert client.get(f"{asked.location}&get=1").location == f"https://files.example/{key}"
    rows = list(csv.DictReader(io.StringIO(written[key].decode("utf-8-sig"))))
    assert [row["State"] for row in rows] == ["Sent"] * 4 + ["Failed", "Left out"]
    assert (rows[0]["Opened"], rows[0]["Links followed"], rows[1]["By programs"]) == ("3", "2", "1")
    assert (rows[5]["Why"], rows[0]["Answer"]) == ("no address", "'=cmd()")
