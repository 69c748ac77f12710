"""Pictures of texts: sent to the file store, looked at, and loaded by anybody who has their address."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import select

from chalicelib import clock
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import images
from chalicelib.aws import files
from chalicelib.delivery.models import Run
from chalicelib.schedules import due, jobs
from chalicelib.schedules.models import Job
from chalicelib.workflows.models import Workflow
from tests.actions.conftest import Desk, desk_of
from tests.conftest import Browser, Clock
from tests.test_access import member

PNG = b"\x89PNG\r\n\x1a\n" + b"a" * 100


def ask(desk: Desk, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    page = desk.post("/images", fields)
    return page.status, json.loads(page.body)


def send(desk: Desk, content: bytes, kind: str = "image/png") -> tuple[int, dict[str, Any]]:
    status, begun = ask(desk, {"type": kind, "size": len(content)})
    assert status == 200, begun
    assert requests.post(begun["url"], data=begun["fields"], files={"file": content}, timeout=10).status_code == 204
    return ask(desk, {"arrived": begun["name"]})


def test_a_picture_is_sent_and_anybody_loads_it(desk: Desk, visitor: Browser, aws: str) -> None:
    status, answer = send(desk, PNG)
    assert status == 200
    shown = visitor.get(urlsplit(answer["address"]).path)
    assert shown.status == 302
    loaded = requests.get(shown.location, timeout=10)
    assert loaded.content == PNG
    assert loaded.headers["Content-Type"] == "image/png"
    assert desk.save(f'<p><img src="{answer["address"]}" alt="A plan"></p>')[0] == 200
    assert answer["address"] in desk.mail(1)


def test_a_file_that_only_says_it_is_a_picture_is_refused(desk: Desk, aws: str) -> None:
    status, answer = send(desk, b"<script>alert(1)</script>")
    assert status == 422
    assert "no picture" in answer["message"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "image/svg+xml", "size": 10}, "PNG, JPEG, GIF or WebP"),
        ({"type": "", "size": 10}, "PNG, JPEG, GIF or WebP"),
        ({"type": "image/png", "size": 2_000_001}, "at most 2 MB"),
        ({"type": "image/png", "size": 0}, "at most 2 MB"),
        ({"arrived": "1-../../x.png"}, "no such picture"),
        ({"arrived": "nonsense"}, "no such picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(desk: Desk, aws: str, fields: dict[str, Any], message: str) -> None:
    status, answer = ask(desk, fields)
    assert status == 422
    assert message in answer["message"]


def test_a_picture_of_another_workflow_is_not_signed(desk: Desk) -> None:
    assert ask(desk, {"arrived": f"{desk.action.workflow_id + 1}-abc.png"})[0] == 422


@pytest.mark.parametrize("name", ["1-abc.png", "1-abc.aaaaaaaaaaaaaaaaaaaa.png", "x", "1-abc.x.exe", "..", "%2e%2e"])
def test_only_names_that_were_signed_lead_anywhere(visitor: Browser, name: str, aws: str) -> None:
    assert visitor.get(f"/images/{name}").status == 404


def test_a_viewer_sends_no_pictures(desk: Desk) -> None:
    workflow = desk.session.get_one(Workflow, desk.action.workflow_id)
    viewer = desk_of(desk, member(desk.session, workflow, WorkflowRole.VIEWER))
    assert viewer.post("/images", {"type": "image/png", "size": 10}).status == 403


def test_pictures_that_nothing_shows_any_more_are_removed_after_a_while(
    desk: Desk, aws: str, frozen_clock: Clock
) -> None:
    """Those of the text, of its earlier versions and of mails that were sent stay."""
    now, earlier, mailed, unused = (send(desk, PNG)[1]["address"] for _ in range(4))
    for address in (earlier, now):
        desk.save(f'<p><img src="{address}" alt="A plan"></p>')
        frozen_clock.advance(hours=1)
    run = Run(
        workflow_id=desk.action.workflow_id, action_id=desk.action.id, state="done", subject="", filter=None,
        text=f'<img src="{mailed}">', to_column_id=0, created_at=clock.now(),
    )  # fmt: skip
    desk.session.add(run)
    desk.session.flush()

    def left() -> set[str]:
        due.tidy()
        for job in desk.session.scalars(select(Job).where(Job.kind == images.SWEEP, Job.state == "queued")).all():
            jobs.run(job.id)
        keys = [key for key, _ in files.listed(images.FOLDER)]
        return {address for address in (now, earlier, mailed, unused) if any(stem_of(address) in key for key in keys)}

    clock.use(lambda: datetime.now(UTC) + timedelta(days=179))
    assert left() == {now, earlier, mailed, unused}
    clock.use(lambda: datetime.now(UTC) + timedelta(days=181))
    assert left() == {now, earlier, mailed}


def stem_of(address: str) -> str:
    return urlsplit(address).path.rpartition("/")[2].partition(".")[0]
