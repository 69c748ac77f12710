"""Several people, or one impatient one, at the same message at the same moment."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib import database
from chalicelib.accounts.models import User
from chalicelib.workflows import service as workflows
from tests.actions.conftest import KINDS, LEARNERS, Desk
from tests.conftest import make_user, signed_in
from tests.factories import make_action, make_table


@pytest.fixture
def desks(fresh_database: str) -> list[Desk]:
    """Four windows with the same message, in a database where each has its own connection."""
    with database.scope() as session:
        user: User = make_user(session)
        workflow = workflows.create(session, user.id, "Biology 101")
        columns = make_table(session, workflow, KINDS, LEARNERS)
        action = make_action(session, workflow, "")
        return [Desk(signed_in(session, user), session, action, columns) for _ in range(4)]


def at_once(desks: list[Desk], part: str, fields: list[dict[str, Any]]) -> Counter[int]:
    """Post from every window; return how many answers had which status."""
    with ThreadPoolExecutor(len(desks)) as pool:
        pages = pool.map(lambda desk, sent: desk.post(part, sent), desks, fields)
        return Counter(page.status for page in pages)


def test_a_condition_added_four_times_at_once_is_one(desks: list[Desk]) -> None:
    formula = json.dumps(desks[0].rule("quiz", "less", "50"))
    assert at_once(desks, "/conditions", [{"name": "low", "formula": formula}] * 4) == {303: 1, 422: 3}


def test_a_condition_copied_four_times_at_once_has_four_names(desks: list[Desk]) -> None:
    low = desks[0].add("low", desks[0].rule("quiz", "less", "50"))
    assert at_once(desks, f"/conditions/{low}/copy", [{}] * 4) == {303: 4}


def test_of_texts_saved_at_once_one_wins_and_the_others_are_told(desks: list[Desk]) -> None:
    texts = [{"text": f"<p>{number}</p>", "version": "1"} for number in range(4)]
    assert at_once(desks, "/text", texts) == {303: 1, 422: 3}


def test_a_condition_is_either_used_or_deleted(desks: list[Desk]) -> None:
    low = desks[0].add("low", desks[0].rule("quiz", "less", "50"))
    with ThreadPoolExecutor(2) as pool:
        saving = pool.submit(desks[0].post, "/text", {"text": "{% if low %}a{% endif %}", "version": "1"})
        deleting = pool.submit(desks[1].post, f"/conditions/{low}/delete")
    assert sorted([saving.result().status, deleting.result().status]) == [303, 422]
