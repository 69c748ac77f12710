"""The way from “Send” to the results in a real browser: by keyboard, on a phone, with a reload on the way."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from chalicelib import database
from chalicelib.workflows.models import Workflow
from local import postgres
from tests.browser.conftest import PHONE, Visit
from tests.factories import make_action, make_table

ROWS = [
    ("s1", "ada@uni.example", "Ada"), ("s2", "bo@uni.example", "Bo"), ("s3", "bo@uni.example", "Bo"),
    ("s4", "cy@uni.example", "Cy"), ("s5", "nowhere", "Di"),
]  # fmt: skip


@pytest.fixture
def message(visit: Visit) -> str:
    """A message to five learners; the path of its send page."""
    visit.sign_in("sender@uni.example")
    visit.page.fill("input[name=name]", "Biology 101")
    visit.page.get_by_role("button", name="Create the workflow").click()
    visit.page.wait_for_url(re.compile(r"/workflows/\d+$"))
    workflow_id = int(visit.page.url.rpartition("/")[2])
    engine = database.make(f"{postgres.start(visit.product.data / 'postgres', durable=True)}/ontask", local=True)
    with Session(engine) as session:
        workflow = session.get_one(Workflow, workflow_id)
        columns = make_table(session, workflow, {"key": "text", "email": "text", "name": "text"}, ROWS)
        action_id = make_action(session, workflow, f"<p>Dear {{{{ @c{columns['name']} }}}}</p>", "Hello").id
        session.commit()
    engine.dispose()
    return f"/workflows/{workflow_id}/actions/{action_id}/send"


def test_a_message_is_prepared_in_two_steps_and_sent_on_a_phone(visit: Visit, message: str) -> None:
    page = visit.page
    page.set_viewport_size(PHONE)
    visit.go(message)
    page.get_by_label("Subject").focus()
    page.keyboard.type("For {{ name }}")
    expect(page.locator("#receipt")).to_contain_text("For Ada")
    expect(page.locator("#receipt")).to_contain_text("3 of 5 learners get a mail")
    page.keyboard.press("Enter")  # shows what will happen; nothing is sent
    page.wait_for_url(re.compile(r"send\?draft="))
    page.locator("#attach").set_input_files({"name": "plan.txt", "mimeType": "text/plain", "buffer": b"week 1"})
    expect(page.locator(".attached")).to_contain_text("plan.txt")
    page.get_by_label("Look at who gets it").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Next: who is left out")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Subject")).to_have_value("For {{ name }}")
    visit.check()
    page.get_by_role("button", name="Next: who is left out").focus()
    page.keyboard.press("Enter")
    box = page.get_by_label("cy@uni.example")
    box.focus()
    page.keyboard.press("Space")
    expect(page.locator(".who-count")).to_have_text("1 excluded, 2 will be sent")
    page.get_by_label("Find").focus()
    page.keyboard.type("ada")
    expect(page.get_by_label("bo@uni.example")).to_have_count(0)
    expect(page.locator(".who-count")).to_have_text("1 excluded, 2 will be sent")
    visit.check()
    page.locator("#receipt").get_by_label("Leave out 1 learner").check()
    page.get_by_role("button", name="← Back to the fields").click()
    expect(page.get_by_label("Subject")).to_have_value("For {{ name }}")
    page.go_back()
    expect(page.locator(".who-count")).to_have_text("1 excluded, 2 will be sent")
    page.get_by_role("button", name="Send 2 messages").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/runs/"))
    expect(page.locator("#learners")).to_contain_text("Delivered", timeout=20_000)
    expect(page.locator(".kept")).to_contain_text("plan.txt")
    visit.check()
    sent = visit.product.mails()
    assert (["ada@uni.example"] in sent, ["cy@uni.example"] in sent, sent.count(["bo@uni.example"])) == (True, False, 1)
