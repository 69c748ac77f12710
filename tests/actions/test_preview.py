"""One learner's version of a message: on the page, found by searching, in the mail to oneself."""

from __future__ import annotations

import re
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from html import unescape

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import database
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.actions.conftest import KINDS, LEARNERS, Desk, desk_of, words
from tests.conftest import Browser, Page, make_user, signed_in
from tests.delivery.cloud import Cloud, FakeSes
from tests.factories import make_action, make_condition, make_table
from tests.test_access import member


def heading(page: Page) -> str:
    """Whose version is shown."""
    found = re.search(r'<h2 id="h-preview">([^<]*)</h2>', page.body)
    assert found
    return unescape(found[1])


def step(page: Page, way: str) -> str:
    """Where the arrow leads that HTMX follows."""
    found = re.search(rf'<a [^>]*hx-get="([^"]*)"[^>]*id="{way}-learner"', page.body)
    assert found, f"there is no way to the {way} learner"
    return unescape(found[1])


def walk(desk: Desk, page: Page, way: str, steps: int) -> list[str]:
    """Whose versions are shown one after the other."""
    found = []
    for _ in range(steps):
        page = desk.browser.request("GET", step(page, way), headers={"hx-request": "true"})
        found.append(heading(page).removeprefix("As ").removesuffix(" sees it"))
    return found


def found(desk: Desk, text: str) -> list[str]:
    """The learners whom a search finds, as they are called."""
    page = desk.get("/learners", find=text, htmx=True)
    assert page.status == 200
    return [unescape(name) for name in re.findall(r"<li><a [^>]*>([^<]*)</a>", page.body)]


def put(desk: Desk, row: int, **values: str | None) -> None:
    """Change cells."""
    table = f"learners.w{desk.action.workflow_id}"
    for name, value in values.items():
        statement = text(f"UPDATE {table} SET c{desk.columns[name]} = :value WHERE row_id = :row")
        desk.session.execute(statement, {"value": value, "row": row})


# -- whose version


def test_without_learners_the_page_says_what_is_missing(client: Browser, session: Session, workflow: Workflow) -> None:
    desk = Desk(client, session, make_action(session, workflow), {})
    page = desk.get()
    assert page.status == 200
    assert "As soon as the table has learners" in words(page)
    assert desk.get("/preview").status == 404
    assert desk.get("/learners", find="x", htmx=True).status == 200
    assert desk.get("/learner", row=1, htmx=True).status == 200


def test_the_first_learner_is_shown_first(desk: Desk) -> None:
    page = desk.get()
    assert heading(page) == "As Name 1 sees it"
    assert "1 of 12" in words(page)
    frame = re.search(r'<iframe [^>]*sandbox="([^"]*)"\s+src="([^"]*)"', page.body)
    assert frame
    assert "allow-scripts" not in frame[1]
    assert "allow-same-origin" not in frame[1]
    assert desk.browser.get(unescape(frame[2])).status == 200


def test_the_way_leads_round(desk: Desk) -> None:
    page = desk.get(row=11)
    assert heading(page) == "As s11 sees it", "who has no name is called by their key"
    assert walk(desk, page, "next", 3) == ["s12", "Name 1", "Name 2"]
    assert walk(desk, page, "previous", 2) == ["Name 10", "Name 9"]
    assert walk(desk, desk.get(row=1), "previous", 2) == ["s12", "s11"]


def test_the_way_leads_through_those_who_get_the_message(desk: Desk) -> None:
    desk.filter(desk.rule("quiz", "is_one_of", ["10", "50", "90"]))
    page = desk.get()
    assert heading(page) == "As Name 2 sees it"
    assert walk(desk, page, "next", 4) == ["Name 6", "Name 10", "Name 2", "Name 6"]
    page = desk.get(row=7)
    assert heading(page) == "As Name 7 sees it"
    assert "not among the 3" in words(page)
    assert "Name 7 does not get this message" in words(page)
    assert walk(desk, page, "next", 1) == ["Name 10"]
    assert walk(desk, page, "previous", 1) == ["Name 6"]


def test_when_nobody_gets_the_message_the_page_says_so(desk: Desk) -> None:
    desk.filter(desk.rule("quiz", "less", "0"))
    page = desk.get()
    assert page.status == 200
    assert "Nobody gets this message" in words(page)
    assert "Sent to 0 of 12" in words(page)
    assert desk.get("/preview").status == 404


@pytest.mark.parametrize("row", ["999999", "0", "-1", "x", "9" * 30, "٣", "1 OR 1=1"])
def test_a_row_that_is_not_there_leads_to_the_first_learner(desk: Desk, row: str) -> None:
    for part in ("", "/learner"):
        assert heading(desk.get(part, row=row)) == "As Name 1 sees it"
    assert desk.get("/preview", row=row).status == 200


def test_which_conditions_hold_is_shown(desk: Desk) -> None:
    desk.add("low", desk.rule("quiz", "less", "50"))
    desk.add("passed it", desk.rule("passed", "equal", "true"))
    assert "low ✗ does not hold passed it ✓ holds" in words(desk.get(row=8))
    assert "low ✓ holds passed it ✗ does not hold" in words(desk.get(row=1))


def test_the_values_behind_a_version_are_shown(desk: Desk) -> None:
    desk.add("passed it", desk.rule("passed", "equal", "true"))
    desk.save("{{ quiz }} {{ name }}")
    values = dict(re.findall(r"<div><dt>(.*?)</dt><dd>(.*?)</dd></div>", desk.get(row=12).body))
    assert values == {
        "name": '<span class="missing">–</span>', "quiz": '<span class="missing">–</span>', "passed": "yes"
    }  # fmt: skip


def test_learners_without_a_condition_can_be_looked_through(desk: Desk) -> None:
    desk.add("low", desk.rule("quiz", "less", "50"))
    desk.add("top", desk.rule("quiz", "greater", "70"))
    page = desk.get()
    link = re.search(r'<a class="pill none-pill" href="([^"]*)"', page.body)
    assert link
    page = desk.browser.get(unescape(link[1]))
    assert heading(page) == "As Name 6 sees it"
    assert "1 of 4" in words(page)
    assert "No condition holds for Name 6" in words(page)
    assert walk(desk, page, "next", 4) == ["Name 7", "Name 8", "s12", "Name 6"]
    desk.filter(desk.rule("quiz", "is_not_null"))
    assert walk(desk, desk.get(none=1), "next", 3) == ["Name 7", "Name 8", "Name 6"]
    desk.filter(desk.rule("quiz", "less", "50"))
    page = desk.get(none=1)
    assert "nobody without a condition any more" in words(page)
    assert "none-pill" not in page.body


def test_without_conditions_nobody_is_without_one(desk: Desk) -> None:
    page = desk.get(none=1)
    assert heading(page) == "As Name 1 sees it"
    assert "1 of 12" in words(page)


# -- searching


def test_a_learner_is_found_by_name_key_and_address(desk: Desk) -> None:
    assert found(desk, "name 7") == ["Name 7"]
    assert found(desk, "S07") == ["Name 7"]
    assert found(desk, " s7@uni") == ["Name 7"]
    assert found(desk, "s11@") == ["s11"]
    assert len(found(desk, "name")) == 10
    assert found(desk, "nobody here") == []
    assert "Nobody has “nobody here”" in words(desk.get("/learners", find="nobody here", htmx=True))


def test_a_search_takes_its_signs_literally_and_ignores_case_and_accents(desk: Desk) -> None:
    put(desk, 3, name="José 100% d'Ávila_x")
    for needle in ("jose", "JOSÉ", "100%", "d'a", "a_x", "avila"):
        assert found(desk, needle) == ["José 100% d'Ávila_x"], needle
    assert found(desk, "%") == ["José 100% d'Ávila_x"]
    assert found(desk, "1%") == []
    assert found(desk, "\\") == []
    assert found(desk, "x" * 5000) == []


def test_those_who_do_not_get_the_message_are_found_and_marked(desk: Desk) -> None:
    desk.filter(desk.rule("quiz", "less", "50"))
    page = desk.get("/learners", find="name 7", htmx=True)
    assert "Name 7 s07 does not get it" in words(page)
    assert "does not get it" not in words(desk.get("/learners", find="name 1", htmx=True)).split("Name 10")[0]
    link = re.search(r'<li><a href="([^"]*)"', page.body)
    assert link
    assert heading(desk.browser.get(unescape(link[1]))) == "As Name 7 sees it"


def test_without_the_script_a_search_shows_the_page(desk: Desk) -> None:
    page = desk.get(find="name 7")
    assert 'value="name 7"' in page.body
    listed = page.body.partition('<ul class="found">')[2].partition("</ul>")[0]
    assert re.findall(r"<li><a [^>]*>([^<]*)</a>", listed) == ["Name 7"]


def test_a_learner_is_called_by_first_and_last_name(client: Browser, session: Session, workflow: Workflow) -> None:
    kinds = {"id": "integer", "Last name": "text", "First name": "text"}
    columns = make_table(session, workflow, kinds, [(7, "Ruiz", "Ana"), (8, None, "Bo"), (9, " ", None)])
    desk = Desk(client, session, make_action(session, workflow), columns)
    assert [heading(desk.get(row=row)) for row in (1, 2, 3)] == [
        "As Ana Ruiz sees it", "As Bo sees it", "As 9 sees it"
    ]  # fmt: skip
    assert found(desk, "8") == ["Bo"], "a key that is a number is searched too"


# -- what it says

BAD = ["<b>x</b>", "{{ quiz }}", "{% if x %}", '"><script>alert(1)</script>', "a & b", "</body>", "\\", "&lt;"]


@pytest.mark.parametrize("value", BAD)
def test_values_are_text_whatever_they_contain(desk: Desk, value: str) -> None:
    desk.add("same", desk.rule("name", "equal", value))
    desk.save(
        '<p>{{ name }}</p><a href="https://uni.example/?q={{ name }}">'
        '<img src="https://uni.example/x" alt="{{ name }}"></a>'
    )
    put(desk, 1, name=value, sid=value)
    mail = desk.mail(1)
    assert unescape(re.findall(r"<p>(.*?)</p>", mail)[0]) == value
    assert re.findall(r"<(\w+)", mail) == ["p", "a", "img"]
    page = desk.get(row=1)
    assert heading(page) == f"As {value} sees it"
    assert "<script>alert" not in page.body
    assert "<b>x</b>" not in page.body
    assert "<script>alert" not in desk.get("/learners", find=value, htmx=True).body
    assert found(desk, value) == [value]


@pytest.mark.parametrize("address", ["javascript:alert(1)", " JAVASCRIPT:x", "data:text/html,x", "//evil.example", "x"])
def test_an_address_in_a_cell_that_leads_elsewhere_is_left_out(desk: Desk, address: str) -> None:
    desk.save('<a href="{{ home }}">home</a><img src="{{ home }}">')
    put(desk, 1, home=address)
    assert desk.mail(1) == '<a href="">home</a><img src="">'
    assert 'href="https://uni.example/"' in desk.mail(2)


def test_the_document_can_run_nothing(desk: Desk) -> None:
    desk.save("<p>Hello</p>")
    page = desk.get("/preview", row=1)
    assert page.headers["Content-Type"].startswith("text/html")
    rules = dict(rule.strip().partition(" ")[::2] for rule in page.headers["Content-Security-Policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert "script-src" not in rules
    assert rules["form-action"] == "'none'"
    assert rules["frame-ancestors"] == "'self'"
    assert "sandbox" in rules
    assert "allow-scripts" not in rules["sandbox"]
    assert "allow-same-origin" not in rules["sandbox"]


def test_a_version_that_would_be_too_long_says_so(desk: Desk) -> None:
    desk.save("{{ name }}" * 20)
    put(desk, 1, name="x" * 60_000)
    assert "longer than 1,000,000 characters" in desk.mail(1)
    assert desk.mail(2) == "Name 2" * 20
    assert desk.get(row=1).status == 200


def test_dates_are_of_the_workflows_time_zone(client: Browser, session: Session, user: User) -> None:
    workflow = workflows.create(session, user.id, "Elsewhere", time_zone="Asia/Tokyo")
    columns = make_table(session, workflow, {"id": "text", "due": "datetime"}, [("a", "2026-03-01T20:30:00+00:00")])
    desk = Desk(client, session, make_action(session, workflow, ""), columns)
    desk.save('{{ due | date: "dd/mm hh:mm" }}')
    assert desk.mail(1) == "02/03 05:30"


def test_numbers_and_times_are_shown_as_the_workflow_says_unless_the_text_does(
    client: Browser, session: Session, workflow: Workflow
) -> None:
    columns = make_table(
        session, workflow, {"id": "text", "n": "integer", "mark": "double", "due": "datetime"},
        [("a", 7, 2.345, "2026-03-01T20:30:00+00:00")],
    )  # fmt: skip
    desk = Desk(client, session, make_action(session, workflow, ""), columns)
    desk.save('{{ n }} {{ mark }} {{ due }} {{ mark | round: 2 }} {{ due | date: "yyyy" }}')
    assert desk.mail(1) == "7 2.345 01 Mar 2026 20:30 2.35 2026"
    here = f"/workflows/{workflow.id}/settings"
    typed = {"formats": "1", "decimals": "1", "date": "dd/mm hh:mm", "time_zone": "Asia/Tokyo"}
    for field, bad, hint in (
        ("decimals", "many", "Choose one"), ("date", "qq", "no part “q”"), ("date", "d" * 101, "at most 100"),
        ("time_zone", "Mars/Base", "Choose one"),
    ):  # fmt: skip
        page = client.post(here, {**typed, field: bad})
        assert page.status == 422
        assert hint in page.body
        assert 'value="dd/mm hh:mm"' in page.body or (field == "date" and f'value="{bad}"' in page.body)
    seen = re.search(r'name="formats_seen" value="([^"]+)"', client.get(here).body)
    assert seen
    assert client.post(here, typed).status == 303
    assert desk.mail(1) == "7 2.3 02/03 05:30 2.35 2026"
    assert client.post(here, {**typed, "decimals": "3", "formats_seen": seen[1]}).status == 409
    assert client.post(here, {**typed, "decimals": "", "date": ""}).status == 303
    assert desk.mail(1) == "7 2.345 02 Mar 2026 05:30 2.35 2026"


def test_a_viewer_may_look_at_every_version(desk: Desk, session: Session, workflow: Workflow) -> None:
    desk.save("<p>{{ name }}</p>")
    viewer = desk_of(desk, member(session, workflow, WorkflowRole.VIEWER))
    assert heading(viewer.get(row=4)) == "As Name 4 sees it"
    assert viewer.mail(4) == "<p>Name 4</p>"
    assert found(viewer, "name 7") == ["Name 7"]
    assert walk(viewer, viewer.get(), "next", 1) == ["Name 2"]
    for page in (viewer.get(row=4), viewer.get("/learner", row=4, htmx=True)):
        assert "Send this one to me" not in page.body
    assert viewer.post("/test", {"row": "4"}).status == 403


# -- the mail to oneself


@pytest.fixture
def posted(cloud: Cloud, ses: FakeSes) -> Desk:
    """The same class in a database where mails really leave."""
    with database.scope() as session:
        user = make_user(session)
        workflow = workflows.create(session, user.id, "Biology 101")
        columns = make_table(session, workflow, KINDS, LEARNERS)
        action = make_action(session, workflow, "")
        make_condition(session, action, "low", {"all": [{"column": columns["quiz"], "op": "less", "value": "50"}]})
        browser = signed_in(session, user)
    desk = Desk(browser, session, action, columns)
    source = (
        '<p>Dear {{ name | default: "you" }},</p><p>{% if low %}Try <b>harder</b>{% else %}Well done{% endif %}.</p>'
    )
    assert desk.post("/text", {"text": source, "version": "1"}).status == 303
    return desk


def mails(cloud: Cloud, ses: FakeSes) -> list[EmailMessage]:
    cloud.run(hours=1 / 30)
    raw = [request["Content"]["Raw"]["Data"] for request in ses.accepted]
    return [message_from_bytes(data, _class=EmailMessage, policy=modern) for data in raw]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("row", "name", "said"), [(3, "Name 3", "Try harder"), (9, "Name 9", "Well done"), (12, "s12", "you")]
)
def test_a_test_is_the_preview_as_a_mail(
    posted: Desk, cloud: Cloud, ses: FakeSes, row: int, name: str, said: str
) -> None:
    page = posted.post("/test", {"row": str(row)})
    assert f"On its way to ines@uni.example: the message as {name} would get it." in posted.follow(page)
    assert heading(posted.browser.follow(page)) == f"As {name} sees it"
    (mail,) = mails(cloud, ses)
    assert mail["To"] == "ines@uni.example"
    assert mail["Subject"] == "[Test] Reminder"
    html, plain = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html
    assert plain
    assert posted.mail(row) in html.get_content()
    assert said in plain.get_content()
    assert [request["Destination"] for request in ses.accepted] == [{"ToAddresses": ["ines@uni.example"]}]


def test_a_test_has_the_subject_of_the_last_run(posted: Desk, cloud: Cloud, ses: FakeSes) -> None:
    with database.scope() as session:
        session.execute(
            text("UPDATE ontask.action SET send_defaults = jsonb_build_object('subject', CAST(:subject AS text))"),
            {"subject": f"For {{{{ @c{posted.columns['name']} }}}}"},
        )
    posted.post("/test", {"row": "3"})
    assert [mail["Subject"] for mail in mails(cloud, ses)] == ["[Test] For Name 3"]


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("{{ nothing }} {% if %} {{{", "[Test] { { nothing }} { % if %} { { {"),
        ("x" * 1024, "[Test] " + "x" * 991),
        ("Übung “1” 😀", "[Test] Übung “1” 😀"),
    ],
)
def test_any_name_of_a_message_will_do_as_subject(
    posted: Desk, cloud: Cloud, ses: FakeSes, name: str, subject: str
) -> None:
    assert posted.post("/settings", {"name": name}).status == 303
    assert "On its way" in posted.follow(posted.post("/test", {"row": "3"}))
    (mail,) = mails(cloud, ses)
    assert mail["Subject"] == subject


def test_an_empty_message_or_a_learner_who_is_gone_is_not_sent(posted: Desk, cloud: Cloud, ses: FakeSes) -> None:
    for fields in ({}, {"row": "999999"}, {"row": "x"}):
        assert "not in the table any more" in posted.follow(posted.post("/test", fields))
    assert posted.post("/text", {"text": " ", "version": "2"}).status == 303
    assert "The message is empty" in posted.follow(posted.post("/test", {"row": "3"}))
    assert mails(cloud, ses) == []


# -- cost


def test_the_page_of_a_large_class_takes_few_statements(
    client: Browser, session: Session, workflow: Workflow, count_statements: Callable[[], int]
) -> None:
    rows = [(f"s{n:03}", f"s{n}@uni.example", f"Name {n}", n % 101, n % 2 == 0, None) for n in range(500)]
    columns = make_table(session, workflow, KINDS, rows)
    desk = Desk(client, session, make_action(session, workflow, ""), columns)
    desk.filter(desk.rule("passed", "equal", "true"))
    for number in range(10):
        desk.add(f"c {number}", desk.rule("quiz", "greater", str(number * 10)))
    desk.save("".join(f"<p>{{% if c {number} %}}{{{{ name }}}}{{% endif %}}</p>" for number in range(10)))
    for part in ("", "/learner", "/learners?find=name", "/preview?row=7", "/conditions", "/filter"):
        count_statements()
        assert desk.get(part).status == 200
        assert 2 < count_statements() <= 10, part
