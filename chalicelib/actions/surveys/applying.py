"""Put waiting answers into the table: all of them in a few statements, the last one for each question of a learner.

Every answer becomes an event with what was there before it. One whose learner or column is gone, or whose column takes
other values by now, changes nothing and says so in its event.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.schedules import service as schedules
from chalicelib.tables import queries as tables
from chalicelib.tables import store
from chalicelib.tables.columns import keeping, recipes
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow

#: So many at once; more of them wait for the next round.
MOST = 5_000


def apply(session: Session, workflow: Workflow, kind: str) -> int:
    """Put the workflow's waiting answers into its table and return their number; more than MOST ask for a job `kind`.

    Raises errors.Unavailable while a bulk change holds the table: they wait.
    """
    # One round after the other: the later answer is the one that stays.
    session.execute(
        sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"answers {workflow.id}"}
    )
    if workflow.row_count is not None:
        try:
            store.lock_for_rows(session, workflow.id)
        except errors.Conflict as error:
            raise errors.Unavailable("New data is being added to the table just now.") from error
    ids = _waiting(session, workflow.id)
    if not ids:
        return 0
    columns = [] if workflow.row_count is None else [c for c in tables.columns(session, workflow.id) if _is_open(c)]
    row_ids = _gather(session, workflow.id, ids, columns)
    _log(session)
    changed = _write(session, workflow.id, columns)
    session.execute(
        sa.text("UPDATE ontask.answer SET applied_at = :now WHERE id = ANY(:ids)"), {"now": clock.now(), "ids": ids}
    )
    if changed:
        keeping.data_changed(session, workflow.id, column_ids=changed, row_ids=row_ids)
        workflows.touch(workflow)
    if len(ids) == MOST:
        schedules.enqueue_once(session, kind, workflow.id)
    return len(ids)


def _waiting(session: Session, workflow_id: int) -> list[int]:
    query = "SELECT id FROM ontask.answer WHERE workflow_id = :id AND applied_at IS NULL ORDER BY id LIMIT :most"
    return list(session.scalars(sa.text(query), {"id": workflow_id, "most": MOST}))


def _is_open(column: Any) -> bool:
    recipe = recipes.formula(column.recipe)
    return not column.is_key and not (recipe is not None and recipe.keep)


def _gather(session: Session, workflow_id: int, ids: Sequence[int], columns: Sequence[Any]) -> list[int]:
    """Write every single answer into a temporary table, with what was there before it; return the learners."""
    session.execute(sa.text("DROP TABLE IF EXISTS pg_temp.given"))
    given = "CREATE TEMP TABLE given (id bigint, row_id bigint, field text, new text, old text, fits boolean)"
    session.execute(sa.text(f"{given} ON COMMIT DROP"))
    fits = " OR ".join(f"(field = 'c{column.id}' AND {_fitting(column)})" for column in columns) or "false"
    session.execute(
        sa.text(f"""
            INSERT INTO pg_temp.given (id, row_id, field, new, fits)
            SELECT id, row_id, field, new, coalesce({fits}, false) FROM (
                SELECT a.id, a.row_id, v.key AS field, v.value #>> '{{}}' AS new
                FROM ontask.answer a CROSS JOIN LATERAL jsonb_each(a.values) v WHERE a.id = ANY(:ids)) answers"""),
        {
            "ids": list(ids),
            **{f"a{column.id}": json.dumps(column.allowed_values) for column in columns if column.allowed_values},
        },
    )  # fmt: skip
    if not columns:
        return []
    name = store.table(workflow_id)
    wanted = sa.text(f"""
        SELECT row_id FROM {name} WHERE row_id IN (SELECT row_id FROM pg_temp.given) ORDER BY row_id FOR UPDATE""")
    row_ids = list(session.scalars(wanted))
    session.execute(
        sa.text("UPDATE pg_temp.given SET fits = false WHERE row_id <> ALL(CAST(:row_ids AS bigint[]))"),
        {"row_ids": row_ids},
    )
    # What stood there before: the answer before it, or the table's own value for the first one.
    session.execute(
        sa.text(f"""
            UPDATE pg_temp.given g SET old = before.old
            FROM (SELECT n.id, n.field, CASE WHEN n.place = 1 THEN to_jsonb(t) ->> n.field ELSE n.earlier END AS old
                  FROM (SELECT id, row_id, field, lag(new) OVER w AS earlier, row_number() OVER w AS place
                        FROM pg_temp.given WHERE fits WINDOW w AS (PARTITION BY row_id, field ORDER BY id)) n
                  JOIN {name} t ON t.row_id = n.row_id) before
            WHERE g.id = before.id AND g.field = before.field""")
    )
    return row_ids


def _fitting(column: Any) -> str:
    """Return SQL that holds for what the column can take."""
    kind = store.TYPES[column.type]
    fits = "true" if kind == "text" else f"pg_input_is_valid(new, '{kind}')"
    if column.allowed_values:
        listed = f"jsonb_array_elements_text(CAST(:a{column.id} AS jsonb)) AS a(value)"
        allowed = f"SELECT CAST(value AS {kind}) FROM {listed}"
        fits = f"CASE WHEN {fits} THEN CAST(new AS {kind}) IN ({allowed}) ELSE false END"
    return f"(new IS NULL OR {fits})"


def _write(session: Session, workflow_id: int, columns: Sequence[Any]) -> list[int]:
    """Put the last answer to each question into the table; return the columns."""
    fields = set(session.scalars(sa.text("SELECT DISTINCT field FROM pg_temp.given WHERE fits")))
    written = [column for column in columns if f"c{column.id}" in fields]
    if not written:
        return []
    cells = ", ".join(
        f"c{c.id} = CASE WHEN l.values ? 'c{c.id}' THEN CAST(l.values ->> 'c{c.id}' AS {store.TYPES[c.type]}) "
        f"ELSE t.c{c.id} END" for c in written
    )  # fmt: skip
    session.execute(
        sa.text(f"""
            UPDATE {store.table(workflow_id)} t SET {cells}
            FROM (SELECT row_id, jsonb_object_agg(field, new) AS values
                  FROM (SELECT DISTINCT ON (row_id, field) row_id, field, new FROM pg_temp.given WHERE fits
                        ORDER BY row_id, field, id DESC) last GROUP BY row_id) l
            WHERE t.row_id = l.row_id""")
    )
    return [column.id for column in written]


def _log(session: Session) -> None:
    """Write an event for each answer: what was there and what is now, by column; `lost` is what changed nothing."""
    session.execute(
        sa.text("""
            INSERT INTO ontask.event (at, type, workflow_id, user_id, action_id, row_id, origin, detail, personal)
            SELECT a.created_at, CASE WHEN m.kind = 'todo_list' THEN 'todo_answered' ELSE 'survey_answered' END,
                   a.workflow_id, a.user_id, a.action_id, a.row_id, a.origin,
                   jsonb_build_object('name', m.name, 'row_id', a.row_id),
                   jsonb_build_object(
                       'values', coalesce(jsonb_object_agg(substr(g.field, 2), jsonb_build_array(g.old, g.new))
                                          FILTER (WHERE g.fits), '{}'),
                       'lost', coalesce(jsonb_object_agg(substr(g.field, 2), g.new) FILTER (WHERE NOT g.fits), '{}'))
            FROM ontask.answer a JOIN ontask.action m ON m.id = a.action_id
            JOIN pg_temp.given g ON g.id = a.id
            GROUP BY a.id, m.id ORDER BY a.id""")
    )
