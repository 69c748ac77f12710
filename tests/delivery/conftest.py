"""A class of learners in a database of the test's own, and the small cloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.orm import Session

from chalicelib import database
from chalicelib.accounts.models import User
from chalicelib.actions.models import Action
from chalicelib.aws.mailer import Mailer
from chalicelib.delivery import jobs as delivery_jobs
from chalicelib.delivery import service
from chalicelib.delivery.models import Run
from chalicelib.delivery.order import SendOrder
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.conftest import Clock, make_user
from tests.delivery.cloud import Cloud, FakeSes
from tests.factories import make_action, make_condition, make_table


@dataclass
class Course:
    """A workflow with learners s1, s2, … and one message."""

    user: User
    workflow: Workflow
    action: Action
    columns: dict[str, int]
    session: Session

    def order(self, **changes: Any) -> SendOrder:
        """A send form as most people fill it in."""
        return SendOrder(**{"to_column_id": self.columns["email"], "subject": "For {{ name }}", **changes})

    def confirm(self, **changes: Any) -> Run:
        """Confirm a run, in a transaction of its own."""
        with database.scope() as session:
            workflow = session.get_one(Workflow, self.workflow.id)
            action = session.get_one(Action, self.action.id)
            return service.confirm(session, self.user.id, workflow, action, self.order(**changes))


MakeCourse = Callable[..., Course]


@pytest.fixture
def ses() -> FakeSes:
    """An SES that accepts everything."""
    return FakeSes()


@pytest.fixture
def cloud(
    fresh_database: str, frozen_clock: Clock, ses: FakeSes, monkeypatch: pytest.MonkeyPatch, no_aws: object
) -> Cloud:
    """The small cloud around a database of the test's own."""
    made = Cloud(frozen_clock, ses)
    made.install(monkeypatch)
    monkeypatch.setattr(delivery_jobs, "carrier", lambda: Mailer(ses))
    return made


def a_course(rows: int | list[tuple[str, str | None, str, int | None]] = 25, text: str = "") -> Course:
    """Make a course with so many learners, or with the given (key, address, name, mark)."""
    if isinstance(rows, int):
        rows = [(f"s{n}", f"s{n}@uni.example", f"Name {n}", n % 100) for n in range(1, rows + 1)]
    with database.scope() as session:
        user = make_user(session)
        workflow = workflows.create(session, user.id, "Biology 101")
        kinds = {"key": "text", "email": "text", "name": "text", "mark": "integer"}
        columns = make_table(session, workflow, kinds, rows)
        action = make_action(session, workflow)
        low = make_condition(
            session, action, "low", {"all": [{"column": columns["mark"], "op": "less", "value": "50"}]}
        )
        body = "<p>Dear {{{{ @c{name} }}}}, {{% if @k{low} %}}try harder{{% else %}}well done{{% endif %}}.</p>"
        action.text = text or body.format(name=columns["name"], low=low.id)
        return Course(user, workflow, action, columns, session)


@pytest.fixture
def make_course(cloud: Cloud) -> MakeCourse:
    """Makes courses in the cloud's database."""
    return a_course
