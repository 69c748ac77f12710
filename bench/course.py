"""A large course for measurements: learners with marks, ten conditions, a message with eight fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

FIELDS = 8
CONDITIONS = 10


@dataclass(frozen=True)
class Course:
    """Ids of what was made; `columns` by name: key, email, and m1 … m12 (whole numbers)."""

    user_id: int
    workflow_id: int
    action_id: int
    columns: dict[str, int]


def make(session: Session, learners: int) -> Course:
    """Make a course with so many learners, all with different addresses."""
    from chalicelib import clock
    from chalicelib.accounts.models import User
    from chalicelib.actions.models import Action, Condition
    from chalicelib.tables import store
    from chalicelib.tables.models import Column
    from chalicelib.workflows import service as workflows

    now = clock.now()
    user = User(email=f"bench{learners}@uni.example", name="Bench", role="instructor", is_active=True, created_at=now)
    session.add(user)
    session.flush()
    workflow = workflows.create(session, user.id, "Bench")
    kinds = {"key": "text", "email": "text", **{f"m{n}": "integer" for n in range(1, 13)}}
    columns: dict[str, int] = {}
    fields = []
    for position, (name, kind) in enumerate(kinds.items(), 1):
        column = Column(
            workflow_id=workflow.id, name=name, type=kind, is_key=name == "key", position=position, created_at=now
        )
        session.add(column)
        session.flush()
        columns[name] = column.id
        fields.append(store.Field(column.id, kind, name == "key"))
    store.create_table(session, workflow.id, fields)
    values = ", ".join(f"mod(n * {n * 7 + 1}, 101)" for n in range(1, 13))
    names = ", ".join(f"c{column_id}" for column_id in columns.values())
    session.execute(
        text(
            f"INSERT INTO {store.table(workflow.id)} ({names}) "
            f"SELECT 's' || n, 's' || n || '@uni.example', {values} FROM generate_series(1, :learners) n"
        ),
        {"learners": learners},
    )
    workflow.row_count = learners
    action = Action(workflow_id=workflow.id, name="Bench", created_at=now, updated_at=now)
    session.add(action)
    session.flush()
    parts = [f"<p>Field {{{{ @c{columns[f'm{n}']} }}}}</p>" for n in range(1, FIELDS + 1)]
    for n in range(CONDITIONS):
        formula: dict[str, Any] = {
            "any": [
                {"column": columns[f"m{n % 12 + 1}"], "op": "less", "value": "50"},
                {"column": columns[f"m{(n + 3) % 12 + 1}"], "op": "greater", "value": "90"},
            ]
        }
        condition = Condition(action_id=action.id, name=f"k{n}", formula=formula, position=n, created_at=now)
        session.add(condition)
        session.flush()
        parts.append(f"<p>{{% if @k{condition.id} %}}Well done.{{% else %}}Try harder.{{% endif %}}</p>")
    action.text = "".join(parts)
    action.filter = {"all": [{"column": columns["m1"], "op": "greater_or_equal", "value": "0"}]}
    session.execute(text(f"ANALYZE {store.table(workflow.id)}"))
    return Course(user.id, workflow.id, action.id, columns)


def confirm(session: Session, course: Course) -> int:
    """Confirm a run for everybody; return its id."""
    from chalicelib.actions.models import Action
    from chalicelib.delivery import service
    from chalicelib.delivery.order import SendOrder
    from chalicelib.workflows.models import Workflow

    order = SendOrder(to_column_id=course.columns["email"], subject="For {{ key }}", leave_out_duplicates=True)
    workflow, action = session.get_one(Workflow, course.workflow_id), session.get_one(Action, course.action_id)
    return service.confirm(session, course.user_id, workflow, action, order).id
