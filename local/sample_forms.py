"""The forms of the sample course: a survey that six in ten have answered, and who came to the tutorials."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.actions import service as actions
from chalicelib.actions.kinds import Kind as ActionKind
from chalicelib.actions.models import Action
from chalicelib.actions.surveys import answers, applying, queries, service
from chalicelib.actions.surveys.forms import Wish
from chalicelib.actions.surveys.kinds import Kind
from chalicelib.actions.surveys.models import Answer
from chalicelib.tables import store
from chalicelib.workflows.models import Workflow

SHARE = 0.6
PREPARED = ["lecture notes", "videos", "exercises", "forum"]
HARDEST = ["sampling", "confidence intervals", "tests", "regression"]
WISHES = (
    "More worked examples, please.", "The pace is fine.", "Could we have the slides before the lecture?",
    "The tutorial helped a lot.", "I got lost at p-values.", "More time for questions.", "Shorter videos!",
    "The forum is quick to answer, thanks.",
)  # fmt: skip
QUESTIONS = (
    Wish(
        Kind.SCALE, "How sure are you about what we did so far?", "There is no wrong answer.", "Sure so far", "integer",
        [1, 2, 3, 4, 5], {"low": 1, "high": 5, "low_label": "not at all", "high_label": "very"}, is_required=True,
    ),
    Wish(Kind.CHOICES, "What do you use to prepare?", name="Prepares with", options={"choices": PREPARED}),
    Wish(Kind.CHOICE, "What was hardest?", name="Hardest part", allowed=list(HARDEST)),
    Wish(
        Kind.NUMBER, "How many hours did you study last week?", name="Hours a week", type="integer",
        options={"min": 0, "max": 80},
    ),
    Wish(Kind.LONG, "What should we do differently?", name="Wishes"),
)  # fmt: skip
TUTORIALS = ("Tutorial 1: describing data", "Tutorial 2: sampling", "Tutorial 3: confidence intervals")


def add(session: Session, user: User, workflow: Workflow, now: datetime, seed: int) -> None:
    """Make the forms and answer them; `now` is when the last answer comes."""
    chance = random.Random(seed)
    row_ids = list(session.scalars(text(f"SELECT row_id FROM {store.table(workflow.id)} ORDER BY row_id")))
    survey = _form(session, user, workflow, "How is the course going?", ActionKind.SURVEY, QUESTIONS)
    names = [f"c{one.column_id}" for one in queries.questions(session, survey.id)]
    for row_id in row_ids:
        if chance.random() < SHARE:
            at = now - timedelta(hours=min(chance.expovariate(1 / 20), 70))
            _answer(session, survey, row_id, dict(zip(names, _opinion(chance), strict=True)), answers.LINK, at)
    wishes = tuple(Wish(Kind.TICK, name, name=name, type="boolean") for name in TUTORIALS)
    came = _form(session, user, workflow, "Attendance in the tutorials", ActionKind.TODO, wishes)
    names = [f"c{one.column_id}" for one in queries.questions(session, came.id)]
    for row_id in row_ids:
        diligence = chance.betavariate(3, 1.2)
        ticks = {name: "true" for name in names[:2] if chance.random() < diligence}
        if ticks:
            _answer(session, came, row_id, ticks, answers.ENTRY, now - timedelta(hours=30), user.id)
    session.flush()
    applying.apply(session, workflow, answers.APPLY)


def _form(
    session: Session, user: User, workflow: Workflow, name: str, kind: ActionKind, wishes: tuple[Wish, ...]
) -> Action:
    action = actions.create(session, user.id, workflow, name, "", kind)
    for wish in wishes:
        service.add(session, workflow, user.id, action, wish)
    return action


def _opinion(chance: random.Random) -> list[str | None]:
    """Return the answers of one learner: those who are sure study more, and not everybody answers everything."""
    sure = min(5, max(1, round(chance.gauss(3.3, 1.1))))
    used = [one for one, share in zip(PREPARED, (0.8, 0.6, 0.4, 0.2), strict=True) if chance.random() < share]
    return [
        str(sure), "; ".join(used) or None, chance.choices(HARDEST, (1, 4, 3, 2))[0],
        str(max(0, round(chance.gauss(2 + sure, 2)))), chance.choice(WISHES) if chance.random() < 0.15 else None,
    ]  # fmt: skip


def _answer(
    session: Session, action: Action, row_id: int, values: Mapping[str, Any], origin: str, at: datetime,
    user_id: int | None = None,
) -> None:  # fmt: skip
    given = {name: value for name, value in values.items() if value is not None}
    session.add(
        Answer(
            workflow_id=action.workflow_id, action_id=action.id, row_id=row_id, user_id=user_id, origin=origin,
            values=given, created_at=at,
        )
    )  # fmt: skip
