"""The page of JSON for other systems: what is JSON for everybody, where it goes, the token that nobody sees again."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.actions.jsons import checking
from chalicelib.actions.objects import NotJson, read
from chalicelib.settings import settings
from tests.actions.conftest import Desk, words

TEXT = '{"id": "{{ sid }}", "name": "{{ name }}", "quiz": {{ quiz }}, "passed": {{ passed }}}'
TARGET = {"url": "https://system.example/marks", "method": "PUT", "headers": "X-Course: Bio", "token": "s3cret"}


@pytest.fixture
def feed(desk: Desk) -> Desk:
    """The page of personal JSON for the twelve learners."""
    desk.action.kind, desk.action.text = "personalised_json", ""
    desk.session.flush()
    return desk


def seal(desk: Desk) -> str:
    found = re.search(r'name="seen" value="([^"]*)"', desk.get().body)
    assert found
    return found[1]


def save_target(desk: Desk, **changes: str) -> Any:
    return desk.post("/target", {"do": "save", "seen": seal(desk), **TARGET, **changes})


def test_json_is_stored_when_it_is_json_for_everybody(feed: Desk) -> None:
    assert feed.save(TEXT) == (200, {"version": 2, "removed": []})
    assert feed.text() == TEXT
    shown = words(feed.get("/preview", row="1"))
    assert '"quiz": 0, "passed": false' in shown
    assert '"quiz": null' in words(feed.get("/preview", row="12"))
    assert f'href="{feed.path}/send"' in feed.browser.get(feed.path.rpartition("/")[0]).body


def test_less_than_signs_and_quotes_are_no_html(feed: Desk) -> None:
    source = '{"a": "<b>1 < 2 & 3</b>", "q": "{{ name | default: "none" }}"}'
    assert feed.save(source)[0] == 200
    assert feed.text() == source


def test_the_first_three_learners_for_whom_it_is_no_json_are_named_with_the_place(feed: Desk) -> None:
    status, answer = feed.save('{"quiz": {{ quiz | default: "none }" }},\n "late": {{ name }} {{ name }}}')
    assert status == 422
    lines = answer["problems"][0]["message"].split("\n")
    assert len(lines) == 3
    assert lines[0].startswith('Name 1: Line 2, column 19, before “"Name 1"}”: a comma is missing')
    assert feed.stored().text == ""
    assert "This is your draft" in words(feed.get())


def test_how_many_were_checked_is_told_when_all_would_take_too_long(
    feed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "BATCH", 5)
    monkeypatch.setattr(checking, "PATIENCE", timedelta(0))
    status, answer = feed.save(TEXT)
    assert (status, answer["version"]) == (200, 2)
    assert answer["note"].startswith("Checked for the first 5 of 12 learners")
    page = feed.browser.follow(feed.post("/text", {"text": TEXT + " ", "version": "2"}))
    assert "Saved. Checked for the first 5 of 12 learners" in words(page)
    monkeypatch.setattr(checking, "PATIENCE", timedelta(minutes=1))
    assert feed.save(TEXT + "\n") == (200, {"version": 4, "removed": []})


@pytest.mark.parametrize("text", ["{", '{"a": NaN}', '{"a": 1,}', "{'a': 1}", '{"a": "\n"}', "", "[" * 100_000])
def test_what_is_no_json_says_where(text: str) -> None:
    with pytest.raises(NotJson, match=r"Line \d+, column \d+"):
        read(text)


def test_a_bad_tag_is_told_at_its_place(feed: Desk) -> None:
    status, answer = feed.save('{"a": {{ quizz }}}')
    assert (status, answer["problems"][0]["column"], answer["problems"][0]["suggestions"]) == (422, 10, ["quiz"])


def test_address_headers_and_token_are_set_and_the_token_is_never_shown(feed: Desk) -> None:
    page = save_target(feed)
    assert page.status == 303
    shown = feed.get().body
    assert "https://system.example/marks" in shown
    assert "s3cret" not in shown
    assert "Type another to replace it" in shown
    assert feed.stored().target == {
        "url": TARGET["url"], "method": "PUT", "headers": {"X-Course": "Bio"}, "is_form": False,
    }  # fmt: skip
    feed.post("/target", {"do": "forget"})
    assert "Not set." in words(feed.get())


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("url", "", "Type the address"), ("url", "ftp://system.example/", "must begin with"),
        ("url", "https://u:p@system.example/", "name and password"), ("url", "https://", "host is missing"),
        ("url", "https://system.example/" + "a" * 2048, "at most 2,048"), ("url", "https://a b.example/", "no blanks"),
        ("url", "https://system.example:x/", "not an address"), ("method", "DELETE", "POST or PUT"),
        ("headers", "Authorization: x", "set by the product"), ("headers", "no colon", "colon is missing"),
        ("headers", "a b: c", "name of a header"), ("token", "with blank", "without blanks"),
    ],
)  # fmt: skip
def test_a_bad_field_is_told_at_the_field_and_nothing_typed_is_lost(
    feed: Desk, field: str, typed: str, said: str
) -> None:
    page = save_target(feed, **{field: typed})
    assert page.status == 422
    assert said in words(page)
    if field != "token":
        assert typed in page.body.replace("&#39;", "'") or field == "method"
    assert feed.stored().target is None


def test_who_saves_a_target_that_was_changed_meanwhile_is_told(feed: Desk) -> None:
    old = seal(feed)
    save_target(feed)
    page = save_target(feed, seen=old, url="https://other.example/")
    assert page.status == 422 or page.status == 409
    assert "https://other.example/" in page.body
    assert feed.stored().target["url"] == TARGET["url"]


def test_a_copy_goes_to_the_same_place_and_has_no_token(feed: Desk) -> None:
    feed.save(TEXT)
    save_target(feed)
    shown = feed.browser.follow(feed.post("/copy"))
    assert "https://system.example/marks" in shown.body
    assert "Not set." in words(shown)


def test_a_test_object_can_be_sent_only_with_address_and_token(feed: Desk) -> None:
    feed.save(TEXT)
    assert "no address to send to" in feed.follow(feed.post("/target", {"do": "try", "row": "1"}))
    save_target(feed)
    shown = feed.follow(feed.post("/target", {"do": "try", "row": "1"}))
    assert "Waiting for the answer" in shown


def test_the_page_says_that_nothing_is_sent_in_safe_mode(feed: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFE_MODE_ADDRESS", "safe@uni.example")
    settings.cache_clear()
    try:
        assert "objects are kept with the run, and nothing is sent" in words(feed.get())
    finally:
        settings.cache_clear()


def test_a_report_has_tables_and_no_values_of_single_learners(feed: Desk) -> None:
    feed.action.kind = "json_report"
    feed.session.flush()
    assert feed.save('{"marks": {% table "sid", "quiz" max: 2 %}}')[0] == 200
    assert '"quiz": [ 0, 10 ]' in words(feed.get("/preview"))
    assert feed.save('{"a": {{ quiz }}}')[0] == 422


def test_an_object_is_not_offered_by_mail_or_link(feed: Desk) -> None:
    feed.save(TEXT)
    shown = feed.get(row="1")
    assert "The object for Name 1" in words(shown)
    assert "Send this one to me" not in shown.body
    assert "/link" not in shown.body
    assert feed.post("/test", {"row": "1"}).status == 404
