"""The pages of the log: who sees what, how it is searched, one event, all of it as a file."""

from __future__ import annotations

import csv
import io
import re
from typing import IO, Any

import pytest
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.audit import service as audit
from chalicelib.schedules import jobs
from chalicelib.schedules.models import Job
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Clock, Page, make_user, signed_in
from tests.factories import make_action


def numbers(page: Page) -> list[int]:
    """The numbers of the events on the page."""
    return [int(number) for number in re.findall(r'/log/(\d+)">', page.body)]


@pytest.fixture
def log(session: Session, workflow: Workflow, user: User, frozen_clock: Clock) -> dict[str, int]:
    """Three events on three days."""
    action = make_action(session, workflow)
    made = {}
    for name, kind, who, more in [
        ("written", "action_text_changed", user.id, {"action_id": action.id, "name": "Reminder"}),
        ("uploaded", "data_uploaded", None, {"name": "class.csv", "rows": 7}),
        ("changed", "row_changed", user.id, {"name": "Ada", "old": {"mark": 1}, "new": {"mark": "=2"}}),
    ]:
        event = audit.record(session, kind, workflow_id=workflow.id, user_id=who, **more)
        session.flush()
        made[name] = event.id
        frozen_clock.advance(days=1)
    return made


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["changed", "uploaded", "written"]),
        ("text=class.csv", ["uploaded"]),
        ("text=CHANGED+THE+LEARNER", ["changed"]),
        ("text=wrote", ["written"]),
        ("words=changed+the+learner", ["changed"]),
        ("text=nothing+like+it", []),
        ("text=%25", []),
        ("since=2026-03-04", ["changed"]),
        ("until=2026-03-02", ["written"]),
        ("since=2026-03-03&until=2026-03-03", ["uploaded"]),
    ],
)
def test_events_are_found_by_what_is_on_the_screen_and_by_day(
    client: Browser, workflow: Workflow, log: dict[str, int], search: str, found: list[str]
) -> None:
    shown = [
        number
        for number in numbers(client.get(f"/workflows/{workflow.id}/log?{search}"))
        if number >= min(log.values())
    ]
    assert shown == [log[name] for name in found]


def test_a_day_that_is_none_is_refused_and_nothing_else_is_lost(
    client: Browser, workflow: Workflow, log: dict[str, int]
) -> None:
    page = client.get(f"/workflows/{workflow.id}/log?since=yesterday")
    assert page.status == 422
    assert "Write a day as 2026-03-31." in page.body
    assert log["written"] in numbers(page)


def test_one_event_shows_all_that_was_noted(client: Browser, workflow: Workflow, log: dict[str, int]) -> None:
    page = client.get(f"/workflows/{workflow.id}/log/{log['changed']}")
    assert "changed the learner" in page.body
    assert "&#34;mark&#34;: 1" in page.body


def test_a_change_through_a_page_says_so_and_leads_to_the_technical_log(client: Browser, workflow: Workflow) -> None:
    client.post(f"/workflows/{workflow.id}/actions", {"name": "Reminder"})
    number = numbers(client.get(f"/workflows/{workflow.id}/log"))[0]
    page = client.get(f"/workflows/{workflow.id}/log/{number}")
    assert "<dd>page</dd>" in page.body
    assert "Reference" in page.body


def test_new_events_show_by_themselves_when_somebody_asks_for_it(client: Browser, workflow: Workflow) -> None:
    path = f"/workflows/{workflow.id}/log"
    page = client.get(path, text="b")
    assert "every 5s" not in page.body
    assert f'href="{path}?live=1&amp;text=b">Show new events by themselves' in page.body
    page = client.get(path, text="b", live=1)
    assert f'hx-get="{path}?live=1&amp;text=b" hx-trigger="every 5s"' in page.body
    assert f'href="{path}?text=b">Stop' in page.body


def test_long_logs_have_pages(client: Browser, session: Session, workflow: Workflow, user: User) -> None:
    for number in range(120):
        audit.record(session, "row_added", workflow_id=workflow.id, user_id=user.id, name=str(number))
        session.flush()
    seen: list[int] = []
    page = client.get(f"/workflows/{workflow.id}/log?words=added+the+learner")
    while older := re.search(r'href="([^"]*before=[^"]*)">Older', page.body):
        seen += numbers(page)
        page = client.get(older[1].replace("&amp;", "&"))
    seen += numbers(page)
    assert len(seen) == len(set(seen)) == 120
    assert seen == sorted(seen, reverse=True)


def test_the_events_of_other_workflows_stay_hidden(
    session: Session, workflow: Workflow, client: Browser, log: dict[str, int]
) -> None:
    stranger = signed_in(session, make_user(session, "olaf@uni.example"))
    assert stranger.get(f"/workflows/{workflow.id}/log").status == 404
    alone = audit.record(session, "signed_in", user_id=None)
    session.flush()
    assert client.get(f"/workflows/{workflow.id}/log/{alone.id}").status == 404
    assert client.get("/admin/log").status == 404


def test_administrators_see_everything(session: Session, workflow: Workflow, log: dict[str, int]) -> None:
    admin = signed_in(session, make_user(session, "ana@uni.example", Role.ADMIN))
    alone = audit.record(session, "password_changed", user_id=None)
    session.flush()
    page = admin.get("/admin/log")
    assert {alone.id, *log.values()} <= set(numbers(page))
    assert workflow.name in page.body
    assert "changed a password" in admin.get(f"/admin/log/{alone.id}").body


def test_what_was_looked_for_comes_as_a_file_that_no_spreadsheet_runs(
    client: Browser, session: Session, workflow: Workflow, log: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: dict[str, bytes] = {}

    def put(key: str, file: IO[bytes], content_type: str) -> None:
        written[key] = file.read()

    monkeypatch.setattr("chalicelib.aws.files.put", put)
    monkeypatch.setattr("chalicelib.aws.files.download_link", lambda key, name: f"https://files.example/{key}")
    audit.record(session, "row_added", workflow_id=workflow.id, name="=cmd()")
    session.flush()
    asked = client.post(f"/workflows/{workflow.id}/log", {"text": "learner"})
    job_id = int(asked.location.rpartition("/")[2])
    jobs.run(job_id)
    session.expire_all()
    job = session.get_one(Job, job_id)
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(written[job.result["key"]].decode("utf-8-sig"))))
    assert [row["What"] for row in rows] == ["added the learner", "changed the learner"]
    assert rows[1]["Number"] == str(log["changed"])
    assert all(not cell.startswith("=") for row in rows for cell in row.values())
    assert client.get(f"{asked.location}?file=1").location == f"https://files.example/{job.result['key']}"
