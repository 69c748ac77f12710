"""The sample course of a new installation: an instructor, a class, messages, a finished run, a rubric and forms."""

from __future__ import annotations

import json
import random
import secrets
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, database
from chalicelib.accounts import service as accounts
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.actions import conditions
from chalicelib.actions import queries as actions_queries
from chalicelib.actions import service as actions
from chalicelib.actions.forms import ConditionForm
from chalicelib.actions.models import Action
from chalicelib.delivery import service as delivery
from chalicelib.delivery.models import MAIL, Message
from chalicelib.delivery.order import SendOrder
from chalicelib.delivery.send import Sender
from chalicelib.schedules import jobs, service
from chalicelib.tables import queries as tables
from chalicelib.tables.uploads import service as uploads
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from local import course, sample_forms, sample_rubric

EMAIL = "ines@ontask.example"
RUN_AGE = timedelta(days=3, hours=2)
SEED = 2026

REMINDER = """
<p>Dear {{ First name }},</p>
{% if never took part %}<p>The course has begun and you have not taken part in a quiz yet. Is anything wrong? Please
answer this mail; there is still time to catch up.</p>
{% elif low quiz 1 %}<p>Your result in quiz 1 was <strong>{{ Quiz 1 | default: "missing" }}</strong> of 100. Chapter 2
and the tutorial of group {{ Tutorial }} will help; most of those who came last year passed the midterm.</p>
{% else %}<p>You did well in quiz 1 ({{ Quiz 1 }} of 100). Keep going!</p>
{% endif %}
{% if few videos %}<p>You have watched {{ Videos watched }} of 24 videos. Number 5 and 6 are the ones that quiz 2 asks
about.</p>
{% endif %}<p>Best wishes,<br>Ines</p>
"""

MIDTERM = """
<p>Dear {{ First name }},</p>
{% if strong midterm %}<p>Congratulations: {{ Midterm }} of 100 in the midterm. Would you like to help others in the
forum?</p>
{% elif weak midterm %}<p>The midterm went less well ({{ Midterm }} of 100). Let us look at it together: I am in my
office on Tuesdays from 10 to 12.</p>
{% endif %}
<ul>
{% if low attendance %}<li>You came to {{ "Attendance %" | round }} % of the lectures; the exam is about all of
them.</li>
{% endif %}
<li>The next assignment is due on Friday.</li>
</ul>
<p>Best wishes,<br>Ines</p>
"""


@dataclass(frozen=True)
class Account:
    """The sign-in of the sample course."""

    email: str
    password: str


class Past:
    """Time in which the sample run took place: it passes only by sleeping."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def __call__(self) -> datetime:
        """Return the moment; each look takes a millisecond."""
        self.time += timedelta(milliseconds=1)
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.time += timedelta(seconds=seconds)


def make(learners: int = 500) -> Account | None:
    """Make the sample course in an empty installation; None when there is a user already."""
    with database.scope() as session:
        if session.scalar(select(User.id).limit(1)) is not None:
            return None
        account = Account(EMAIL, secrets.token_urlsafe(9))
        user, _ = accounts.create_user(session, EMAIL, "Ines Instructor", Role.INSTRUCTOR)
        accounts.set_password(session, user, account.password)
    past = Past(clock.now() - RUN_AGE)
    clock.use(past)
    try:
        with database.scope(statement_timeout_seconds=120) as session:
            workflow = _course(session, user, learners)
            reminder = _message(
                session, user, workflow, "Reminder after quiz 1", REMINDER, _quiz_rules(session, workflow)
            )
            _message(session, user, workflow, "After the midterm", MIDTERM, _midterm_rules(session, workflow))
            sample_rubric.add(session, user, workflow)
            sample_forms.add(session, user, workflow, past.time + RUN_AGE, SEED)
        _run(user, workflow, reminder, past)
    finally:
        clock.use(None)
    return account


def _course(session: Session, user: User, learners: int) -> Workflow:
    workflow = workflows.create(
        session, user.id, "Sample course: Introduction to Statistics",
        f"{learners:,} made-up learners. Change, send and delete as you like: nothing leaves this machine.",
        "Europe/Madrid",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "statistics.csv"
        file.write_bytes(course.as_csv(learners, SEED))
        uploads.import_file(session, workflow, user.id, file, keys=["Student id"])
    return workflow


def _ids(session: Session, workflow: Workflow) -> dict[str, int]:
    return {column.name: column.id for column in tables.columns(session, workflow.id)}


def _rule(column_id: int, operator: str, value: str = "") -> dict[str, Any]:
    return {"column": column_id, "op": operator, **({"value": value} if value else {})}


def _quiz_rules(session: Session, workflow: Workflow) -> dict[str, dict[str, Any]]:
    ids = _ids(session, workflow)
    missing = [_rule(ids[name], "is_null") for name in ("Quiz 1", "Quiz 2", "Quiz 3")]
    return {
        "never took part": {"all": missing},
        "low quiz 1": {"any": [_rule(ids["Quiz 1"], "less", "60"), _rule(ids["Quiz 1"], "is_null")]},
        "few videos": {"all": [_rule(ids["Videos watched"], "less", "10")]},
    }


def _midterm_rules(session: Session, workflow: Workflow) -> dict[str, dict[str, Any]]:
    ids = _ids(session, workflow)
    return {
        "strong midterm": {"all": [_rule(ids["Midterm"], "greater_or_equal", "80")]},
        "weak midterm": {"all": [_rule(ids["Midterm"], "less", "50")]},
        "low attendance": {"all": [_rule(ids["Attendance %"], "less", "50")]},
    }


def _message(
    session: Session, user: User, workflow: Workflow, name: str, text: str, rules: dict[str, dict[str, Any]]
) -> Action:
    columns = tables.infos(session, workflow.id)
    action = actions.create(session, user.id, workflow, name)
    for condition, formula in rules.items():
        form = ConditionForm(name=condition, description="", formula=formula)
        conditions.create(session, user.id, action, form, columns, workflow.time_zone)
    names = actions_queries.names(columns, actions_queries.conditions(session, action.id))
    actions.save_text(session, user.id, action, text.strip(), action.version, names)
    return action


def _run(user: User, workflow: Workflow, action: Action, past: Past) -> None:
    """Send the reminder as it was sent three days ago, and let learners open it since."""
    import app  # noqa: F401  the addresses in mails
    from chalicelib import functions  # noqa: F401  the kinds of jobs
    from chalicelib.aws.mailer import Mailer

    with database.scope() as session:
        ids = _ids(session, workflow)
        order = SendOrder(
            to_column_id=ids["Email"], subject="Quiz 1: how you did, {{ First name }}", from_name="Ines Instructor",
            reply_to=EMAIL, track_opens=True, track_clicks=False, leave_out_bad=True, leave_out_duplicates=True,
        )  # fmt: skip
        run = delivery.confirm(session, user.id, workflow, session.merge(action), order)
        due = service.due_jobs(session)
    for job_id in due:
        jobs.run(job_id)
    past.sleep(15)
    sender = Sender(MAIL, Mailer(), seconds=3600, sleep=past.sleep)
    sender.run()
    _open_mails(run.id, past.time)


def _open_mails(run_id: int, sent_at: datetime) -> None:
    """Six in ten open the mail, most within the first hours; told as the tracking pixel would."""
    from chalicelib.aws.client import client
    from chalicelib.settings import settings

    chance = random.Random(SEED)
    with database.scope() as session:
        ids = session.scalars(select(Message.id).where(Message.run_id == run_id, Message.sent_at.is_not(None)))
        accepted = ids.all()
    hits = []
    for message_id in accepted:
        if chance.random() < 0.62:
            at = sent_at + timedelta(hours=min(chance.expovariate(1 / 7), 70))
            hits.append({"hit": "open", "message": message_id, "at": at.astimezone(UTC).isoformat()})
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=settings().events_queue)["QueueUrl"]
    for start in range(0, len(hits), 10):
        entries = [{"Id": str(n), "MessageBody": json.dumps(hit)} for n, hit in enumerate(hits[start : start + 10])]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
