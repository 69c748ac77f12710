"""Time lines, the numbers of a run, one learner's data and the addresses without mail, in a real browser."""

from __future__ import annotations

import re
from datetime import timedelta

from playwright.sync_api import expect

from chalicelib import clock
from chalicelib.accounts.roles import Role
from chalicelib.audit import service as audit
from chalicelib.delivery import feedback, suppression
from chalicelib.delivery.models import Message, Run
from chalicelib.delivery.news import News
from tests.browser.conftest import DESKTOP, PHONE, Visit
from tests.factories import make_action, make_table

LINK = "https://uni.example/a-long-way/to-the-material-of-this-week?with=many&words=in-it"


def test_what_is_on_record_can_be_read_everywhere_and_a_learner_erased(visit: Visit) -> None:
    page, now = visit.page, clock.now()
    user = visit.enter()
    with visit.course(user) as (session, workflow):
        session.merge(user).role = Role.ADMIN
        rows = [(f"s{n}", f"{user.id}-s{n}@uni.example", f"Name {n}") for n in range(1, 41)]
        columns = make_table(session, workflow, {"sid": "text", "email": "text", "name": "text"}, rows)
        action = make_action(session, workflow)
        runs = [
            Run(workflow_id=workflow.id, action_id=action.id, user_id=user.id, state="done", subject="Hello",
                text="<p>Hello</p>", to_column_id=columns["email"], created_at=now - timedelta(days=day),
                planned_at=now - timedelta(days=day), started_at=now - timedelta(days=day),
                ended_at=now - timedelta(days=day), track_opens=True, track_clicks=True, planned=40,
                conditions=[{"id": 7, "name": "low quiz", "formula": {}}])
            for day in (3, 2)
        ]  # fmt: skip
        session.add_all(runs)
        session.flush()
        mails = [
            Message(run_id=run.id, lane="ses", row_id=n, recipient=rows[n - 1][1], values={}, flags={"k7": n % 3 == 0},
                    state="failed" if n == 40 else "sent", rank=50, reason="mailbox full" if n == 40 else "",
                    sent_at=None if n == 40 else run.started_at)
            for run in runs for n in range(1, 41)
        ]  # fmt: skip
        session.add_all(mails)
        session.flush()
        news = [News(mails[n].id, "open", now - timedelta(hours=60 - n)) for n in range(20)]
        news += [News(mails[n].id, "click", now - timedelta(hours=50 - n), detail={"url": LINK}) for n in range(9)]
        feedback.record(session, news)
        suppression.add(session, None, f"{user.id}-away@uni.example", "asked by phone")
        audit.record(
            session, "row_changed", workflow_id=workflow.id, row_id=1, values={str(columns["name"]): ["A", "B"]}
        )
        base, run_id = f"/workflows/{workflow.id}", runs[0].id
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        visit.go(f"{base}/runs?row=1")
        expect(page.get_by_role("heading", level=1)).to_have_text("Name 1, s1")
        expect(page.get_by_text("Opened the mail")).to_be_visible()
        expect(page.get_by_text("name: A → B")).to_be_visible()
        visit.check()
        visit.go(f"{base}/runs/{run_id}/numbers?beside={run_id + 1}")
        expect(page.get_by_role("img", name=re.compile("Totals over time: learners who opened 20"))).to_be_visible()
        expect(page.get_by_text("39 of 39")).to_be_visible()
        visit.check()
        visit.go("/admin/addresses")
        expect(page.get_by_text("asked by phone").first).to_be_visible()
        visit.check()
    visit.go(f"{base}/runs?learner=Name 1")
    page.get_by_role("link", name="Name 10, s10").click()
    page.get_by_role("link", name="Personal data").click()
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_text("Type one of these exactly")).to_be_visible()
    visit.check()
    page.get_by_label(re.compile("to confirm")).fill("s10")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_text("Erased: 1 row of the table")).to_be_visible()
