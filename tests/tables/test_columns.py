"""The pages of the columns: list, order, new ones, settings, types, copies, lists of values, deletion."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import clock, signing
from chalicelib.actions.rubrics.models import Criterion, RubricCell
from chalicelib.schedules.models import Schedule
from chalicelib.tables.models import View
from chalicelib.web import cookies
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Page
from tests.factories import make_action, make_condition, make_table

COLUMNS = {"sid": "text", "name": "text", "quiz": "integer", "mean": "double", "passed": "boolean", "seen": "datetime"}
ROWS: list[tuple[Any, ...]] = [
    ("s1", "José", 68, 1.5, True, "2026-03-01T10:00Z"), ("s2", "anna", None, None, None, None),
    ("s3", "Zoë", 7, 2.0, False, "2026-03-02T10:00Z"), ("s4", "anna", 7, 0.25, True, None),
]  # fmt: skip


class Desk:
    """A table and the browser of its owner."""

    def __init__(self, session: Session, workflow: Workflow, client: Browser) -> None:
        self.session, self.workflow, self.client = session, workflow, client
        self.ids = make_table(session, workflow, COLUMNS, ROWS)

    @property
    def path(self) -> str:
        return f"/workflows/{self.workflow.id}/columns"

    def page(self, name: str = "", step: str = "", **query: Any) -> Page:
        return self.client.get("/".join(filter(None, [self.path, str(self.ids[name]) if name else "", step])), **query)

    def post(self, name: str, step: str = "", /, **form: Any) -> Page:
        return self.client.post("/".join(filter(None, [self.path, str(self.ids[name]), step])), form)

    def add(self, kind: str = "column", **form: Any) -> Page:
        """Send the form of a new column; a new id is noted under its name."""
        page = self.client.post(f"{self.path}/new/{kind}", form)
        if page.status == 303:
            self.ids[form["name"]] = int(page.location.rpartition("/")[2])
        return page

    def settings(self, name: str, /, **changes: Any) -> Page:
        """Send the form of a column as it is shown, with changes; None leaves a field out."""
        form = {**fields(self.page(name)), **changes}
        return self.post(name, **{key: value for key, value in form.items() if value is not None})

    def values(self, name: str) -> list[Any]:
        query = f"SELECT c{self.ids[name]} FROM learners.w{self.workflow.id} ORDER BY row_id"
        return list(self.session.scalars(text(query)))

    def names(self, **query: Any) -> list[str]:
        return [
            unescape(name) for name in re.findall(r'class="c-name"><a [^>]*>([^<]*)</a></th>', self.page(**query).body)
        ]

    def undo(self, answer: Page) -> Page:
        """Press the undo of the message that follows an answer."""
        sent = next(cookie for cookie in answer.cookies if cookie.startswith(f"{cookies.FLASH}="))
        flash = signing.read("flash", sent.partition("=")[2].partition(";")[0])
        assert flash
        return self.client.follow(self.client.post(flash["undo_url"]))


def fields(page: Page) -> dict[str, str]:
    """What a browser would send of the settings form."""
    form = page.body[page.body.index('name="seen"') - 200 :].partition("</form>")[0]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and name[1] != "csrf_token" and ('type="checkbox"' not in tag or " checked" in tag):
            found[name[1]] = unescape(value[1]) if value else ""
    for name_, value_ in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.S):
        found[name_] = unescape(value_)
    return found


def problem(page: Page) -> str:
    found = re.findall(r'(?:role="alert"|class="problem"[^>]*)>([^<]+)<', page.body)
    return " ".join(unescape(part) for part in found)


def plain(page: Page) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.body)).split())


@pytest.fixture
def desk(session: Session, workflow: Workflow, client: Browser) -> Desk:
    return Desk(session, workflow, client)


# -- the list


def test_the_list_has_every_column_in_the_order_of_the_table(desk: Desk) -> None:
    assert desk.names() == list(COLUMNS)
    assert "key" in plain(desk.page())


@pytest.mark.parametrize(
    ("search", "found"),
    [("QUI", ["quiz"]), ("yes/no", ["passed"]), ("whole", ["quiz"]), ("grade of", ["mean"]), ("nothing such", [])],
)
def test_search_looks_into_names_descriptions_and_shown_types(desk: Desk, search: str, found: list[str]) -> None:
    desk.settings("mean", description="Grade of the term")
    assert desk.names(search=search) == found
    assert ("No column found" in desk.page(search=search).body) == (not found)


def test_the_list_sorts_by_what_its_headers_say(desk: Desk) -> None:
    assert desk.names(sort="name") == sorted(COLUMNS)
    assert desk.names(sort="-name") == sorted(COLUMNS, reverse=True)
    assert desk.names(sort="-position") == list(reversed(COLUMNS))
    assert desk.names(sort="key")[0] == "sid"
    assert desk.names(sort="type")[-1] == "passed"
    assert desk.names(sort="nonsense") == list(COLUMNS)


def test_a_workflow_without_a_table_says_how_to_begin(client: Browser, workflow: Workflow) -> None:
    page = client.get(f"/workflows/{workflow.id}/columns")
    assert f"/workflows/{workflow.id}/upload" in page.body
    assert client.get(f"/workflows/{workflow.id}/columns/new/column").status == 404
    assert client.post(f"/workflows/{workflow.id}/columns/new/column", {"name": "x"}).status == 404


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("first", ["quiz", "sid", "name"]),
        ("up", ["sid", "quiz", "name"]),
        ("down", ["sid", "name", "mean"]),
        ("2", ["sid", "quiz", "name"]),
        ("last", ["sid", "name", "mean"]),
    ],
)
def test_a_column_moves_and_the_others_make_room(desk: Desk, to: str, expected: list[str]) -> None:
    answer = desk.client.post(desk.path, {"column": desk.ids["quiz"], "to": to})
    assert desk.names()[:3] == expected
    query = "SELECT array_agg(position ORDER BY position) FROM ontask.column WHERE deleted_at IS NULL"
    assert desk.session.scalar(text(query)) == [1, 2, 3, 4, 5, 6]
    desk.undo(answer)
    assert desk.names() == list(COLUMNS)


@pytest.mark.parametrize("form", [{"to": "99"}, {"to": "0"}, {"to": "nowhere"}, {"to": "1", "column": "999999"}])
def test_a_move_to_nowhere_is_refused(desk: Desk, form: dict[str, str]) -> None:
    assert desk.client.post(desk.path, {"column": desk.ids["quiz"], **form}, htmx=True).status in {404, 422}
    assert desk.names() == list(COLUMNS)


# -- new columns


@pytest.mark.parametrize(
    ("kind", "typed", "stored"),
    [
        ("integer", "7", 7),
        ("double", "7.5", 7.5),
        ("text", "it's “so”: %s", "it's “so”: %s"),
        ("boolean", "yes", True),
        ("integer", "", None),
        ("text", "00123", "00123"),
    ],
)
def test_a_new_column_begins_with_one_value_for_everybody(desk: Desk, kind: str, typed: str, stored: Any) -> None:
    desk.add(name="new", type=kind, initial=typed, position="2")
    assert desk.values("new") == [stored] * 4
    assert desk.names()[:3] == ["sid", "new", "name"]
    desk.client.post(f"/workflows/{desk.workflow.id}/table/new", {f"c{desk.ids['sid']}": "s5"})
    assert desk.values("new") == [stored] * 4 + [None]


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"type": "integer", "initial": "7.5"}, "initial", "Type a whole number."),
        ({"type": "boolean", "initial": "maybe"}, "initial", "Choose yes or no."),
        ({"type": "datetime", "initial": "31/12/2026"}, "initial", "Type a date"),
        ({"type": "text", "initial": "x" * 513}, "initial", "at most 512"),
        ({"type": "text", "initial": "C", "allowed": "A\nB"}, "initial", "one of the column"),
        ({"type": "integer", "allowed": "1\nx"}, "allowed", "“x” does not fit"),
        ({"type": "text", "allowed": "A\nB\nA"}, "allowed", "“A” is there twice"),
        ({"type": "text", "allowed": "A"}, "allowed", "at least 2"),
        ({"name": "quiz"}, "name", "A column of the table has this name"),
        ({"name": "a'b"}, "name", "quotes"),
        ({"name": ""}, "name", "Type a name."),
        ({"name": "x" * 256}, "name", "at most 255"),
        ({"name": "__x"}, "name", "underscores"),
        ({"name": "low"}, "name", "A condition of the message “Reminder” has this name"),
        ({"type": "colour"}, "type", "Choose"),
        ({"active_from": "2026-03-02T10:00", "active_until": "2026-03-01T10:00"}, "active_until", "after"),
        ({"description": "x" * 2049}, "description", "2,048"),
    ],
)
def test_a_column_that_does_not_fit_is_refused_at_its_field(
    desk: Desk, form: dict[str, str], field: str, words: str
) -> None:
    make_condition(desk.session, make_action(desk.session, desk.workflow), "low", {"all": []})
    page = desk.add(**{"name": "new", "type": "text", **form})
    assert page.status == 422
    assert words in problem(page)
    assert re.search(rf'name="{field}"[^>]*aria-', page.body)
    assert desk.names() == list(COLUMNS)


# -- settings


def test_settings_are_saved_and_taken_back(desk: Desk) -> None:
    answer = desk.settings(
        "name", name="first name", description="As called", position="1", allowed="José\nanna\nZoë\nMia",
        in_charts=None, active_from="2026-03-01T08:00", active_until="2026-04-01T08:00",
    )  # fmt: skip
    assert answer.status == 303
    assert desk.names()[0] == "first name"
    page = desk.page("name")
    assert fields(page)["allowed"] == "José\nanna\nZoë\nMia"
    assert fields(page)["active_from"] == "2026-03-01T08:00"
    assert "in_charts" not in fields(page)
    assert "is what it was before" in desk.undo(answer).body
    assert desk.names() == list(COLUMNS)
    assert fields(desk.page("name"))["allowed"] == ""
    assert "in_charts" in fields(desk.page("name"))


def test_a_column_is_renamed_and_described_in_the_table(desk: Desk) -> None:
    assert desk.settings("quiz", name="Quiz  1 | 100%", description="First quiz").status == 303
    assert "Quiz 1 | 100%: First quiz" in unescape(desk.client.get(f"/workflows/{desk.workflow.id}/table").body)
    for name in ("", "sid", 'a"b', "x" * 300):
        page = desk.settings("quiz", name=name, description="kept")
        assert page.status == 422
        assert problem(page)
        assert "kept" in page.body
    assert desk.names()[2] == "Quiz 1 | 100%"


def test_saving_without_a_change_leaves_no_trace(desk: Desk) -> None:
    count = "SELECT count(*) FROM ontask.event"
    before = desk.session.scalar(text(count))
    assert "Nothing changed" in desk.client.follow(desk.settings("quiz")).body
    assert desk.session.scalar(text(count)) == before


def test_a_stale_form_is_shown_again_with_what_the_other_one_changed(desk: Desk) -> None:
    stale = fields(desk.page("quiz"))
    desk.settings("quiz", name="exam")
    page = desk.post("quiz", **{**stale, "description": "Mine"})
    assert page.status == 409
    assert "its name is “exam”" in problem(page)
    assert "Mine" in page.body
    assert desk.names()[2] == "exam"
    assert desk.post("quiz", **{**fields(page)}).status == 303
    assert desk.names()[2] == "quiz"


def test_allowed_values_must_have_those_in_the_table(desk: Desk) -> None:
    page = desk.settings("name", allowed="José\nZoë")
    assert page.status == 422
    assert "“anna” (2 times)" in problem(page)
    assert desk.settings("quiz", allowed="7\n68\n100").status == 303
    assert desk.settings("seen", allowed="2026-03-01 10:00\n2026-03-02 10:00").status == 303
    assert fields(desk.page("seen"))["allowed"] == "2026-03-01 10:00\n2026-03-02 10:00"


def test_a_key_is_switched_on_only_where_values_allow_it(desk: Desk) -> None:
    assert "1 learner has no value" in problem(desk.settings("quiz", is_key="1"))
    assert "“anna” (2 times)" in problem(desk.settings("name", is_key="1"))
    desk.add(name="nr", type="integer")
    desk.session.execute(text(f"UPDATE learners.w{desk.workflow.id} SET c{desk.ids['nr']} = row_id"))
    assert desk.settings("nr", is_key="1").status == 303
    answer = desk.settings("sid", is_key=None)
    assert answer.status == 303
    assert "has to stay" in problem(desk.settings("nr", is_key=None))
    assert "is what it was" in desk.undo(answer).body


# -- copies, lists of present values


def test_a_copy_has_all_values_and_settings(desk: Desk) -> None:
    desk.settings("name", allowed="José\nanna\nZoë", description="As called")
    page = desk.post("name", "copy")
    desk.ids["copy"] = int(page.location.rpartition("/")[2])
    assert desk.names()[-1] == "Copy of name"
    assert desk.values("copy") == desk.values("name")
    assert fields(desk.page("copy"))["allowed"] == "José\nanna\nZoë"
    desk.post("name", "copy")
    assert desk.names()[-1] == "Copy of Copy of name"


def test_the_copy_of_a_key_is_a_key(desk: Desk) -> None:
    desk.ids["copy"] = int(desk.post("sid", "copy").location.rpartition("/")[2])
    assert "is_key" in fields(desk.page("copy"))
    page = desk.client.post(
        f"/workflows/{desk.workflow.id}/table/new", {f"c{desk.ids['sid']}": "s9", f"c{desk.ids['copy']}": "s1"}
    )
    assert "Another learner already has “s1”" in plain(page)


def test_present_values_become_the_list_of_allowed_ones(desk: Desk) -> None:
    page = desk.page("name", "restrict")
    seen = re.search(r'name="seen" value="(\w+)"', page.body)
    assert seen
    answer = desk.post("name", "restrict", seen=seen[1])
    assert set(fields(desk.page("name"))["allowed"].split("\n")) == {"José", "anna", "Zoë"}
    desk.undo(answer)
    assert fields(desk.page("name"))["allowed"] == ""
    desk.session.execute(text(f"UPDATE learners.w{desk.workflow.id} SET c{desk.ids['name']} = 'Mia' WHERE row_id = 1"))
    assert "changed meanwhile" in problem(desk.post("name", "restrict", seen=seen[1]))


def test_a_list_of_present_values_needs_some_and_no_key(desk: Desk) -> None:
    assert "tells learners apart" in problem(desk.page("sid", "restrict"))
    desk.add(name="none", type="text")
    assert "no value" in problem(desk.page("none", "restrict"))
    desk.add(name="one", type="text", initial="x")
    assert "only one value" in problem(desk.page("one", "restrict"))
    desk.add(name="many", type="integer")
    filled = f"INSERT INTO learners.w{desk.workflow.id} (c{desk.ids['sid']}, c{desk.ids['many']})"
    desk.session.execute(text(f"{filled} SELECT 'x' || n, n FROM generate_series(1, 51) AS n"))
    assert "These are many values" in desk.page("many", "restrict").body


# -- deletion


def test_deleting_shows_every_use_and_widens_nothing(desk: Desk) -> None:
    quiz = desk.ids["quiz"]
    desk.add(name="email", type="text", initial="a@uni.example")
    action = make_action(desk.session, desk.workflow, f"<p>{{{{ @c{quiz} }}}}</p>")
    rule = {"all": [{"column": quiz, "op": "less", "value": "50"}, {"column": desk.ids["passed"], "op": "is_not_null"}]}
    action.filter = rule
    make_condition(desk.session, action, "low", rule)
    rubric = make_action(desk.session, desk.workflow, "", "Essay", kind="rubric_text")
    made = {"created_at": clock.now()}
    criterion = Criterion(action_id=rubric.id, column_id=desk.ids["passed"], position=1, **made)
    desk.session.add(criterion)
    desk.session.flush()
    desk.session.add(RubricCell(criterion_id=criterion.id, level="true", feedback=f"<p>{{{{ @c{quiz} }}}}</p>"))
    desk.session.add(
        Schedule(
            workflow_id=desk.workflow.id, action_id=action.id, kind="delivery.repeat", name="Weekly",
            crontab="0 8 * * 1",
            payload={"to_column_id": desk.ids["email"], "subject": f"{{{{ @c{quiz} }}}} points"}, time_zone="UTC",
            notify="", state="off", **made,
        )
    )  # fmt: skip
    desk.add("formula", name="twice", op="sum", sources=[quiz], keep="1")
    desk.session.flush()
    shown = plain(desk.page("quiz", "delete"))
    for words in (
        "the text of “Reminder”", "who gets “Reminder”", "the condition “low” of “Reminder”", "the column “twice”",
        "the rubric of “Essay”", "the schedule “Weekly” rests until it is repaired",
    ):  # fmt: skip
        assert words in shown
    answer = desk.post("quiz", "delete")
    assert answer.status == 303
    assert "quiz" not in desk.names()
    messages = desk.client.get(f"/workflows/{desk.workflow.id}/actions")
    assert "The rules for who gets it have to be repaired" in messages.body
    send = desk.client.get(f"/workflows/{desk.workflow.id}/actions/{action.id}/send")
    assert send.status == 422 or "repair" in plain(send)
    assert "One of its columns was deleted" in plain(desk.page())
    desk.undo(answer)
    assert desk.names()[:3] == ["sid", "name", "quiz"]
    assert "have to be repaired" not in desk.client.get(f"/workflows/{desk.workflow.id}/actions").body


def test_views_and_the_learners_access_are_among_the_uses(desk: Desk) -> None:
    quiz, now = desk.ids["quiz"], clock.now()
    rule = {"all": [{"column": quiz, "op": "less", "value": "50"}]}
    for name, columns, formula in (("low", [desk.ids["sid"]], rule), ("marks", [quiz], None), ("names", [], None)):
        view = View(workflow_id=desk.workflow.id, name=name, columns=columns, created_at=now, updated_at=now)
        view.filter = formula
        desk.session.add(view)
    desk.workflow.learner_column_id = quiz
    desk.session.flush()
    shown = plain(desk.page("quiz", "delete"))
    assert "the view “low” shows nobody until its rules are repaired" in shown
    assert "the view “marks” goes on without it" in shown
    assert "names" not in shown
    assert "who of your learners may sign in is reset" in shown
    assert desk.post("quiz", "delete").status == 303
    assert desk.session.scalar(text("SELECT count(learner_column_id) FROM ontask.workflow")) == 0


def test_the_last_key_stays(desk: Desk) -> None:
    assert "has to stay" in problem(desk.page("sid", "delete"))
    assert "has to stay" in problem(desk.post("sid", "delete"))
    assert desk.names() == list(COLUMNS)
    desk.post("sid", "copy")
    assert desk.post("sid", "delete").status == 303


def test_a_key_that_comes_back_with_gaps_is_none_any_more(desk: Desk) -> None:
    desk.ids["copy"] = int(desk.post("sid", "copy").location.rpartition("/")[2])
    answer = desk.post("copy", "delete")
    desk.client.post(f"/workflows/{desk.workflow.id}/table/new", {f"c{desk.ids['sid']}": "s5"})
    desk.undo(answer)
    assert "is_key" not in fields(desk.page("copy"))
