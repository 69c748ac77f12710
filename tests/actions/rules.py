"""Rules in tests: as forms show them, as they are counted, and when a column goes away below them."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

from sqlalchemy import text

from tests.actions.conftest import Desk, words
from tests.conftest import Page


def shown_formula(page: Page) -> dict[str, Any]:
    """The rules in a form."""
    found = re.search(r"name=\"formula\" value='([^']*)'", page.body)
    assert found, "the page has no rules"
    formula: dict[str, Any] = json.loads(unescape(found[1]) or "{}")
    return formula


def rule_problems(page: Page) -> dict[str, str]:
    """What is said at single rules."""
    found = re.search(r"data-problems='([^']*)'", page.body)
    assert found, "the page has no rules"
    problems: dict[str, str] = json.loads(unescape(found[1]))
    return problems


def count(desk: Desk, formula: dict[str, Any] | str | None, what: str = "condition") -> str:
    """What stands below the rules while they are changed."""
    sent = formula if isinstance(formula, str) else json.dumps(formula) if formula else ""
    page = desk.post("/count", {"what": what, "formula": sent}, htmx=True)
    assert page.status == 200
    return words(page)


def lost(desk: Desk, column: str) -> None:
    """Take a column away as an earlier table that comes back does."""
    statement = text("UPDATE ontask.column SET deleted_at = now() WHERE id = :id")
    desk.session.execute(statement, {"id": desk.columns[column]})
    desk.session.expire_all()


def retyped(desk: Desk, column: str, kind: str) -> None:
    """Have a file change a column's type."""
    name, table = f"c{desk.columns[column]}", f"learners.w{desk.action.workflow_id}"
    desk.session.execute(text(f"ALTER TABLE {table} ALTER {name} TYPE text"))
    desk.session.execute(
        text("UPDATE ontask.column SET type = :kind WHERE id = :id"), {"kind": kind, "id": desk.columns[column]}
    )
    desk.session.expire_all()


def condition_names(desk: Desk) -> list[str]:
    """The conditions in the list."""
    return re.findall(r'<div class="condition-name">\s*<a [^>]*>([^<]*)</a>', desk.get().body)
