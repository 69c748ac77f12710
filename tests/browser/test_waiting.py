"""The page that waits for the database and repeats what somebody asked for, in a real browser."""

from __future__ import annotations

import re

from local import postgres
from tests.browser.conftest import Visit


def forgive(visit: Visit) -> None:
    """Forget the lines that Chromium writes for answers of 503, which are meant here."""
    visit.problems[:] = [problem for problem in visit.problems if "status of 503" not in problem]


def test_a_form_sent_while_the_database_sleeps_is_done_once_when_it_wakes_up(visit: Visit) -> None:
    visit.enter()
    visit.go("/workflows")
    folder = visit.product.data / "postgres"
    port = postgres.running_port(folder)
    assert port
    visit.page.fill("input[name=name]", "Biology at dawn")
    postgres.stop(folder)
    try:
        visit.page.get_by_role("button", name="Create the workflow").click()
        waiting = visit.page.get_by_role("button", name="Send it again now")
        waiting.wait_for()
        forgive(visit)
        visit.check()
    finally:
        postgres.start(folder, durable=True, port=port)
    visit.page.wait_for_url(re.compile(r"/workflows/\d+$"))
    assert visit.page.get_by_role("heading", level=1).inner_text() == "Biology at dawn"
    visit.go("/workflows")
    assert visit.page.get_by_role("link", name="Biology at dawn").count() == 1
    forgive(visit)


def test_a_page_opened_while_the_database_sleeps_opens_by_itself(visit: Visit) -> None:
    folder = visit.product.data / "postgres"
    port = postgres.running_port(folder)
    assert port
    postgres.stop(folder)
    try:
        visit.go("/sign-in")
        visit.page.get_by_role("button", name="Try again now").wait_for()
    finally:
        postgres.start(folder, durable=True, port=port)
    visit.page.wait_for_selector("input[name=password]")
    forgive(visit)
