"""The table page: what it shows, how it is searched and sorted, and that every value is only text."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from sqlalchemy.orm import Session

from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Page
from tests.factories import make_table

PEOPLE = [("s1", "José", 68, 1.5, True), ("s2", "anna", None, None, None), ("s3", "Zoë", 7, 2.0, False)]
COLUMNS = {"sid": "text", "name": "text", "quiz": "integer", "mean": "double", "passed": "boolean"}


@pytest.fixture
def ids(session: Session, workflow: Workflow) -> dict[str, int]:
    return make_table(session, workflow, COLUMNS, PEOPLE)


def table(client: Browser, workflow: Workflow, **query: Any) -> Page:
    return client.get(f"/workflows/{workflow.id}/table", **query)


def keys(page: Page) -> list[str]:
    """The learners of a page, by what is in their first column."""
    found = re.findall(r'<th scope="row" class="key"><a [^>]*>(.*?)</a>', page.body, re.S)
    return [unescape(re.sub(r"<[^>]*>", "", key)).strip() for key in found]


def test_it_shows_every_value_and_marks_missing_ones(client: Browser, workflow: Workflow, ids: dict[str, int]) -> None:
    page = table(client, workflow)
    assert page.status == 200
    assert keys(page) == ["s1", "s2", "s3"]
    assert "3 learners × 5 columns" in page.body
    assert "José" in page.body
    assert '<td class="num">68</td>' in page.body
    assert page.body.count('title="no value">–') == 3
    assert "<td>yes</td>" in page.body
    assert page.body.count("<h1") == 1
