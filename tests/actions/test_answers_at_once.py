"""Many who answer at the same moment, while new data is merged: no answer is lost, nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from zoneinfo import ZoneInfo

from sqlalchemy import select, text

from chalicelib import clock, database
from chalicelib.accounts.roles import Role
from chalicelib.actions.models import Action
from chalicelib.actions.surveys import answers, applying, sending
from chalicelib.actions.surveys.asking import Form
from chalicelib.actions.surveys.models import Answer, Question
from chalicelib.schedules import jobs
from chalicelib.schedules.models import Job
from chalicelib.tables import store
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.conftest import make_user
from tests.factories import make_action, make_table

LEARNERS = 12


def make_survey() -> tuple[int, int, dict[str, int], int]:
    """A survey of two questions in a database of its own; return workflow, action, questions by name, user."""
    with database.scope() as session:
        user = make_user(session, "ada@uni.example", Role.LEARNER)
        workflow = workflows.create(session, user.id, "Biology 101")
        rows = [[f"s{number}", None, None] for number in range(1, LEARNERS + 1)]
        columns = make_table(session, workflow, {"sid": "text", "mood": "text", "hours": "integer"}, rows)
        action = make_action(session, workflow, "", "Weekly", "survey")
        made = {}
        for position, (name, kind) in enumerate({"mood": "text", "hours": "number"}.items(), 1):
            question = Question(
                action_id=action.id, column_id=columns[name], kind=kind, position=position, options={},
                is_once=name == "hours", created_at=clock.now(),
            )  # fmt: skip
            session.add(question)
            session.flush()
            made[name] = question.id
        return workflow.id, action.id, made, user.id


def send(survey: tuple[int, int, dict[str, int], int], row: int, **typed: str) -> int:
    """Send the form of one learner in a transaction of its own; return how many answers were new."""
    workflow_id, action_id, questions, user_id = survey
    with database.scope() as session:
        workflow, action = session.get(Workflow, workflow_id), session.get(Action, action_id)
        assert workflow is not None
        assert action is not None
        form = Form(session, workflow, action, row, user_id, ZoneInfo("UTC"))
        fields = {f"q{questions[name]}": [value] for name, value in typed.items()}
        return sending.send(form, fields, answers.LINK).stored


def at_once(*calls: Callable[[], object]) -> None:
    """Do all of them at the same time, and raise what one of them raised."""
    problems: list[BaseException] = []
    ready = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        try:
            ready.wait(10)
            call()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []


def do_jobs() -> None:
    with database.scope() as session:
        waiting = list(session.scalars(select(Job.id).where(Job.kind == answers.APPLY, Job.state == "queued")))
    for job_id in waiting:
        jobs.run(job_id)


def table(survey: tuple[int, int, dict[str, int], int]) -> dict[int, tuple[str | None, int | None]]:
    with database.scope() as session:
        columns = session.execute(text("SELECT name, id FROM ontask.column")).all()
        ids = dict(columns)
        query = f"SELECT row_id, c{ids['mood']}, c{ids['hours']} FROM {store.table(survey[0])} ORDER BY row_id"
        return {row[0]: (row[1], row[2]) for row in session.execute(text(query))}


def test_learners_who_answer_at_once_lose_nothing(fresh_database: str) -> None:
    survey = make_survey()
    at_once(*(lambda row=row: send(survey, row, mood=f"mood {row}", hours=str(row)) for row in range(1, LEARNERS + 1)))
    do_jobs()
    assert table(survey) == {row: (f"mood {row}", row) for row in range(1, LEARNERS + 1)}


def test_two_devices_of_one_learner_the_later_wins_and_a_first_answer_stays_the_first(fresh_database: str) -> None:
    survey = make_survey()
    at_once(*(lambda number=number: send(survey, 1, mood=f"mood {number}", hours=str(number)) for number in (1, 2, 3)))
    do_jobs()
    with database.scope() as session:
        given = session.scalars(select(Answer).order_by(Answer.id)).all()
        moods = [answer.values[next(key for key in answer.values)] for answer in given]
        hours = [value for answer in given for key, value in answer.values.items() if value.isdecimal()]
    assert len(given) == 3
    assert len(hours) == 1  # the others found it answered
    assert table(survey)[1] == (moods[-1], int(hours[0]))


def test_an_answer_during_a_merge_is_taken_at_once_and_survives_it(fresh_database: str) -> None:
    survey = make_survey()
    workflow_id = survey[0]
    with database.scope() as merging:
        store.lock_for_bulk(merging, workflow_id)
        copy = f"learners.b{workflow_id}"
        name = store.table(workflow_id)
        merging.execute(text(f"CREATE TABLE {copy} AS SELECT * FROM {name}"))  # as a merge does, before the answer
        assert send(survey, 2, mood="meanwhile") == 1
        do_jobs()  # it finds the table locked and waits
        with database.scope() as session:
            assert session.scalars(select(Answer)).one().applied_at is None
            states = session.scalars(select(Job.state).where(Job.kind == answers.APPLY).order_by(Job.id)).all()
            assert states == ["done", "queued"]  # another one goes on in a moment
        store.finish_table(merging, copy, [], first_free=LEARNERS + 1)
        store.rename(merging, name, "learners.v1")
        store.rename(merging, copy, name)
    with database.scope() as session:
        workflow = session.get(Workflow, workflow_id)
        assert workflow is not None
        assert applying.apply(session, workflow, answers.APPLY) == 1
    assert table(survey)[2] == ("meanwhile", None)


def test_answers_that_come_while_others_are_put_into_the_table_wait_for_their_own_round(fresh_database: str) -> None:
    survey = make_survey()

    def keep_sending() -> None:
        for number in range(15):
            send(survey, 1 + number % LEARNERS, mood=f"mood {number}")

    def keep_applying() -> None:
        for _ in range(10):
            do_jobs()

    at_once(keep_sending, keep_sending, keep_applying, keep_applying)
    do_jobs()
    with database.scope() as session:
        last: dict[int, str] = {}
        for answer in session.scalars(select(Answer).order_by(Answer.id)):
            last[answer.row_id] = next(iter(answer.values.values()))
            assert answer.applied_at is not None
    assert {row: mood for row, (mood, _) in table(survey).items()} == {**dict.fromkeys(table(survey)), **last}
