from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from chalicelib.workflows.models import Workflow
from tests.conftest import Browser


def test_every_page_forbids_foreign_and_inline_code(visitor: Browser) -> None:
    policy = visitor.get("/sign-in").headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy


def test_static_files_can_be_kept_for_ever_and_change_their_name(visitor: Browser) -> None:
    body = visitor.get("/sign-in").body
    link = next(part for part in body.split('"') if part.endswith("css/app.css"))
    style = visitor.get(link)
    assert style.status == 200
    assert "immutable" in style.headers["Cache-Control"]
    assert style.headers["Content-Type"] == "text/css; charset=utf-8"


def test_static_files_stay_inside_their_folder(visitor: Browser) -> None:
    for path in ("/static/x/../../settings.py", "/static/x/..%2f..%2fsettings.py", "/static/x/", "/static/x/none.css"):
        assert visitor.get(path).status in {403, 404}


def test_an_error_for_htmx_is_a_toast_and_not_a_page(client: Browser) -> None:
    part = client.get("/workflows/999999", htmx=True)
    assert part.status == 404
    assert part.headers["HX-Retarget"] == "#toasts"
    assert "<html" not in part.body


@pytest.mark.parametrize("as_part", [True, False])
def test_our_own_mistakes_are_said_with_a_number_to_report(
    client: Browser, session: Session, workflow: Workflow, as_part: bool
) -> None:
    # A table that is gone behind our back: nothing a person could do.
    workflow.row_count = 3
    session.flush()
    answer = client.get(f"/workflows/{workflow.id}/table", htmx=as_part)
    assert answer.status == 500
    assert "This is our fault, not yours. Nothing was changed" in answer.body
    assert ("<html" in answer.body) == (not as_part)
    assert answer.headers.get("HX-Retarget") == ("#toasts" if as_part else None)
    assert client.get("/workflows").status == 200


def test_health_is_told_without_touching_the_database(visitor: Browser, count_statements) -> None:  # type: ignore[no-untyped-def]
    assert visitor.get("/healthz").status == 200
    assert count_statements() == 0
    assert visitor.get("/healthz", deep=1).status == 200
    assert count_statements() == 1


def test_links_carry_the_prefix_of_the_public_address(visitor: Browser, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    from chalicelib.settings import settings

    monkeypatch.setenv("BASE_URL", "https://abc.execute-api.example/api")
    settings.cache_clear()
    try:
        page = visitor.get("/sign-in")
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert 'action="/api/sign-in"' in page.body
    assert "/api/static/" in page.body
    assert any("Secure" in line and "Path=/api/" in line for line in page.cookies)
