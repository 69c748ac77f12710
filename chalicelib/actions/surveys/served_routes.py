"""The form at its link: filled in by the learner whose row was found, page by page."""

from __future__ import annotations

from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.actions.kinds import Kind
from chalicelib.actions.serving.queries import Standing, status_of
from chalicelib.actions.serving.routes import late_form_of, served, served_page_of
from chalicelib.actions.serving.visiting import Visit
from chalicelib.actions.surveys import learner, queries
from chalicelib.actions.surveys.asking import Form
from chalicelib.actions.surveys.routes import FORMS
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, data
from chalicelib.web.templates import zone
from chalicelib.web.urls import url_for

#: Items of a to-do list that a home page names.
MAX_ITEMS = 5


@served_page_of(*FORMS)
def show_served_form(request: Request, visit: Visit) -> Answer:
    """Show the visitor's form, or do what one of its buttons asks for; a member of the workflow only tries it."""
    assert visit.row_id is not None, "it is open, so it is somebody's"
    form = Form(
        request.session, visit.workflow, visit.action, visit.row_id, request.user.id, zone(request.user.time_zone),
        known=visit.columns,
    )  # fmt: skip
    if request.method == "GET":
        return _page(visit, form, learner.show(form))
    shown = learner.take(form, request.form, is_trial=visit.is_member)
    if request.form.get("do") == learner.DRAFT:
        return data({"kept": True})
    return _page(visit, form, shown)


def _page(visit: Visit, form: Form, shown: learner.Shown) -> Answer:
    is_first = shown.sent is None and shown.number == 0
    answer = served(
        "actions/surveys/served.html", visit, status=422 if shown.problems else 200, shown=shown,
        intro=form.introduction() if is_first else "",
        reopen=True, form_target=url_for(
            "actions.show_served", token=visit.link.token, row=visit.row_id if visit.is_member else None
        ),
    )  # fmt: skip
    answer.keep = True  # what was typed stays
    return answer


@late_form_of(*FORMS)
def typed_too_late(request: Request, visit: Visit) -> list[tuple[str, str]]:
    """Return what was typed; questions are called by their words only where everybody is asked them."""
    found = []
    for item in queries.items(request.session, visit.action):
        typed = ", ".join(text for text in request.form.all(item.field) if text.strip())
        if typed and not item.is_heading:
            found.append((item.label if item.question.condition_id is None else "Your answer", typed))
    return found


@status_of(Kind.SURVEY)
def how_a_survey_stands(session: Session, visit: Visit) -> Standing:
    """Say whether the visitor has answered."""
    assert visit.row_id is not None, "it is open, so it is somebody's"
    is_answered = queries.is_answered(session, visit.action.id, visit.row_id)
    return Standing("answered" if is_answered else "not answered yet")


@status_of(Kind.TODO)
def how_a_list_stands(session: Session, visit: Visit) -> Standing:
    """Say how many of the items are done, and which are next: what is due first."""
    assert visit.row_id is not None, "it is open, so it is somebody's"
    form = Form(
        session, visit.workflow, visit.action, visit.row_id, visit.user.id, zone(visit.user.time_zone),
        known=visit.columns,
    )  # fmt: skip
    items = [item for item in form.visible() if not item.is_heading]
    left = [item for item in items if not form.values[item.column.id]]
    left.sort(key=lambda item: (item.question.due_at is None, item.question.due_at or clock.now()))
    note = f"{len(items) - len(left)} of {len(items)} done" if left else "all done" if items else ""
    return Standing(note, tuple((item.label, item.question.due_at) for item in left[:MAX_ITEMS]))
