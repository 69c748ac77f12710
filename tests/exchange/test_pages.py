"""Exporting and importing through the pages, from the first click to the workflow that is there."""

from __future__ import annotations

import html
import json
import re
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import requests

from chalicelib import database
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.exchange import jobs as exchange_jobs
from chalicelib.exchange import service
from chalicelib.exchange.document import MESSAGES, WORKFLOW
from chalicelib.schedules import jobs
from chalicelib.schedules import service as schedules
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from local import cli
from tests.conftest import NOON, Browser, Clock, Page, make_user, real_file, signed_in
from tests.exchange.conftest import packed
from tests.exchange.test_ontask import FORMULA, action, column, small
from tests.factories import make_action, make_table
from tests.test_access import member


class People:
    """Ines's browser and an installation of its own."""

    def __init__(self) -> None:
        with database.scope() as session:
            self.user = make_user(session)
            self.browser = signed_in(session, self.user)

    def work(self) -> None:
        """Do all jobs that are due."""
        with database.scope() as session:
            due = schedules.due_jobs(session)
        for job_id in due:
            jobs.run(job_id)

    def send(self, content: bytes, to: str = "/imports", browser: Browser | None = None) -> str:
        """Send a file as the browser does and have it read; return the address of the import's page."""
        page = deliver(browser or self.browser, content, to)
        self.work()
        return page

    def workflow(self, name: str = "Origin") -> tuple[int, int]:
        """A workflow with a table and one message; their ids."""
        with database.scope() as session:
            made = workflows.create(session, self.user.id, name)
            ids = make_table(session, made, {"sid": "text", "mark": "integer"}, [("a", 1), ("b", None)])
            return made.id, make_action(session, made, f"<p>{{{{ @c{ids['mark']} }}}}</p>").id

    def count(self, statement: str) -> Any:
        from sqlalchemy import text

        with database.scope() as session:
            return session.scalar(text(statement))


def deliver(browser: Browser, content: bytes, to: str = "/imports") -> str:
    """Send a file as the browser does; return the address of the import's page."""
    begun = json.loads(browser.post(to, {"filename": "course.gz", "size": len(content)}).body)
    answer = requests.post(begun["url"], data=begun["fields"], files={"file": content}, timeout=10)
    assert answer.status_code == 204
    arrived = browser.post(begun["arrived"])
    assert arrived.status == 200, arrived.body
    return str(json.loads(arrived.body)["page"])


@pytest.fixture
def people(fresh_database: str, aws: str) -> People:
    return People()


def said(page: Page) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", page.body).split()))


def test_a_file_of_ontask_is_looked_at_before_it_becomes_a_workflow(people: People) -> None:
    assert "Import a workflow" in people.browser.get("/workflows").body
    page = people.send(real_file("ontask_exports/initial_workflow.gz").read_bytes())
    shown = said(people.browser.get(page))
    for words in ("Learners 14", "Columns 69", "Messages 10", "Conditions 28", "Views 4", "Video_1_W2 is more than 75",
                  "Kept, but not shown yet"):  # fmt: skip
        assert words in shown
    assert people.count("SELECT count(*) FROM ontask.workflow") == 0
    assert people.browser.post(page, {"step": "create", "name": "Biology"}).location == page
    assert "Creating" in people.browser.get(page).body
    people.work()
    done = people.browser.get(page)
    assert "“Biology” is here" in done.body
    assert "14 learners with 69 columns, 10 messages, 4 views" in said(done)
    (link,) = re.findall(r'href="(/workflows/\d+)">Open the workflow', done.body)
    overview = people.browser.get(link)
    assert "imported the workflow from" in overview.body
    listed = people.browser.get(f"{link}/actions")
    assert "Badges" in listed.body
    (badges,) = re.findall(r'href="(/workflows/\d+/actions/\d+)">Badges', listed.body)
    assert people.browser.get(badges).status == 200
    assert people.browser.get(f"{link}/table").status == 200


def test_a_name_that_is_taken_is_asked_for_without_the_file(people: People) -> None:
    people.workflow("Small")
    page = people.send(packed(small()))
    assert 'value="Small (2)"' in people.browser.get(page).body
    refused = people.browser.post(page, {"step": "create", "name": "Small"})
    assert refused.status == 422
    assert "You have a workflow with this name already." in said(refused)
    assert 'value="Small"' in refused.body
    assert people.browser.post(page, {"step": "create", "name": "Small 2"}).status == 303
    people.work()
    assert people.count("SELECT row_count FROM ontask.workflow WHERE name = 'Small 2'") == 2


def test_a_name_that_is_taken_meanwhile_leaves_nothing_behind(people: People) -> None:
    page = people.send(packed(small()))
    people.browser.post(page, {"step": "create", "name": "Small"})
    people.workflow("Small")
    people.work()
    again = people.browser.get(page)
    assert "There is a workflow with this name already." in said(again)
    assert people.count("SELECT count(*) FROM ontask.workflow") == 1
    people.browser.post(page, {"step": "create", "name": "Other"})
    people.work()
    assert "“Other” is here" in people.browser.get(page).body


def test_a_file_that_can_not_be_imported_says_why(people: People) -> None:
    page = people.send(packed(small(columns=[column("sid", "string")])))
    assert "Column “mark” is in the table but not described." in said(people.browser.get(page))
    assert people.count("SELECT count(*) FROM ontask.workflow") == 0
    assert people.count("SELECT count(*) FROM pg_tables WHERE schemaname = 'learners'") == 0


def test_a_discarded_import_leaves_nothing(people: People) -> None:
    page = people.send(packed(small()))
    assert people.count("SELECT count(*) FROM pg_tables WHERE schemaname = 'learners'") == 1
    people.browser.post(page, {"step": "discard"})
    assert people.browser.get(page).status == 404
    assert people.count("SELECT count(*) FROM pg_tables WHERE schemaname = 'learners'") == 0


def test_an_import_that_nobody_finished_is_forgotten_after_a_week(people: People, frozen_clock: Clock) -> None:
    page = people.send(packed(small()))
    assert "waits for you" in people.browser.get("/imports").body
    frozen_clock.advance(days=8)
    with database.scope() as session:
        service.expire(session)
    assert people.count("SELECT count(*) FROM pg_tables WHERE schemaname = 'learners'") == 0
    assert page


def test_an_import_is_its_users_alone(people: People) -> None:
    page = people.send(packed(small()))
    with database.scope() as session:
        other = signed_in(session, make_user(session, "other@uni.example"))
    assert other.get(page).status == 404
    assert other.post(page, {"step": "create"}).status == 404


def test_a_worker_that_dies_in_the_middle_leaves_nothing_half_done(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = people.send(packed(small(actions=[action(conditions=[{"name": "low", "_formula": FORMULA}])])))
    people.browser.post(page, {"step": "create", "name": "Small"})

    def die(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("chalicelib.tables.arrivals.take_over", die)
        with pytest.raises(RuntimeError):
            people.work()
    assert people.count("SELECT count(*) FROM ontask.workflow") == 0
    assert people.count("SELECT count(*) FROM ontask.action") == 0
    people.count("UPDATE ontask.job SET due_at = now() - interval '1 hour' RETURNING 1")
    people.work()
    assert "“Small” is here" in people.browser.get(page).body


def test_an_export_is_written_and_downloaded(people: People) -> None:
    workflow_id, action_id = people.workflow()
    path = f"/workflows/{workflow_id}/export"
    assert "Only the messages ticked below" in people.browser.get(path).body
    asked = people.browser.post(path, {"kind": WORKFLOW, "learners": "1", "action": action_id})
    assert "is being written" in people.browser.follow(asked).body
    assert people.browser.get(asked.location, file=1).status == 404
    people.work()
    ready = people.browser.get(asked.location)
    assert "2 learners, 2 columns, 1 message: ready." in said(ready)
    link = people.browser.get(asked.location, file=1).location
    assert "Origin" in urllib.parse.unquote(urllib.parse.unquote(link))
    content = requests.get(link, timeout=10).content
    page = people.send(content)
    assert "Learners 2" in said(people.browser.get(page))
    people.browser.post(page, {"step": "create", "name": "Twin"})
    people.work()
    assert people.count("SELECT row_count FROM ontask.workflow WHERE name = 'Twin'") == 2
    assert "exported the workflow" in people.browser.get(f"/workflows/{workflow_id}").body


def test_nothing_ticked_exports_no_messages(people: People) -> None:
    workflow_id, action_id = people.workflow()
    refused = people.browser.post(f"/workflows/{workflow_id}/export", {"kind": MESSAGES})
    assert refused.status == 422
    assert "Tick at least one message." in refused.body
    for only, ticked in ((action_id, 1), (action_id + 1, 0)):
        page = people.browser.get(f"/workflows/{workflow_id}/export?kind={MESSAGES}&action={only}")
        assert page.body.count('name="action"') == 1
        assert len(re.findall(r'name="action"[^>]* checked', page.body)) == ticked
    asked = people.browser.post(f"/workflows/{workflow_id}/export", {"kind": WORKFLOW})
    people.work()
    assert "2 columns, 0 messages: ready." in said(people.browser.get(asked.location))


def questionnaire(**more: Any) -> list[dict[str, Any]]:
    """A list of messages in the oldest shape."""
    return [
        {
            "name": "Strategies", "is_out": False, "content": "", "serve_enabled": True, "conditions": [],
            "columns": [{"name": "mark"}, {"name": "Q1"}],
            "used_columns": [column("mark", "integer"), column("Q1", "string", categories=["yes", "no"])], **more,
        }
    ]  # fmt: skip


def test_messages_are_added_to_a_workflow_with_the_columns_it_lacks(people: People) -> None:
    workflow_id, _ = people.workflow()
    page = people.send(packed(questionnaire()), f"/workflows/{workflow_id}/imports")
    assert "Messages 1" in said(people.browser.get(page))
    people.browser.post(page, {"step": "create"})
    people.work()
    done = people.browser.get(page)
    assert "1 message added" in done.body
    assert "1 empty column came with it" in said(done)
    assert people.browser.get("/imports/" + page.rpartition("/")[2]).status == 404
    table = people.browser.get(f"/workflows/{workflow_id}/table").body
    assert "Q1" in table
    assert people.count(f"SELECT position FROM ontask.column WHERE workflow_id = {workflow_id} AND name = 'Q1'") == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "Reminder"}, "There is a message “Reminder” already."),
        ({"used_columns": [column("mark", "double")]},
         "Column “mark” has the type integer here, but double in the file."),
        ({"used_columns": [column("mark", "integer", is_key=True)]}, "Column “mark” is a key in the file"),
        ({"used_columns": [column("mark", "integer", categories=[1])]}, "Column “mark” has other allowed values here"),
        ({"used_columns": [column("new", "string", is_key=True)]},
         "Column “new” tells learners apart and is missing here."),
    ],
)  # fmt: skip
def test_messages_that_do_not_fit_are_refused_by_name(people: People, changes: dict[str, Any], reason: str) -> None:
    workflow_id, _ = people.workflow()
    listed = questionnaire(**changes)
    listed[0]["columns"] = [{"name": used["name"]} for used in listed[0]["used_columns"]]
    page = people.send(packed(listed), f"/workflows/{workflow_id}/imports")
    assert reason in said(people.browser.get(page))
    assert people.count("SELECT count(*) FROM ontask.action") == 1


def test_messages_need_a_workflow_with_data(people: People) -> None:
    with database.scope() as session:
        empty = workflows.create(session, people.user.id, "Empty")
    page = people.send(packed(questionnaire()), f"/workflows/{empty.id}/imports")
    assert "This workflow has no learners yet." in said(people.browser.get(page))
    page = people.send(packed(questionnaire()))
    assert "This file holds messages without a table." in said(people.browser.get(page))


def test_exported_messages_fit_into_another_workflow(people: People) -> None:
    origin, action_id = people.workflow()
    asked = people.browser.post(f"/workflows/{origin}/export", {"kind": MESSAGES, "action": action_id})
    people.work()
    content = requests.get(people.browser.get(asked.location, file=1).location, timeout=10).content
    with database.scope() as session:
        target = workflows.create(session, people.user.id, "Target")
        make_table(session, target, {"sid": "text", "mark": "integer"}, [("a", 1)])
    page = people.send(content, f"/workflows/{target.id}/imports")
    people.browser.post(page, {"step": "create"})
    people.work()
    stored = people.count(f"SELECT text FROM ontask.action WHERE workflow_id = {target.id}")
    mark = people.count(f"SELECT id FROM ontask.column WHERE workflow_id = {target.id} AND name = 'mark'")
    assert stored == f"<p>{{{{ @c{mark} }}}}</p>"


def test_a_viewer_may_export_but_not_bring_in_messages(people: People) -> None:
    workflow_id, _ = people.workflow()
    with database.scope() as session:
        viewer = signed_in(session, member(session, session.get_one(Workflow, workflow_id), WorkflowRole.VIEWER))
    assert viewer.get(f"/workflows/{workflow_id}/export").status == 200
    assert viewer.get(f"/workflows/{workflow_id}/imports").status == 403


def test_files_have_the_workflows_name_and_the_moment() -> None:
    assert exchange_jobs.filename("a/b: Größe", WORKFLOW, NOON) == "a b Größe 2026-03-02 12.00.zip"
    assert exchange_jobs.filename("..", MESSAGES, NOON) == "workflow messages 2026-03-02 12.00.zip"


def test_operators_import_and_export_on_the_command_line(
    people: People, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "small.gz", tmp_path / "out.zip"
    file.write_bytes(packed(small()))
    ours = ["import-workflow", str(file), "--user", people.user.email]
    assert cli.main(ours) == 0
    assert "2 learners, 2 columns, 0 messages" in capsys.readouterr().out
    assert cli.main(ours) == 1
    assert "There is a workflow with this name already." in capsys.readouterr().err
    assert cli.main([*ours, "--replace"]) == 0
    live = people.count("SELECT id FROM ontask.workflow WHERE deleted_at IS NULL")
    assert cli.main(["export-workflow", str(live), "--to", str(out)]) == 0
    assert cli.main(["import-workflow", str(out), str(tmp_path / "none"), "--user", "nobody@uni.example"]) == 2
    assert "nobody@uni.example has no account" in capsys.readouterr().err
    assert cli.main(["export-workflow", "999999"]) == 1
