"""Small tables and messages for tests, made directly in the database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.actions.models import Action, Condition
from chalicelib.actions.serving.models import ServedLink
from chalicelib.tables import store
from chalicelib.tables.models import Column
from chalicelib.workflows.models import Workflow

#: More rows are inserted by one statement.
MANY = 50


def make_table(
    session: Session, workflow: Workflow, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], key: str = ""
) -> dict[str, int]:
    """Give the workflow a table; `columns` maps names to types, the key is the first one. Return the ids by name."""
    key = key or next(iter(columns))
    made = [
        Column(
            workflow_id=workflow.id, name=name, type=kind, is_key=name == key, position=position,
            description="", created_at=clock.now(),
        )
        for position, (name, kind) in enumerate(columns.items(), 1)
    ]  # fmt: skip
    session.add_all(made)
    session.flush()
    store.create_table(session, workflow.id, [store.Field(column.id, column.type, column.is_key) for column in made])
    names = ", ".join(f"c{column.id}" for column in made)
    filled = [{f"c{column.id}": value for column, value in zip(made, row, strict=True)} for row in rows]
    if len(rows) > MANY:
        typed = ", ".join(f"c{column.id} {store.TYPES[column.type]}" for column in made)
        insert = f"SELECT {names} FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r ({typed})"
        session.execute(
            text(f"INSERT INTO {store.table(workflow.id)} ({names}) {insert}"),
            {"rows": json.dumps(filled, default=str)},
        )
    else:
        values = ", ".join(f":c{column.id}" for column in made)
        for row in filled:
            session.execute(text(f"INSERT INTO {store.table(workflow.id)} ({names}) VALUES ({values})"), row)
    workflow.row_count = len(rows)
    session.flush()
    return {column.name: column.id for column in made}


def make_action(
    session: Session, workflow: Workflow, stored: str = "<p>Hello</p>", name: str = "Reminder",
    kind: str = "personalised_text",
) -> Action:  # fmt: skip
    """Add a message, or an action of another kind; `stored` is its text with references by id."""
    now = clock.now()
    action = Action(workflow_id=workflow.id, kind=kind, name=name, text=stored, created_at=now, updated_at=now)
    session.add(action)
    session.flush()
    return action


def make_condition(session: Session, action: Action, name: str, formula: Mapping[str, Any]) -> Condition:
    """Add a condition to a message."""
    condition = Condition(
        action_id=action.id, name=name, formula=dict(formula), position=1, created_at=clock.now()
    )  # fmt: skip
    session.add(condition)
    session.flush()
    return condition


def make_link(session: Session, action: Action, column_id: int) -> str:
    """Open the link of an action to those whose address is in the column; return its path."""
    now = clock.now()
    token = f"link-of-{action.id}"
    link = ServedLink(
        action_id=action.id, token=token, is_on=True, column_id=column_id, created_at=now, changed_at=now
    )  # fmt: skip
    session.add(link)
    session.flush()
    return f"/a/{link.token}"
