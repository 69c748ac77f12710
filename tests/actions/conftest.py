"""A class of twelve learners and one message, as its pages show them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.actions.models import Action
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Page, signed_in
from tests.delivery.conftest import cloud, ses
from tests.factories import make_action, make_table

__all__ = ["cloud", "ses"]

KINDS = {
    "sid": "text", "email": "text", "name": "text", "quiz": "integer", "passed": "boolean", "home": "text",
}  # fmt: skip
#: Marks 0, 10, … 100 and one who has none; the last two have no name.
LEARNERS = [
    (
        f"s{n:02}", f"s{n}@uni.example", f"Name {n}" if n < 11 else None, (n - 1) * 10 if n < 12 else None, n > 6,
        "https://uni.example/",
    )
    for n in range(1, 13)
]  # fmt: skip


@dataclass
class Desk:
    """The pages of one message, used by somebody."""

    browser: Browser
    session: Session
    action: Action
    columns: dict[str, int]

    @property
    def path(self) -> str:
        return f"/workflows/{self.action.workflow_id}/actions/{self.action.id}"

    def get(self, part: str = "", *, htmx: bool = False, **query: Any) -> Page:
        return self.browser.get(self.path + part, htmx=htmx, **query)

    def post(self, part: str, fields: dict[str, Any] | None = None, *, htmx: bool = False) -> Page:
        return self.browser.post(self.path + part, fields, htmx=htmx)

    def follow(self, page: Page) -> str:
        """The text of the page that a redirect leads to."""
        return words(self.browser.follow(page))

    def stored(self) -> Action:
        """The message as it is in the database now."""
        self.session.refresh(self.action)
        return self.action

    def save(self, text: str, version: int | None = None) -> tuple[int, dict[str, Any]]:
        """Save as the script does; return the status and what came back."""
        token = self.browser.csrf_token()
        self.browser.headers = {"accept": "application/json"}
        page = self.post("/text", {"text": text, "version": version or self.stored().version, "csrf_token": token})
        self.browser.headers = {}
        return page.status, json.loads(page.body)

    def text(self) -> str:
        """The text in the editor."""
        found = re.search(r'<textarea class="form-control source"[^>]*>\n(.*?)</textarea>', self.get().body, re.S)
        assert found, "there is no editor on the page"
        return unescape(found[1])

    def rule(self, column: str, operator: str, value: Any = None) -> dict[str, Any]:
        """A formula of one rule."""
        made = {"column": self.columns[column], "op": operator}
        return {"all": [made if value is None else made | {"value": value}]}

    def add(self, name: str, formula: dict[str, Any], **fields: Any) -> int:
        """Add a condition through its form; return its id."""
        page = self.post("/conditions", {"name": name, "formula": json.dumps(formula), **fields})
        assert page.status == 303, words(page)
        found = re.findall(r"/conditions/(\d+)", self.get().body)
        return max(map(int, found))

    def filter(self, formula: dict[str, Any] | None) -> Page:
        """Say who gets the message."""
        return self.post("/filter", {"formula": json.dumps(formula) if formula else ""})

    def mail(self, row: int) -> str:
        """What the learner reads, as HTML."""
        page = self.get("/preview", row=row)
        assert page.status == 200
        return page.body.partition("<body>")[2].partition("</body>")[0]


def words(page: Page) -> str:
    """The text of a page without its tags."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page.body)))


def problem(page: Page, name: str) -> str:
    """What stands at a field that was refused; nothing when it was not."""
    found = re.search(rf'<div class="problem" id="h-{name}">([^<]*)<', page.body)
    if name == "formula":
        found = re.search(r'data-rules-problem role="alert">([^<]*)<', page.body)
    return unescape(found[1]) if found else ""


@pytest.fixture
def columns(session: Session, workflow: Workflow) -> dict[str, int]:
    return make_table(session, workflow, KINDS, LEARNERS)


@pytest.fixture
def desk(client: Browser, session: Session, workflow: Workflow, columns: dict[str, int]) -> Desk:
    """Ines at an empty message."""
    return Desk(client, session, make_action(session, workflow, ""), columns)


def desk_of(desk: Desk, user: User) -> Desk:
    """The same message, used by somebody else."""
    return Desk(signed_in(desk.session, user), desk.session, desk.action, desk.columns)


@pytest.fixture
def survey(client: Browser, session: Session, workflow: Workflow, columns: dict[str, int]) -> Desk:
    """Ines at an empty survey."""
    return Desk(client, session, make_action(session, workflow, "", "Weekly questions", "survey"), columns)


@pytest.fixture
def todo(client: Browser, session: Session, workflow: Workflow, columns: dict[str, int]) -> Desk:
    """Ines at an empty to-do list."""
    return Desk(client, session, make_action(session, workflow, "", "Before the lab", "todo_list"), columns)
