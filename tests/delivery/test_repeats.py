"""Sendings that repeat: each moment once, whatever is lost, doubled or killed; and the pages about them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from chalicelib import database
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions.models import Action, Condition
from chalicelib.audit.models import Event
from chalicelib.delivery import repeats
from chalicelib.delivery.models import Run
from chalicelib.schedules import doing, due, jobs, occurrences, plans
from chalicelib.schedules import service as schedules
from chalicelib.schedules.models import Job, Occurrence, Schedule
from chalicelib.workflows.models import Member, Workflow
from tests.conftest import Browser, Clock, signed_in
from tests.delivery.cloud import Cloud, FakeSes
from tests.delivery.conftest import Course, MakeCourse

DAILY = "0 18 * * *"
OWNER = "ines@uni.example"


def repeat(course: Course, *, only_new: bool = False, expression: str = DAILY, **wish: Any) -> int:
    """Make a schedule as the send page does; return its id."""
    with database.scope() as session:
        made = repeats.create(
            session, course.user.id, session.get_one(Workflow, course.workflow.id),
            session.get_one(Action, course.action.id), course.order(only_new=only_new),
            plans.Wish(**{"name": "Each evening", "crontab": expression, "time_zone": "UTC", **wish}),
        )  # fmt: skip
        return made.id


def came_of(schedule_id: int) -> list[tuple[str, str]]:
    """State and message of each moment, the first one first."""
    with database.scope() as session:
        return [(one.state, one.message) for one in reversed(occurrences.of_schedule(session, schedule_id))]


def to_learners(ses: FakeSes) -> dict[str, int]:
    return {to: count for to, count in ses.mails().items() if to != OWNER}


def test_everybody_who_is_chosen_gets_it_each_time(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    schedule = repeat(make_course(5))
    cloud.run(hours=3 * 24)
    assert set(to_learners(ses).values()) == {3}
    assert came_of(schedule) == [("done", "5 mails sent.")] * 3
    first = min(ses.times)
    assert timedelta(0) <= first - first.replace(hour=18, minute=0, second=0, microsecond=0) < timedelta(minutes=1)


def test_each_learner_gets_it_only_once_when_that_was_asked(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(5)
    schedule = repeat(course, only_new=True)
    cloud.run(hours=20)
    with database.scope() as session:
        columns = ", ".join(f"c{course.columns[name]}" for name in ("key", "email", "name"))
        late = "VALUES ('s9', 's9@uni.example', 'Late')"
        session.execute(text(f"INSERT INTO learners.w{course.workflow.id} ({columns}) {late}"))
    cloud.run(hours=48)
    assert set(to_learners(ses)) == {*(f"s{n}@uni.example" for n in range(1, 6)), "s9@uni.example"}
    assert set(to_learners(ses).values()) == {1}
    assert came_of(schedule) == [
        ("done", "5 mails sent."),
        ("done", "1 mail sent."),
        ("done", "There was nobody to send it to."),
    ]


@pytest.mark.parametrize("wakeups", ["lost", "doubled", "stale"])
def test_wake_ups_that_are_lost_or_come_again_change_nothing(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, wakeups: str
) -> None:
    cloud.wakeups = wakeups
    repeat(make_course(5))
    cloud.run(hours=3 * 24)
    assert set(to_learners(ses).values()) == {3}


def test_when_all_alarms_were_lost_the_daily_round_finds_it_once(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, frozen_clock: Clock
) -> None:
    schedule = repeat(make_course(5))
    cloud.forget()
    frozen_clock.advance(days=4)
    due.tidy()
    cloud.run(hours=1)
    assert set(to_learners(ses).values()) == {1}
    assert came_of(schedule) == [("done", "5 mails sent.")]
    cloud.run(hours=24)
    assert set(to_learners(ses).values()) == {2}


def test_a_moment_whose_worker_was_killed_anywhere_begins_one_run(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes, frozen_clock: Clock
) -> None:
    schedule = repeat(make_course(5))
    cloud.forget()
    frozen_clock.advance(hours=7)
    for _ in range(2):  # before the commit nothing was there, after it the moment is taken
        with database.scope() as session:
            occurrences.begin_due(session)
            session.rollback()
    with database.scope() as session:
        occurrences.begin_due(session)
    with database.scope() as session:
        job_id = session.scalars(select(Job.id).where(Job.kind == occurrences.BEGIN)).one()
        task = jobs.Task(job_id, None, None, session.get_one(Job, job_id).payload, 1)
    doing.begin(task)  # and killed before the job was marked as done
    cloud.run(hours=2)
    with database.scope() as session:
        assert len(session.scalars(select(Run).where(Run.schedule_id == schedule)).all()) == 1
    assert set(to_learners(ses).values()) == {1}


def test_two_who_look_at_once_begin_a_moment_once(make_course: MakeCourse, cloud: Cloud, frozen_clock: Clock) -> None:
    schedule = repeat(make_course(3))
    frozen_clock.advance(hours=7)
    with database.scope() as first:
        occurrences.begin_due(first)
        with database.scope() as second:
            occurrences.begin_due(second)
    with database.scope() as session:
        assert len(session.scalars(select(Occurrence).where(Occurrence.schedule_id == schedule)).all()) == 1
        assert len(session.scalars(select(Job).where(Job.kind == occurrences.BEGIN)).all()) == 1


def test_a_moment_is_left_out_while_the_one_before_is_under_way(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    schedule = repeat(make_course(5))
    cloud.run(hours=6.0005)
    with database.scope() as session:
        session.execute(update(Run).where(Run.schedule_id == schedule).values(state="paused"))
    cloud.run(hours=24)
    assert came_of(schedule) == [("running", ""), ("skipped", doing.UNDER_WAY)]
    assert ses.mails()[OWNER] == 1, "whoever made it is told"


def test_three_failures_in_a_row_make_it_rest_and_its_owner_is_told(
    make_course: MakeCourse, cloud: Cloud, ses: FakeSes
) -> None:
    course = make_course(5)
    schedule = repeat(course)
    with database.scope() as session:
        condition = session.scalars(select(Condition).where(Condition.action_id == course.action.id)).one()
        condition.formula = {"all": [{"column": 999_999, "op": "is_null"}]}
    cloud.run(hours=5 * 24)
    assert [state for state, _ in came_of(schedule)] == ["failed"] * 3
    assert to_learners(ses) == {}
    assert ses.mails()[OWNER] == 3
    with database.scope() as session:
        assert session.get_one(Schedule, schedule).state == "blocked"
        begun = select(Event.origin).where(Event.type == "run_failed").distinct()
        assert session.scalars(begun).all() == ["scheduler"]


def test_whoever_may_not_send_any_more_sends_nothing(make_course: MakeCourse, cloud: Cloud, ses: FakeSes) -> None:
    course = make_course(5)
    schedule = repeat(course, notify="never")
    with database.scope() as session:
        session.execute(delete(Member).where(Member.user_id == course.user.id))
    cloud.run(hours=3 * 24)
    assert ses.mails() == {}
    assert [state for state, _ in came_of(schedule)] == ["failed"]


def test_it_ends_at_its_end(make_course: MakeCourse, cloud: Cloud, ses: FakeSes, frozen_clock: Clock) -> None:
    schedule = repeat(make_course(2), until=frozen_clock.time + timedelta(hours=40))
    cloud.run(hours=5 * 24)
    assert set(to_learners(ses).values()) == {2}
    with database.scope() as session:
        assert session.get_one(Schedule, schedule).state == "over"
        assert schedules.due_jobs(session) == []


# -- the pages


@pytest.fixture
def course(make_course: MakeCourse) -> Course:
    return make_course(3)


@pytest.fixture
def browser(course: Course) -> Browser:
    with database.scope() as session:
        return signed_in(session, course.user)


def fields(course: Course, **changed: Any) -> dict[str, Any]:
    start = {
        "to_column_id": course.columns["email"], "subject": "For {{ name }}", "from_name": "Ines", "cc": "", "bcc": "",
        "reply_to": OWNER, "leave_out_duplicates": "1", "opens_column": "", "when": "again", "due_at": "",
        "draft": "a form", "r_name": "Weekly", "r_every": "week", "r_times": "08:30", "r_weekdays": "1", "r_days": "1",
        "r_minutes": "0", "r_crontab": "", "r_start": "", "r_until": "", "r_only_new": "1", "r_notify": "error",
    }  # fmt: skip
    return {**start, **changed}


def send(course: Course) -> str:
    return f"/workflows/{course.workflow.id}/actions/{course.action.id}/send"


def test_it_is_made_on_the_send_page_and_said_in_words(course: Course, browser: Browser) -> None:
    receipt = browser.post(f"{send(course)}/prepare", fields(course), htmx=True)
    assert "At 08:30 on Tuesday" in receipt.body
    assert receipt.body.count("<li><time") == 5
    page = browser.follow(browser.post(send(course), fields(course)))
    assert "At 08:30 on Tuesday" in page.body
    assert page.body.count("<li><time") == 5
    assert "Weekly" in browser.get(f"/workflows/{course.workflow.id}/schedules").body


@pytest.mark.parametrize(
    ("changed", "name", "hint"),
    [
        ({"r_name": " "}, "name", "Type a name"),
        ({"r_name": "x" * 1025}, "name", "at most 1024 characters"),
        ({"r_every": "crontab", "r_crontab": "99 * * * *"}, "crontab", "This is no crontab"),
        ({"r_every": "crontab", "r_crontab": "* * * * *"}, "crontab", "too often"),
        ({"r_times": "noon"}, "times", "Write times as 08:30"),
        ({"r_times": "08:00, 14:30"}, "times", "the same minutes"),
        ({"r_every": "hour", "r_minutes": "60"}, "minutes", "from 0 to 59"),
        ({"r_every": "year", "r_months": ""}, "months", "at least one month"),
        ({"r_addresses": "ines"}, "addresses", "Not an e-mail address: ines"),
        ({"r_max_failures": "0"}, "max_failures", "from 1 to 20"),
        ({"r_every": "month", "r_days": "32"}, "days", "from 1 to 31"),
        ({"r_weekdays": ""}, "weekdays", "Choose at least one day."),
        ({"r_until": "2020-01-01T00:00"}, "until", "over already"),
        ({"r_start": "2027-05-01T00:00", "r_until": "2027-04-01T01:00"}, "until", "before the beginning"),
        ({"r_start": "2026-05-01T00:00", "r_until": "2026-05-01T01:00"}, "until", "before it happens"),
        ({"subject": "{{ nobody }}"}, "subject", "nobody"),
    ],
)
def test_what_can_not_be_is_told_at_its_field_and_what_was_typed_stays(
    course: Course, browser: Browser, changed: dict[str, str], name: str, hint: str
) -> None:
    page = browser.post(send(course), fields(course, **changed))
    assert page.status == 422
    found = re.search(rf'id="p-(?:r_)?{name}"[^>]*>([^<]*)', page.body)
    assert found is not None
    assert hint in found[1]
    for typed in changed.values():
        assert typed.strip() in page.body


def test_it_is_switched_changed_deleted_and_brought_back(course: Course, browser: Browser) -> None:
    here = browser.post(send(course), fields(course)).location
    browser.post(here, {"action": "off"})
    assert "It rests until somebody switches it on." in browser.get(here).body
    browser.post(here, {"action": "on"})
    changed = {**fields(course), "action": "save", "version": "1", "r_every": "day", "r_times": "21:15"}
    assert browser.post(here, changed).status == 303
    assert "At 21:15 every day" in browser.get(here).body
    stale = browser.post(here, changed)
    assert stale.status == 422
    assert "Somebody else changed this schedule" in stale.body
    gone = browser.follow(browser.post(here, {"action": "delete"}))
    assert browser.get(here).status == 404
    undo = re.search(r'action="([^"]*action=restore)"', gone.body)
    assert undo is not None
    assert "is back" in browser.follow(browser.post(undo[1], {})).body


def test_who_may_only_write_can_not_let_it_be_sent(course: Course, browser: Browser) -> None:
    with database.scope() as session:
        session.execute(update(Member).values(role=WorkflowRole.EDITOR))
    assert browser.post(send(course), fields(course)).status == 403
