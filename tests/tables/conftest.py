"""A course whose table is filled through the pages, in a database of its own."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from sqlalchemy import text

from chalicelib import database
from chalicelib.schedules import jobs
from chalicelib.schedules import service as schedules
from chalicelib.tables import queries
from chalicelib.tables.uploads import jobs as upload_jobs  # noqa: F401  registers its jobs
from chalicelib.workflows import service as workflows
from tests.conftest import Browser, Page, make_user, signed_in


@dataclass
class Course:
    """A workflow and the browser of its owner."""

    browser: Browser
    workflow_id: int
    user_id: int

    @property
    def path(self) -> str:
        return f"/workflows/{self.workflow_id}"

    def begin(self, name: str, size: int) -> dict[str, Any]:
        """Ask for the form by which a file is sent."""
        page = self.browser.post(f"{self.path}/upload", {"filename": name, "size": size})
        return {"status": page.status, **json.loads(page.body)}

    def send(self, content: bytes, name: str = "class.csv") -> str:
        """Send a file as the browser does; return the address of the upload's page."""
        begun = self.begin(name, len(content))
        assert begun["status"] == 200, begun
        answer = requests.post(begun["url"], data=begun["fields"], files={"file": content}, timeout=10)
        assert answer.status_code == 204
        arrived = self.browser.post(begun["arrived"])
        assert arrived.status == 200, arrived.body
        return str(json.loads(arrived.body)["page"])

    def work(self) -> None:
        """Do all jobs that are due."""
        with database.scope() as session:
            due = schedules.due_jobs(session)
        for job_id in due:
            jobs.run(job_id)

    def read(self, content: bytes | str, name: str = "class.csv") -> str:
        """Send a file and have it read; return the address of the upload's page."""
        page = self.send(content.encode() if isinstance(content, str) else content, name)
        self.work()
        return page

    def add(self, content: bytes | str, name: str = "class.csv", **match: Any) -> Page:
        """Go all the way with what the pages offer; return the last page."""
        page = self.read(content, name)
        look = self.browser.follow(self.browser.get(page))
        step = self.browser.post(f"{page}/look", fields(look))
        assert step.status == 303, problems(step)
        if step.location.endswith("/match"):
            shown = self.browser.follow(step)
            step = self.browser.post(f"{page}/match", {**fields(shown), **match})
            assert step.status == 303, problems(step)
        assert self.browser.follow(step).status == 200
        step = self.browser.post(f"{page}/check", {"may_drop": "1"})
        assert step.status == 303, problems(step)
        self.work()
        return self.browser.get(page)

    def contents(self) -> list[dict[str, Any]]:
        """The rows of the table by the columns' names, in the order of their ids."""
        with database.scope() as session:
            columns = queries.columns(session, self.workflow_id)
            shown = ", ".join(f'c{column.id} AS "{column.name}"' for column in columns)
            rows = session.execute(text(f"SELECT {shown} FROM learners.w{self.workflow_id} ORDER BY row_id"))
            return [dict(row) for row in rows.mappings()]

    def row_ids(self) -> list[int]:
        with database.scope() as session:
            return list(session.scalars(text(f"SELECT row_id FROM learners.w{self.workflow_id} ORDER BY row_id")))

    def sql(self, statement: str) -> Any:
        with database.scope() as session:
            result = session.execute(text(statement))
            return result.scalar() if result.returns_rows else None


def fields(page: Page) -> dict[str, Any]:
    """What a browser would send of the page's step form when nothing is changed."""
    form = page.body[page.body.index("/uploads/") :]
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        is_choice = 'type="checkbox"' in tag or 'type="radio"' in tag
        if name and (not is_choice or " checked" in tag) and name[1] not in {"csrf_token", "skip"}:
            found[name[1]] = html.unescape(value[1]) if value else ""
    for name, options in re.findall(r'<select[^>]*name="([^"]*)".*?>(.*?)</select>', form, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', options) or re.search(
            r'<option value="([^"]*)"', options
        )
        if chosen and name not in {"delimiter", "encoding", "sheet"}:
            found[name] = html.unescape(chosen[1])
    return found


def problems(page: Page) -> list[str]:
    """The messages of a refused form."""
    return [html.unescape(text) for text in re.findall(r'(?:role="alert"|class="problem"[^>]*)>([^<]+)<', page.body)]


def ways_back(page: Page) -> list[str]:
    """The addresses of the buttons that bring an earlier table back, the latest first."""
    return re.findall(r'action="([^"]*/history/[^"]*)"', page.body)


@pytest.fixture
def course(fresh_database: str) -> Course:
    """An empty workflow of Ines's in a database of its own; wake-ups and alarms are only noted."""
    with database.scope() as session:
        user = make_user(session)
        workflow = workflows.create(session, user.id, "Biology 101")
        browser = signed_in(session, user)
        return Course(browser, workflow.id, user.id)
