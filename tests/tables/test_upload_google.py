"""Google Sheets by their link, against a server that answers as Google does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chalicelib import errors
from chalicelib.settings import settings
from chalicelib.tables.uploads import google
from tests.tables.conftest import Course, fields, problems

PUBLIC, PRIVATE, GONE, LARGE, ROUND, BROKEN, INSIDE = (letter * 20 for letter in "abcdefg")
LINK = "https://docs.google.com/spreadsheets/d/{}/edit?gid=7#gid=7"


class Google(BaseHTTPRequestHandler):
    """Knows one public sheet, which it leads to by way of a second address, and several ways to fail."""

    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        host = f"http://{self.headers['Host']}"
        if self.path == f"/spreadsheets/d/{PUBLIC}/export?format=csv&gid=7":
            self._answer(307, "text/html", b"<html>moved</html>", Location=f"{host}/files/{PUBLIC}")
        elif self.path in {f"/files/{PUBLIC}", f"/spreadsheets/d/{PUBLIC}/export?format=csv"}:
            name = "attachment; filename=\"Class-S1.csv\"; filename*=UTF-8''Class%20%C3%BC%20-%20S1.csv"
            self._answer(200, "text/csv", "sid,name\r\n1,Zoë\r\n2,Ben".encode(), **{"Content-Disposition": name})
        elif PRIVATE in self.path:
            sign_in = "https://accounts.google.com/ServiceLogin?continue=x"
            self._answer(302, "text/html", b"<html>sign in</html>", Location=sign_in)
        elif LARGE in self.path:
            self._answer(200, "text/csv", b"sid\n" + b"1\n" * 700_000)
        elif ROUND in self.path:
            self._answer(302, "text/html", b"", Location=f"{host}{self.path}")
        elif INSIDE in self.path:
            self._answer(302, "text/html", b"", Location="http://169.254.169.254/latest/meta-data")
        elif BROKEN in self.path:
            self._answer(503, "text/html", b"")
        else:
            self._answer(404, "text/html", b"<html>Not found</html>")

    def _answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server in Google's place; the paths it was asked for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Google)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("GOOGLE_SHEETS_URL", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("MAX_UPLOAD_MB", "1")
    settings.cache_clear()
    Google.asked.clear()
    yield Google.asked
    server.shutdown()
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.parametrize(
    ("link", "path"),
    [
        (f"https://docs.google.com/spreadsheets/d/{PUBLIC}/edit", f"d/{PUBLIC}/export?format=csv"),
        (f"https://docs.google.com/spreadsheets/d/{PUBLIC}/edit#gid=7", f"d/{PUBLIC}/export?format=csv&gid=7"),
        (f"https://docs.google.com/spreadsheets/d/{PUBLIC}/edit?gid=7#gid=7", f"d/{PUBLIC}/export?format=csv&gid=7"),
        (f" https://DOCS.google.com/spreadsheets/u/1/d/{PUBLIC}/view ", f"d/{PUBLIC}/export?format=csv"),
        (f"https://docs.google.com/spreadsheets/d/{PUBLIC}", f"d/{PUBLIC}/export?format=csv"),
        (
            f"https://docs.google.com/spreadsheets/d/e/{PUBLIC}/pubhtml?gid=3",
            f"d/e/{PUBLIC}/pub?output=csv&single=true&gid=3",
        ),
    ],
)  # fmt: skip
def test_a_link_from_the_address_bar_leads_to_the_tab_as_csv(link: str, path: str) -> None:
    assert google.path_of(link) == f"/spreadsheets/{path}"


@pytest.mark.parametrize(
    "link",
    [
        "http://docs.google.com/spreadsheets/d/aaaaaaaaaaaaaaaaaaaa/edit",
        "https://docs.google.com/document/d/aaaaaaaaaaaaaa",
        "https://docs.google.com.evil.example/spreadsheets/d/aaaaaaaaaaaaaaaaaaaa", "file:///etc/passwd",
        "https://docs.google.com@10.0.0.1/spreadsheets/d/aaaaaaaaaaaaaaaaaaaa", "https://169.254.169.254/latest",
        "", "a",
        "https://docs.google.com:444/spreadsheets/d/aaaaaaaaaaaaaaaaaaaa", "https://docs.google.com/" + "a" * 2000,
    ],
)  # fmt: skip
def test_what_is_no_sheet_of_googles_is_never_asked_for(course: Course, sheets: list[str], link: str) -> None:
    refused = course.browser.post(f"{course.path}/upload", {"link": link})
    assert refused.status == 422
    assert problems(refused)
    assert not sheets


def test_a_public_sheet_becomes_the_table(course: Course, aws: str, sheets: list[str]) -> None:
    begun = course.browser.post(f"{course.path}/upload", {"link": LINK.format(PUBLIC)})
    assert begun.status == 303
    course.work()
    page = begun.location
    look = course.browser.follow(course.browser.get(page))
    assert "Class ü - S1.csv" in look.body
    course.browser.post(f"{page}/look", fields(look))
    course.browser.post(f"{page}/check")
    course.work()
    assert course.contents() == [{"sid": 1, "name": "Zoë"}, {"sid": 2, "name": "Ben"}]


@pytest.mark.parametrize(
    ("sheet", "reason"),
    [
        (PRIVATE, "Google does not show this sheet to everybody."), (GONE, "Google has no such sheet or tab."),
        (LARGE, "The sheet has more than 1 MB; that is the limit."), (ROUND, "leads from one address to the next"),
        (INSIDE, "Google does not show this sheet to everybody."),
    ],
)  # fmt: skip
def test_a_sheet_that_can_not_be_had_says_why(
    course: Course, aws: str, sheets: list[str], sheet: str, reason: str
) -> None:
    begun = course.browser.post(f"{course.path}/upload", {"link": LINK.format(sheet)})
    course.work()
    assert reason in course.browser.get(begun.location).body


def test_google_out_of_reach_is_tried_again(sheets: list[str]) -> None:
    import io

    with pytest.raises(errors.Unavailable, match="tried again in a minute"):
        google.fetch(LINK.format(BROKEN), io.BytesIO())
