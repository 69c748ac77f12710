"""What came of a survey or to-do list: how many answered, when, and what; whom to remind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.actions import service as actions
from chalicelib.actions.editor import Editor
from chalicelib.actions.kinds import Kind as ActionKind
from chalicelib.actions.models import Action
from chalicelib.actions.surveys import running
from chalicelib.actions.surveys.kinds import SEPARATOR, Kind
from chalicelib.actions.surveys.queries import Item
from chalicelib.formulas import sql
from chalicelib.tables.charts import figures
from chalicelib.tables.charts.drawing import Drawing, draw
from chalicelib.tables.charts.figures import Bar, Figures
from chalicelib.tables.charts.words import Words
from chalicelib.tables.scope import Scope

#: Of free texts so many are shown, the latest rows first.
SHOWN_TEXTS = 20


@dataclass(frozen=True)
class Rate:
    """Of those who are asked: how many answered anything (ticked anything), and how many everything."""

    asked: int = 0
    answered: int = 0
    complete: int = 0

    @property
    def missing(self) -> int:
        """How many have answered nothing."""
        return self.asked - self.answered


def rate(session: Session, editor: Editor, items: Sequence[Item]) -> Rate:
    """Count in one statement.

    Raises errors.Invalid when the filter can't be run any more.
    """
    if editor.workflow.row_count is None or not items:
        return Rate()
    table = sql.learners(editor.workflow.id, editor.columns)
    there = [_there(item, table.c[f"c{item.column.id}"]) for item in items]
    chosen = sql.condition(editor.action.filter, editor.columns, table, editor.workflow.time_zone)
    count = sa.func.count()
    query = sa.select(count, count.filter(sa.or_(*there)), count.filter(sa.and_(*there))).select_from(table)
    return Rate(*session.execute(query.where(chosen)).one())


def _there(item: Item, value: Any) -> Any:
    return sa.func.coalesce(value, sa.false()) if item.kind is Kind.TICK else value.is_not(None)


@dataclass(frozen=True)
class Result:
    """The answers to one question: figures and picture, or some of the texts."""

    item: Item
    words: Words
    drawing: Drawing | None
    texts: Sequence[str]


def results(session: Session, editor: Editor, items: Sequence[Item], zone: ZoneInfo) -> list[Result]:
    """Return the answers to each question, of those who are asked."""
    scope = Scope(
        editor.workflow.id, editor.columns, editor.action.filter, editor.workflow.time_zone, time_zone=zone.key
    )  # fmt: skip
    found = []
    for item in items:
        if item.kind is Kind.CHOICES:
            words = Words(item.column, _several(session, scope, item), zone)
        else:
            words = Words(item.column, figures.read(session, scope, item.column), zone)
        is_free = item.kind is Kind.LONG or (item.kind is Kind.TEXT and words.figures.mode_count <= 1)
        texts = _texts(session, scope, item) if is_free else []
        found.append(Result(item, words, None if is_free else draw(words), texts))
    return found


def _several(session: Session, scope: Scope, item: Item) -> Figures:
    """Count each answer of a question that takes several of them."""
    rows = scope.table()
    value = rows.c[f"c{item.column.id}"]
    chosen = sa.select(value.label("x")).select_from(rows).where(*scope.where(rows)).cte("chosen")
    total, present = session.execute(sa.select(sa.func.count(), sa.func.count(chosen.c.x)).select_from(chosen)).one()
    parts = sa.select(sa.func.unnest(sa.func.string_to_array(chosen.c.x, SEPARATOR)).label("part")).subquery()
    counts: dict[str, int] = dict(
        session.execute(sa.select(parts.c.part, sa.func.count()).group_by(parts.c.part)).all()
    )
    offered = list(dict.fromkeys([*item.question.options.get("choices", []), *counts]))
    bars = [Bar(text, text, counts.get(text, 0)) for text in offered]
    top = max((bar.count for bar in bars), default=0)
    modes = [bar.start for bar in bars if bar.count == top]
    return Figures(
        "choice", present, total - present, sum(bar.count > 0 for bar in bars), mode=modes[0] if modes else None,
        mode_count=top, modes=len(modes), bars=bars,
    )  # fmt: skip


def _texts(session: Session, scope: Scope, item: Item) -> list[str]:
    rows = scope.table()
    value = rows.c[f"c{item.column.id}"]
    query = sa.select(value).select_from(rows).where(*scope.where(rows), value != "")
    return list(session.scalars(query.order_by(rows.c.row_id.desc()).limit(SHOWN_TEXTS)))


# The first time that each learner answered, counted in stretches of the reader's clock.
_OVER_TIME = sa.text("""
    WITH firsts AS (
        SELECT row_id, min(created_at) AS at FROM ontask.answer WHERE action_id = :action_id GROUP BY row_id),
    scale AS (SELECT CASE WHEN max(at) - min(at) < '2 days' THEN 'hour' WHEN max(at) - min(at) < '60 days' THEN 'day'
                     WHEN max(at) - min(at) < '366 days' THEN 'week' ELSE 'month' END AS unit FROM firsts)
    SELECT unit, date_trunc(unit, at AT TIME ZONE :zone) AS start,
           date_trunc(unit, at AT TIME ZONE :zone) + CAST('1 ' || unit AS interval) AS ending, count(*) AS number
    FROM firsts, scale GROUP BY 1, 2, 3 ORDER BY 2
""")


def over_time(session: Session, action: Action, zone: ZoneInfo) -> tuple[Words, Drawing | None] | None:
    """Return when learners answered first, in words and as a picture; None before anybody has."""
    rows = session.execute(_OVER_TIME, {"action_id": action.id, "zone": zone.key}).all()
    if not rows:
        return None
    bars = [Bar(row.start, row.ending, row.number) for row in rows]
    made = Figures("time", sum(row.number for row in rows), distinct=len(rows), unit=rows[0].unit, bars=bars)
    column: Any = SimpleNamespace(type="datetime", name="Answers")
    words = Words(column, made, zone)
    return words, draw(words)


def visits(session: Session, action: Action) -> tuple[int, datetime | None]:
    """Return how many have opened the form at its link, members left out, and when somebody answered last."""
    query = sa.text("""
        SELECT count(DISTINCT user_id), (SELECT max(created_at) FROM ontask.answer WHERE action_id = :action_id)
        FROM ontask.event
        WHERE workflow_id = :workflow_id AND action_id = :action_id AND type = 'action_served'
          AND detail @> '{"outcome": "open", "as_member": false}'""")
    opened, latest = session.execute(query, {"workflow_id": action.workflow_id, "action_id": action.id}).one()
    return int(opened), latest


_BRACES = str.maketrans("{}", "()")
REMINDER = "<p>Hello,</p><p>you have not answered “{name}” yet. It takes a few minutes, and it helps.</p>"
REMINDER_TODO = "<p>Hello,</p><p>“{name}” still has items that are open. Please look at it.</p>"


def remind(session: Session, user_id: int, editor: Editor, items: Sequence[Item]) -> Action:
    """Make a message for those who have not answered, or still have open items; it is sent as any other."""
    from markupsafe import escape

    action, is_todo = editor.action, editor.action.kind == ActionKind.TODO
    name = actions.free_name(session, action.workflow_id, f"Reminder: {action.name}")
    made = actions.create(session, user_id, editor.workflow, name, "", ActionKind.TEXT)
    rules = running.without_answer(action.kind, action.filter, items)
    actions.set_filter(session, user_id, made, rules, editor.columns, editor.workflow.time_zone)
    plain = action.name.translate(_BRACES)  # they would begin a tag of the text
    text = (REMINDER_TODO if is_todo else REMINDER).format(name=escape(plain))
    named = escape(f'"{editor.names.name(f"m{action.id}")}"')
    text += f'<p><a href="{{{{ {named} }}}}">{escape(plain)}</a></p>'
    actions.save_text(session, user_id, made, text, made.version, editor.names)
    return made
