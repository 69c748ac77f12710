"""The history of the data on its pages: who did what, the table before it, the way back in both directions."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from chalicelib import clock, database
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions.models import Action
from chalicelib.schedules import due
from chalicelib.settings import settings
from chalicelib.tables import cells, queries, service
from chalicelib.tables.history import jobs as history_jobs  # noqa: F401  registers its job
from chalicelib.tables.history import versions
from chalicelib.tables.models import View
from chalicelib.tables.uploads import service as uploads
from chalicelib.workflows import flushing
from chalicelib.workflows.models import Member, Workflow
from tests.conftest import Browser, Page, make_user, signed_in
from tests.factories import make_action, make_table
from tests.tables.conftest import Course
from tests.tables.test_merge_locks import Killed, before_each_statement, state

CLASS = [("s1", "Ann", 5), ("s2", "Ben", None), ("s3", "Cem", 7)]


@pytest.fixture
def table(course: Course) -> Course:
    """A table of three learners."""
    with database.scope() as session:
        workflow = session.get_one(Workflow, course.workflow_id)
        make_table(session, workflow, {"sid": "text", "name": "text", "quiz": "integer"}, CLASS)
    return course


def merge(course: Course, folder: Path, content: str, **choices: Any) -> dict[str, Any]:
    """Put a file into the table as the wizard does at its end."""
    path = folder / "marks.csv"
    path.write_text(content)
    with database.scope() as session:
        workflow = session.get_one(Workflow, course.workflow_id)
        return uploads.import_file(session, workflow, course.user_id, path, keys=("sid",), choices=choices)


def column_id(course: Course, name: str) -> int:
    with database.scope() as session:
        return next(c.id for c in queries.columns(session, course.workflow_id) if c.name == name)


def lines(page: Page) -> list[str]:
    """The lines of the history as people read them, the latest first."""
    found = re.search(r'<ol class="history">(.*?)</ol>', page.body, re.DOTALL)
    items = re.findall(r'<li>\s*<div class="what">(.*?)</div>\s*</li>', found[1], re.DOTALL) if found else []
    return [" ".join(re.sub(r"<[^>]+>", " ", item).split()) for item in items]


def looks(page: Page) -> list[str]:
    return re.findall(r'href="([^"]*/history/\d+)"', page.body)


def undos(page: Page) -> list[str]:
    """The addresses behind the buttons of the lines; the message on top has another one."""
    return re.findall(r'action="([^"]*/changes/\d+/undo)"', page.body.partition('<ol class="history">')[2])


def figures(page: Page) -> list[int]:
    """The numbers under “If you restore it”."""
    return [int(number) for number in re.findall(r"<dd>([\d,]+)</dd>", page.body)]


def test_an_empty_history_says_what_to_do(course: Course) -> None:
    page = course.browser.get(f"{course.path}/history")
    assert "Nothing has happened yet" in page.body
    assert f'href="{course.path}/upload"' in page.body


def test_every_change_has_a_line_with_its_facts(table: Course, tmp_path: Path) -> None:
    merge(table, tmp_path, "sid,quiz,extra\ns1,6,a\ns9,1,b\n")
    quiz = column_id(table, "quiz")
    path = f"{table.path}/table/rows/1/cells/{quiz}"
    assert table.browser.post(path, {"value": "8", "seen": cells.seal(6)}).status == 303
    found = lines(table.browser.get(f"{table.path}/history"))
    assert "changed a value in “quiz”" in found[0]
    assert "“6” → “8”" in found[0]
    assert "added data from “marks.csv”" in found[1]
    for fact in ("1 row new", "1 row matched", "1 cell changed", "new columns: “extra”"):
        assert fact in found[1]
    assert all(line.startswith("Ines") for line in found)


def test_a_look_says_what_restoring_would_do(table: Course, tmp_path: Path) -> None:
    merge(table, tmp_path, "sid,quiz,extra\ns1,6,a\ns3,1,c\ns9,1,b\n", rows="right")
    (look,) = looks(table.browser.get(f"{table.path}/history"))
    page = table.browser.get(look)
    assert "The table had 3 learners and 3 columns" in page.body
    assert figures(page) == [1, 1, 2, 2]
    assert "columns gone: “extra”" in page.body
    assert [name for name in ("Ann", "Ben", "Cem") if name in page.body] == ["Ann", "Ben", "Cem"]


def test_restoring_goes_in_both_directions(table: Course, tmp_path: Path) -> None:
    before = table.contents()
    merge(table, tmp_path, "sid,quiz,extra\ns1,6,a\ns9,1,b\n")
    after = table.contents()
    (look,) = looks(table.browser.get(f"{table.path}/history"))
    restored = table.browser.post(look)
    assert restored.location == f"{table.path}/table"
    assert table.contents() == before
    page = table.browser.get(f"{table.path}/history")
    assert "brought an earlier table back" in lines(page)[0]
    assert "columns gone: “extra”" in lines(page)[0]
    assert "taken back" in lines(page)[1] or "taken back" in page.body
    (back,) = looks(page)
    assert table.browser.post(back).status == 303
    assert table.contents() == after


def test_a_second_click_on_restore_changes_nothing(table: Course, tmp_path: Path) -> None:
    merge(table, tmp_path, "sid,quiz\ns9,1\n")
    (look,) = looks(table.browser.get(f"{table.path}/history"))
    table.browser.post(look)
    before = state(table)
    again = table.browser.post(look)
    assert again.location == f"{table.path}/history"
    assert "was brought back already" in table.browser.follow(again).body
    assert state(table) == before


def test_viewers_see_the_history_and_change_nothing(table: Course, tmp_path: Path) -> None:
    merge(table, tmp_path, "sid,quiz\ns9,1\n")
    with database.scope() as session:
        guest = make_user(session, "guest@uni.example")
        workflow = session.get_one(Workflow, table.workflow_id)
        session.add(
            Member(workflow_id=workflow.id, user_id=guest.id, role=WorkflowRole.VIEWER, created_at=workflow.created_at)
        )
        browser: Browser = signed_in(session, guest)
    page = browser.get(f"{table.path}/history")
    (look,) = looks(page)
    assert not undos(page)
    assert "Restore this table" not in browser.get(look).body
    assert browser.post(look).status == 403


def test_small_changes_are_taken_back_from_their_line_and_done_again(table: Course) -> None:
    before, quiz = table.contents(), column_id(table, "quiz")
    table.browser.post(f"{table.path}/table/rows/1/cells/{quiz}", {"value": "8", "seen": cells.seal(5)})
    table.browser.post(f"{table.path}/table/rows/2/delete")
    table.browser.post(f"{table.path}/table/new", {f"c{column_id(table, 'sid')}": "s9"})
    after = table.contents()
    first = undos(table.browser.get(f"{table.path}/history"))
    for undo in first:
        assert table.browser.post(undo).status == 303
    assert table.contents() == before
    page = table.browser.get(f"{table.path}/history")
    assert page.body.count("taken back") == len(first) == 3
    for undo in undos(page):
        assert table.browser.post(undo).status == 303
    assert table.contents() == after


def test_a_deleted_column_comes_back_as_long_as_a_table_that_has_it_is_kept(table: Course, tmp_path: Path) -> None:
    before = table.contents()
    table.browser.post(f"{table.path}/columns/{column_id(table, 'name')}/delete")
    result = merge(table, tmp_path, "sid,quiz\ns9,1\n", method="replace", rows="right")
    page = table.browser.get(f"{table.path}/history")
    assert lines(page)[1].startswith("Ines deleted the column “name”")
    assert "restore a later table first" in page.body
    (look,) = looks(page)
    assert table.browser.post(look).status == 303
    assert table.browser.post(undos(table.browser.get(f"{table.path}/history"))[0]).status == 303
    assert table.contents() == before
    assert result["dropped"] == 3


def test_a_deleted_column_that_no_kept_table_has_is_gone(table: Course, tmp_path: Path) -> None:
    table.browser.post(f"{table.path}/columns/{column_id(table, 'name')}/delete")
    result = merge(table, tmp_path, "sid,quiz\ns9,1\n", method="replace", rows="right")
    with database.scope() as session:
        versions.forget(session, table.workflow_id, result["version"])
    page = table.browser.get(f"{table.path}/history")
    assert page.body.count("can’t be restored any more") == 2
    assert not undos(page)


def test_what_is_kept_is_shown_with_its_budget(table: Course, tmp_path: Path) -> None:
    merge(table, tmp_path, "sid,quiz\ns9,1\n")
    body = table.browser.get(f"{table.path}/history").body
    assert re.search(r"Earlier tables: \d+ kB in this workflow, \d+ kB of 2 GB kept in all workflows", body)


@pytest.mark.parametrize("by", ["job", "tidy"])
def test_over_budget_the_oldest_go_and_their_lines_stay(
    table: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    for number in range(3):
        merge(table, tmp_path, f"sid,quiz\ns9,{number}\n")
    monkeypatch.setenv("KEPT_VERSIONS_MB", "0")
    settings.cache_clear()
    if by == "tidy":
        due.tidy()
    else:
        merge(table, tmp_path, "sid,quiz\ns9,9\n")
    table.work()
    page = table.browser.get(f"{table.path}/history")
    settings.cache_clear()
    assert len(lines(page)) == (3 if by == "tidy" else 4)
    assert len(looks(page)) == 1
    assert page.body.count("can’t be restored any more") == len(lines(page)) - 1
    assert table.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'learners' AND tablename ~ '^v'") == 1
    assert table.browser.get(looks(page)[0]).status == 200


def test_a_dropped_table_is_said_to_be_gone(table: Course, tmp_path: Path) -> None:
    result = merge(table, tmp_path, "sid,quiz\ns9,1\n")
    with database.scope() as session:
        assert versions.forget(session, table.workflow_id, result["version"])
    path = f"{table.path}/history/{result['version']}"
    for page in (table.browser.get(path), table.browser.post(path)):
        assert page.status == 404
        assert "not kept any more" in page.body


def test_emptying_everything_is_restored_with_the_messages(table: Course) -> None:
    before = table.contents()
    with database.scope() as session:
        workflow = session.get_one(Workflow, table.workflow_id)
        make_action(session, workflow)
    assert table.browser.post(f"{table.path}/flush", {"what": flushing.ALL}).status == 303
    (look,) = looks(table.browser.get(f"{table.path}/history"))
    assert "Messages, conditions and views" in table.browser.get(look).body
    assert table.browser.post(look).status == 303
    assert table.contents() == before
    with database.scope() as session:
        assert session.scalars(select(Action.deleted_at)).all() == [None]


def test_emptying_the_rows_alone_takes_no_messages_along(table: Course) -> None:
    assert table.browser.post(f"{table.path}/flush", {"what": flushing.ROWS}).status == 303
    (look,) = looks(table.browser.get(f"{table.path}/history"))
    page = table.browser.get(look)
    assert figures(page) == [3, 0, 0, 0]
    assert "Messages, conditions and views" not in page.body


def test_a_filter_on_a_column_that_goes_away_blocks_and_is_said_before(table: Course, tmp_path: Path) -> None:
    merge(table, tmp_path, "sid,extra\ns1,6\n")
    rule = {"all": [{"column": column_id(table, "extra"), "op": "equal", "value": "6"}]}
    with database.scope() as session:
        action_id = make_action(session, session.get_one(Workflow, table.workflow_id)).id
    message = f"{table.path}/actions/{action_id}"
    assert table.browser.post(f"{message}/filter", {"formula": json.dumps(rule)}).status == 303
    (look,) = looks(table.browser.get(f"{table.path}/history"))
    shown = table.browser.get(look).body
    assert "“extra” goes away" in shown
    assert "least of all everybody" in shown
    assert table.browser.post(look).status == 303
    assert "It can’t be sent until you repair them" in table.browser.get(message).body
    (back,) = looks(table.browser.get(f"{table.path}/history"))
    assert table.browser.post(back).status == 303
    assert "1 of 3" in table.browser.get(message).body


def test_a_view_on_a_column_that_had_another_type_is_named_before_and_comes_back(table: Course, tmp_path: Path) -> None:
    merge(table, tmp_path, "sid,extra\ns1,6\n")
    extra = column_id(table, "extra")
    assert table.browser.post(f"{table.path}/columns/{extra}/type", {"to": "text", "may_lose": "0"}).status == 303
    rule = {"all": [{"column": extra, "op": "contains", "value": "6"}]}
    with database.scope() as session:
        now = clock.now()
        view = View(
            workflow_id=table.workflow_id, name="Sixes", columns=[extra], filter=rule, created_at=now, updated_at=now
        )
        session.add(view)
        session.flush()
        view_id = view.id
    again = f"{table.path}/columns/{extra}/type"
    assert "the view “Sixes”" in table.browser.get(again, to="integer_decimals").body
    look = looks(table.browser.get(f"{table.path}/history"))[0]
    shown = table.browser.get(look).body
    assert "These will be blocked until they are repaired" in shown
    assert "the view “Sixes”" in shown
    assert table.browser.post(look).status == 303
    assert "needs repair" in table.browser.get(f"{table.path}/table", view=view_id).body
    back = looks(table.browser.get(f"{table.path}/history"))[0]
    assert table.browser.post(back).status == 303
    assert "needs repair" not in table.browser.get(f"{table.path}/table", view=view_id).body


def test_a_cell_saved_while_a_restore_runs_is_in_the_table_that_is_kept(table: Course, tmp_path: Path) -> None:
    merge(table, tmp_path, "sid,quiz\ns9,1\n")
    (look,) = looks(table.browser.get(f"{table.path}/history"))
    with database.scope() as session:
        name = next(c for c in queries.columns(session, table.workflow_id) if c.name == "name")
    outcomes: list[str] = []

    def edit() -> None:
        try:
            with database.scope() as session:
                workflow = session.get_one(Workflow, table.workflow_id)
                service.change_cell(session, workflow, table.user_id, 1, name, "Anna", seen=cells.seal("Ann"))
            outcomes.append("saved")
        except service.errors.Conflict:
            outcomes.append("refused")

    editors: list[threading.Thread] = []

    def at_each(_count: int) -> None:
        if not editors:
            editors.append(threading.Thread(target=edit))
            editors[0].start()
        threading.Event().wait(0.02)

    with before_each_statement(at_each), database.scope() as session:
        workflow = session.get_one(Workflow, table.workflow_id)
        before = versions.restore(session, workflow, int(look.rpartition("/")[2]), table.user_id)
        kept_id = before.id
    editors[0].join()
    now = table.contents()[0]["name"]
    kept = table.sql(f"SELECT c{name.id} FROM learners.v{kept_id} WHERE row_id = 1")
    assert outcomes in (["saved"], ["refused"])
    assert (outcomes == ["saved"]) == ("Anna" in {now, kept})


def test_a_restore_killed_at_any_statement_leaves_nothing_half_done(table: Course, tmp_path: Path) -> None:
    merge(table, tmp_path, "sid,quiz,extra\ns1,6,a\ns9,1,b\n")
    (look,) = looks(table.browser.get(f"{table.path}/history"))
    before, kill_at = state(table), 0
    while state(table) == before:
        kill_at += 1

        def kill(count: int, at: int = kill_at) -> None:
            if count == at:
                raise Killed

        try:
            with before_each_statement(kill), database.scope() as session:
                workflow = session.get_one(Workflow, table.workflow_id)
                versions.restore(session, workflow, int(look.rpartition("/")[2]), table.user_id)
        except Killed:
            assert state(table) == before
    assert kill_at > 15
    assert [row["name"] for row in table.contents()] == ["Ann", "Ben", "Cem"]


def test_making_room_killed_at_any_statement_drops_tables_with_their_rows(table: Course, tmp_path: Path) -> None:
    for number in range(3):
        merge(table, tmp_path, f"sid,quiz\ns9,{number}\n")
    tables = "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables WHERE tablename ~ '^v[0-9]'"
    rows = "SELECT string_agg('v' || id, ',' ORDER BY 'v' || id) FROM ontask.table_version"
    oldest = int(table.sql("SELECT min(id) FROM ontask.table_version"))
    kill_at, gone = 0, False
    while not gone:
        kill_at += 1

        def kill(count: int, at: int = kill_at) -> None:
            if count == at:
                raise Killed

        try:
            with before_each_statement(kill), database.scope() as session:
                versions.forget(session, table.workflow_id, oldest)
            gone = True
        except Killed:
            assert table.sql(tables) == table.sql(rows)
    assert table.sql(tables) == table.sql(rows)
    assert kill_at > 3


def test_long_histories_have_pages(table: Course) -> None:
    quiz, value = column_id(table, "quiz"), 5
    for _ in range(52):
        path = f"{table.path}/table/rows/1/cells/{quiz}"
        assert table.browser.post(path, {"value": str(value + 1), "seen": cells.seal(value)}).status == 303
        value += 1
    page = table.browser.get(f"{table.path}/history")
    assert len(lines(page)) == 50
    older = re.search(r'href="([^"]*/history\?before=\d+)"', page.body)
    assert older
    assert len(lines(table.browser.get(older[1].replace("&amp;", "&")))) == 2
