"""The rubric of the sample course: how the group projects were assessed, with feedback for each level."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.actions import queries as actions_queries
from chalicelib.actions import service as actions
from chalicelib.actions.kinds import Kind
from chalicelib.actions.models import Action
from chalicelib.actions.rubrics import queries, service
from chalicelib.tables import queries as tables
from chalicelib.tables import store
from chalicelib.tables.columns.create import Details
from chalicelib.workflows.models import Workflow
from chalicelib.workflows.queries import attributes

LEVELS = ["excellent", "good", "needs work"]
TEXT = """
<p>Dear {{ First name }},</p>
<p>we have read your project. This is what we think of it:</p>
<p>{% rubric %}</p>
<p>Best wishes,<br>Ines</p>
"""
#: By criterion: its description, and for each level what it means and what learners read.
CRITERIA = {
    "Question": (
        "Is it clear what the project wants to find out?",
        ("One question that data can answer", "<p>A clear question, and one worth asking.</p>"),
        ("Clear, but too wide for the data", "<p>A good question. Next time make it smaller.</p>"),
        ("No question, or several", "<p>Begin with one sentence that ends in a question mark.</p>"),
    ),
    "Analysis": (
        "Do the methods fit the data?",
        ("Right methods, assumptions checked", "<p>The methods fit, and you have checked what they assume.</p>"),
        ("Right methods, not checked", "<p>The methods fit. Look at a histogram before a t-test.</p>"),
        ("Methods that don’t fit", "<p>See chapter 6, and come to tutorial {{ Tutorial }}.</p>"),
    ),
    "Writing": (
        "Can somebody else follow it?",
        ("Plain, complete, with captions", "<p>A pleasure to read.</p>"),
        ("Complete, some parts unclear", ""),
        ("Hard to follow", "<p>Say what a figure shows, in one sentence below it.</p>"),
    ),
}  # fmt: skip


def add(session: Session, user: User, workflow: Workflow) -> Action:
    """Make the rubric feedback, with a level in two of three criteria for everybody, and in the third for most."""
    action = actions.create(session, user.id, workflow, "Feedback on the project", "", Kind.RUBRIC)
    for name, (description, *_) in CRITERIA.items():
        service.create(session, workflow, user.id, action, Details(name, description=description, allowed=list(LEVELS)))
    names = actions_queries.names(tables.infos(session, workflow.id), [], attributes(session, workflow.id))
    actions.save_text(session, user.id, action, TEXT.strip(), action.version, names)
    grid = queries.grid(session, action.id, tables.columns(session, workflow.id))
    for line in grid.lines:
        for level, (means, says) in zip(LEVELS, CRITERIA[line.name][1:], strict=True):
            service.write(session, user.id, action, line, level, service.Writing(f"<p>{means}</p>", says), names)
    for step, line in enumerate(grid.lines):
        _assess(session, workflow, line.column.id, step)
    return action


def _assess(session: Session, workflow: Workflow, column_id: int, step: int) -> None:
    """Give every learner a level, the last criterion to nine of ten."""
    statement = f"""
        UPDATE {store.table(workflow.id)} SET c{column_id} = (CAST(:levels AS text[]))[1 + mod(row_id * 7 + :step, 3)]
        WHERE :step < 2 OR mod(row_id, 10) > 0"""
    session.execute(text(statement), {"levels": LEVELS, "step": step})
