"""All learners' versions in one ZIP: names and contents of the same learner, Moodle's names, what is refused."""

from __future__ import annotations

import html
import io
import re
import unicodedata
import zipfile
from typing import IO, Any

import hypothesis
import pytest
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader
from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import signing
from chalicelib.actions.models import Action
from chalicelib.delivery import sources
from chalicelib.delivery.archives import names
from chalicelib.delivery.pdf import letters
from chalicelib.delivery.pdf.writer import Writer
from chalicelib.schedules import jobs
from chalicelib.schedules.models import Job
from chalicelib.workflows.models import Workflow
from tests.conftest import Browser, Clock
from tests.factories import make_action, make_table

ROWS = [
    ["s1", "Participant 11", "Ada", 70], ["s2", "Participant 12", "Bo", 20], ["s3", "Participant 13", "Bo", 90],
    ["s4", "Participant 14", "C/y: \"x\"", 95],
]  # fmt: skip


@pytest.fixture
def columns(session: Session, workflow: Workflow) -> dict[str, int]:
    return make_table(session, workflow, {"sid": "text", "Identifier": "text", "name": "text", "mark": "integer"}, ROWS)


@pytest.fixture
def action(session: Session, workflow: Workflow, columns: dict[str, int]) -> Action:
    return make_action(session, workflow, f"<p>For {{{{ @c{columns['sid']} }}}}</p>")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    kept: dict[str, bytes] = {}

    def put(key: str, body: IO[bytes], content_type: str) -> None:
        kept[key] = body.read()

    monkeypatch.setattr("chalicelib.aws.files.put", put)
    monkeypatch.setattr("chalicelib.aws.files.download_link", lambda key, name: f"https://files.example/{key}#{name}")
    return kept


def here(action: Action) -> str:
    return f"/workflows/{action.workflow_id}/actions/{action.id}/zip"


def made(client: Browser, session: Session, action: Action, bucket: dict[str, bytes], **form: Any) -> dict[str, str]:
    """Go all the way; return the files by name."""
    answer = client.post(here(action), {"suffix": "", **form})
    assert answer.status == 303, answer.body
    job_id = int(answer.location.rpartition("/")[2])
    jobs.run(job_id)
    session.expire_all()
    key = session.get_one(Job, job_id).result["key"]
    assert client.get(answer.location, file="1").location.startswith(f"https://files.example/{key}#OnTask_zip_")
    with zipfile.ZipFile(io.BytesIO(bucket[key])) as archive:
        return {name: shown(name, archive.read(name)) for name in archive.namelist()}


def shown(name: str, body: bytes) -> str:
    """The HTML of a page, the words of a PDF."""
    if name.endswith(".html"):
        return body.decode()
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(body)).pages)


def test_name_and_contents_are_of_the_same_learner_also_with_a_filter(
    client: Browser, session: Session, action: Action, columns: dict[str, int], bucket: dict[str, bytes]
) -> None:
    action.filter = {"all": [{"column": columns["mark"], "op": "greater", "value": "50"}]}
    session.flush()
    files = made(client, session, action, bucket, first=columns["sid"], second=columns["Identifier"], skip_rows=[1])
    assert {name: re.findall(r"For (s\d)", page)[0] for name, page in files.items()} == {
        "s3_Participant 13_feedback.html": "s3", "s4_Participant 14_feedback.html": "s4",
    }  # fmt: skip
    assert files["s3_Participant 13_feedback.html"].startswith("<!doctype html>")


def test_names_that_can_not_be_are_shown_before_the_files_are_made(
    client: Browser, session: Session, action: Action, columns: dict[str, int], bucket: dict[str, bytes]
) -> None:
    form = {"first": str(columns["name"]), "suffix": "note.html"}
    page = client.post(here(action), form)
    assert page.status == 422
    assert "Some files get other names" in page.body
    assert "C-y- -x-_note.html" in page.body
    assert "Bo_note (2).html" in page.body
    files = made(client, session, action, bucket, **form, seen=seen(page.body))
    assert list(files) == ["Ada_note.html", "Bo_note.html", "Bo_note (2).html", "C-y- -x-_note.html"]


def test_a_pdf_of_the_same_learner_stands_beside_each_page(
    client: Browser, session: Session, action: Action, columns: dict[str, int], bucket: dict[str, bytes]
) -> None:
    session.execute(text(f"UPDATE learners.w{action.workflow_id} SET c{columns['name']} = 'Ελένη ก' WHERE row_id = 1"))
    action.text += f"<p>Dear {{{{ @c{columns['name']} }}}}</p><table><tr><th>A</th></tr><tr><td>1</td></tr></table>"
    session.flush()
    files = made(client, session, action, bucket, first=columns["sid"], with_pdf="1", skip_rows=[2, 4])
    assert list(files) == ["s1_feedback.html", "s1_feedback.pdf", "s3_feedback.html", "s3_feedback.pdf"]
    assert "For s1" in files["s1_feedback.pdf"]
    assert "Dear Ελένη □" in files["s1_feedback.pdf"]
    assert "Dear Bo" in files["s3_feedback.pdf"]
    told = client.get(f"{here(action)}/{session.query(Job).one().id}").body
    assert "1 PDF with letters for which there is no font here" in told
    assert "s1_feedback.pdf: ก" in told


def test_no_more_pdfs_are_made_than_a_job_can(
    client: Browser, action: Action, columns: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.delivery.archives.jobs.MAX_PDFS", 3)
    page = client.post(here(action), {"first": str(columns["sid"]), "suffix": "x", "with_pdf": "1"})
    assert page.status == 422
    assert "At most 3 PDFs are made at once; these would be 4." in page.body
    assert re.search(r'name="with_pdf" value="1" checked', page.body)
    assert 'value="x"' in page.body


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<p>a &lt;b&gt; &amp; <b>c<i>d</b></i></p>", ["a <b> & cd"]),
        ("<ol start=3><li>x<li>y</ol>", ["3. x", "4. y"]),
        ("<table><tr><td colspan=2>w<td rowspan=9>t<tr><td>1<td>2</table>", ["w", "t", "1", "2"]),
        ("<div>a<div>b</div>c<br>d</div>", ["a", "b", "c", "d"]), ("<pre>x  y\nz</pre>", ["x  y", "z"]),
        ('<p><img src="https://x.example/y.png" alt="A chart"></p>', ["[A chart]"]), ("", []),
        ("<td>lost</td></table></p>", ["lost"]),
        ('<p style="color:red;text-align:center">r <font color="javascript">s</font></p>', ["r s"]),
    ],
)  # fmt: skip
def test_html_becomes_pages(written: str, read: list[str]) -> None:
    found = shown("x.pdf", Writer().write("Title", written).body)
    lines = [" ".join(line.split()) for line in found.replace("\u00a0", " ").splitlines() if line.strip()]
    assert sorted(lines) == sorted(" ".join(line.split()) for line in read)


def test_every_letter_has_a_font_or_is_told() -> None:
    assert letters.marked("Ада & Ελένη") == "Ада &amp; Ελένη"
    shown = '<font name="STSong-Light">小明</font> <font name="HYSMyeongJo-Medium">안</font>'
    assert letters.marked("小明 안") == shown
    assert letters.marked("a שלום 12") == "a םולש 12"
    assert letters.marked("<علي>") == '&lt;<font name="DejaVuSans-Upright">\ufef2\ufee0\ufecb</font>&gt;'
    assert [letters.is_from_the_right(words) for words in ("1. علي", "Ali علي", "12")] == [True, False, False]
    assert letters.missing("aЖ小ก\u200bข") == {"ก", "ข"}
    assert letters.marked("ก!") == "□!"


def test_pictures_that_are_kept_here_are_on_the_pages_and_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    body = io.BytesIO()
    Image.new("RGBA", (3000, 40), (255, 0, 0, 100)).save(body, "PNG")
    asked = []
    monkeypatch.setattr("chalicelib.aws.files.read", lambda key: asked.append(key) or body.getvalue())
    name = f"7-abc.{signing.digest('image', '7-abc.png', 20)}.png"
    html = f'<table><tr><td><img src="https://o.example/images/{name}"></td><td>x</td></tr></table>'
    writer = Writer()
    for _ in range(2):
        (picture,) = PdfReader(io.BytesIO(writer.write("Title", html).body)).pages[0].images
    assert picture.image is not None
    assert picture.image.size == (1000, 13)
    assert asked == ["images/7-abc.png"]


def seen(body: str) -> str:
    """What a form says of the names that it shows."""
    found = re.search(r'name="seen" value="([^"]*)"', body)
    assert found is not None
    return html.unescape(found[1])


def test_the_link_to_the_files_works_for_a_day(
    client: Browser, session: Session, action: Action, columns: dict[str, int], bucket: dict[str, bytes],
    frozen_clock: Clock,
) -> None:  # fmt: skip
    made(client, session, action, bucket, first=columns["sid"])
    waiting = f"{here(action)}/{session.query(Job).one().id}"
    frozen_clock.advance(hours=24)
    assert "were kept until" in client.get(waiting).body
    assert client.get(waiting, file="1").status == 404


def test_moodle_finds_its_participants(
    client: Browser, session: Session, action: Action, columns: dict[str, int], bucket: dict[str, bytes]
) -> None:
    form = {"first": columns["Identifier"], "second": columns["name"], "for_moodle": "1"}
    look = client.post(here(action), {**form, "do": "look"})
    assert look.status == 200
    files = made(client, session, action, bucket, **form, seen=seen(look.body))
    assert "Ada_11_assignsubmission_file_feedback.html" in files
    assert "For s1" in files["Ada_11_assignsubmission_file_feedback.html"]


@pytest.mark.parametrize(
    ("form", "field", "hint"),
    [
        ({}, "first", "Choose the column"),
        ({"first": "sid", "second": "sid"}, "second", "the same column"),
        ({"first": "Identifier", "for_moodle": "1"}, "second", "needs the full name"),
        ({"first": "sid", "second": "name", "for_moodle": "1"}, "first", "such as “Participant 123456”"),
        ({"first": "sid", "suffix": "x" * 41}, "suffix", "at most 40"),
    ],
)
def test_what_can_not_be_is_told_at_its_field_and_what_was_chosen_stays(
    client: Browser, action: Action, columns: dict[str, int], form: dict[str, str], field: str, hint: str
) -> None:
    sent = {name: str(columns.get(value, value)) for name, value in form.items()}
    page = client.post(here(action), sent)
    assert page.status == 422
    found = re.search(rf'id="p-{field}"[^>]*>([^<]*)', page.body)
    assert found is not None
    assert hint in found[1].replace("&#39;", "'")
    if "first" in sent:
        assert f'<option value="{sent["first"]}" selected>' in page.body


def test_nobody_and_nothing_make_no_archive(
    client: Browser, session: Session, action: Action, columns: dict[str, int]
) -> None:
    page = client.post(here(action), {"first": str(columns["sid"]), "skip_rows": ["1", "2", "3", "4"]})
    assert "Nobody is chosen." in page.body
    action.text = ""
    session.flush()
    assert "There is no text yet." in client.post(here(action), {"first": str(columns["sid"])}).body


PARTS = st.one_of(
    st.none(),
    st.sampled_from(["A", "a", "A (2)", "a/", "con.x", ".", "Ä", "ä", "A\u0308", "x" * 90, "長" * 90, "row 1"]),
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=80),
)  # fmt: skip


@hypothesis.given(values=st.lists(st.tuples(PARTS, PARTS), min_size=1, max_size=12), suffix=st.sampled_from(["", "f"]))
@hypothesis.settings(
    max_examples=40, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_names_are_safe_on_every_system_and_each_is_there_once(
    session: Session, workflow: Workflow, action: Action, columns: dict[str, int],
    values: list[tuple[str | None, str | None]], suffix: str,
) -> None:  # fmt: skip
    table = f"learners.w{workflow.id}"
    session.execute(text(f"DELETE FROM {table}"))
    first, second = (f"c{columns[name]}" for name in ("Identifier", "name"))
    for number, (one, other) in enumerate(values):
        row = {"sid": f"s{number}", "one": one, "other": other}
        query = f"INSERT INTO {table} (c{columns['sid']}, {first}, {second}) VALUES (:sid, :one, :other)"
        session.execute(text(query), row)
    wish = names.Wish(first=columns["Identifier"], second=columns["name"], suffix=suffix)
    found = sources.read(session, workflow.id, action.id)
    made = [piece.name for piece in names.pieces(session, names.files(workflow, action, found, wish))]
    assert len({unicodedata.normalize("NFC", name).lower() for name in made}) == len(values)
    for name in made:
        assert len(name.encode()) <= 255
        assert not re.search(r'[<>:"/\\|?*\x00-\x1f\x7f]', name)
        assert not re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)\.", name)
        assert name.endswith(".html")
