"""Every route with every role: the declaration is what happens."""

from __future__ import annotations

import re

import pytest
from sqlalchemy.orm import Session

import app  # all routes declare themselves
from chalicelib import clock, programs
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role, WorkflowRole
from chalicelib.actions.reports.models import Attachment
from chalicelib.actions.rubrics.models import Criterion
from chalicelib.actions.surveys.models import Question
from chalicelib.audit import service as audit
from chalicelib.delivery.models import Message, Run
from chalicelib.schedules import service as schedules
from chalicelib.schedules.models import Schedule
from chalicelib.tables.history.models import TableVersion
from chalicelib.tables.models import View
from chalicelib.tables.uploads.models import Upload
from chalicelib.web.page import Access, declarations, without_csrf
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Member, Workflow
from tests.conftest import Browser, Page, launched, make_user, signed_in
from tests.factories import make_action, make_condition, make_table
from tests.programs import Answer, Program, program

ROUTES = sorted(declarations, key=str)
IN_WORKFLOWS = [route for route in ROUTES if isinstance(declarations[route], WorkflowRole)]
OUTSIDE = [route for route in ROUTES if isinstance(declarations[route], Access)]


def visit(browser: Browser, route: tuple[str, str], workflow: Workflow | None = None) -> Page:
    """Go to the route; ids that are not the workflow's belong to nothing."""
    method, pattern = route
    path = pattern.replace("{workflow_id}", str(workflow.id if workflow else 999_999))
    path = re.sub(r"{\w+_id}", "999999", path)
    path = re.sub(r"{\w+\+?}", "nothing", path)
    return browser.get(path) if method == "GET" else browser.post(path)


def is_sign_in(page: Page) -> bool:
    return page.status == 303 and page.location.partition("?")[0].endswith("/sign-in")


def member(session: Session, workflow: Workflow, role: WorkflowRole) -> User:
    user = make_user(session, f"{role}@uni.example")
    session.add(Member(workflow_id=workflow.id, user_id=user.id, role=role, created_at=clock.now()))
    session.flush()
    return user


@pytest.mark.parametrize("route", IN_WORKFLOWS, ids=" ".join)
def test_a_workflow_is_open_to_its_members_only(
    session: Session, workflow: Workflow, visitor: Browser, route: tuple[str, str]
) -> None:
    assert is_sign_in(visit(visitor, route, workflow))
    stranger = signed_in(session, make_user(session, "stranger@uni.example"))
    assert visit(stranger, route, workflow).status == 404


@pytest.mark.parametrize("route", IN_WORKFLOWS, ids=" ".join)
def test_a_member_may_do_what_their_role_says(session: Session, workflow: Workflow, route: tuple[str, str]) -> None:
    needed = declarations[route]
    assert isinstance(needed, WorkflowRole)
    for role in WorkflowRole:
        if role is WorkflowRole.OWNER and route[1].endswith("/delete"):
            continue  # would end the workflow for the roles that follow
        page = visit(signed_in(session, member(session, workflow, role)), route, workflow)
        if role.covers(needed):
            assert page.status not in {403, 500}
            assert not is_sign_in(page)
        else:
            assert page.status == 403, f"a {role} may {route}"


@pytest.mark.parametrize("route", OUTSIDE, ids=" ".join)
def test_pages_outside_workflows_open_as_declared(session: Session, visitor: Browser, route: tuple[str, str]) -> None:
    access = declarations[route]
    learner = signed_in(session, make_user(session, "learner@uni.example", Role.LEARNER))
    instructor = signed_in(session, make_user(session, "instructor@uni.example"))
    assert is_sign_in(visit(visitor, route)) == (access is not Access.EVERYBODY)
    assert visit(visitor, route).status != 500
    if access in {Access.STAFF, Access.ADMIN}:
        assert visit(learner, route).status == 404
    if access is Access.ADMIN:
        assert visit(instructor, route).status == 404
    assert visit(instructor, route).status != 500


ASKING = [route for route in ROUTES if declarations[route] is not Access.EVERYBODY and route[1] != "/sign-out"]


@pytest.mark.parametrize("route", ASKING, ids=" ".join)
def test_a_launch_opens_the_pages_of_learners_only(
    session: Session, user: User, workflow: Workflow, route: tuple[str, str]
) -> None:
    """Even to the owner of the workflow."""
    is_asked = is_sign_in(visit(launched(session, user), route, workflow))
    assert is_asked == (declarations[route] is not Access.LEARNER)


FORMS = [route for route in ROUTES if route[0] == "POST" and route not in without_csrf]


@pytest.mark.parametrize("route", FORMS, ids=" ".join)
def test_a_form_from_another_site_changes_nothing(
    session: Session, user: User, workflow: Workflow, route: tuple[str, str]
) -> None:
    browser = signed_in(session, user)
    path = re.sub(r"{\w+\+?}", "999999", route[1].replace("{workflow_id}", str(workflow.id)))
    assert browser.request("POST", path, "name=x").status == 403
    assert browser.request("POST", path, "csrf_token=wrong&name=x").status == 403


def test_every_route_says_who_may_come() -> None:
    """One that is declared to Chalice alone is open to everybody: health, files, what mails link to and show.

    Those of programs have declarations of their own, see below.
    """
    served = {(method, path) for path, methods in app.app.routes.items() for method in methods}
    assert {path for _, path in served - set(declarations)} == {
        "/healthz", "/static/{proxy+}", "/o/{token}", "/c/{token}", "/images/{name}",
        "/api/v1/{proxy+}", "/api/v2/{proxy+}",
    }  # fmt: skip
    assert set(declarations) <= served


def furnish(session: Session, workflow: Workflow, user: User) -> dict[str, int]:
    """Give the workflow one object of every kind that has an id in addresses; return the ids by parameter."""
    now = clock.now()
    ids = make_table(session, workflow, {"sid": "text", "email": "text"}, [["s1", "ada@uni.example"]])
    column_id = ids["email"]
    action = make_action(session, workflow, "<p>Hi</p>")
    rules = {"all": [{"column": column_id, "op": "is_not_null"}]}
    condition = make_condition(session, action, "has mail", rules)
    survey = make_action(session, workflow, "", "Weekly questions", kind="survey")
    question = Question(
        action_id=survey.id, column_id=column_id, kind="text", position=1, options={}, created_at=now
    )  # fmt: skip
    view = View(
        workflow_id=workflow.id, name="All", columns=[column_id], sort=[], created_at=now, updated_at=now
    )  # fmt: skip
    run = Run(
        workflow_id=workflow.id, action_id=action.id, state="done", subject="Hi", text="<p>Hi</p>", conditions=[],
        value_types={}, cc=[], bcc=[], skip_rows=[], to_column_id=column_id, created_at=now,
    )  # fmt: skip
    upload = Upload(
        workflow_id=workflow.id, user_id=user.id, filename="a.csv", state="waiting", understood={}, choices={},
        result={}, created_at=now,
    )  # fmt: skip
    version = TableVersion(workflow_id=workflow.id, reason="Before", columns=[], row_count=None, created_at=now)
    event = audit.record(session, "row_deleted", workflow_id=workflow.id, row_id=9, name="s9", values={})
    job = schedules.enqueue(
        session, "export_table", {"sort": "", "time_zone": "UTC"}, workflow_id=workflow.id, user_id=user.id
    )  # fmt: skip
    schedule = Schedule(
        workflow_id=workflow.id, action_id=action.id, kind="delivery.repeat", name="Weekly", crontab="0 8 * * 1",
        payload={"to_column_id": column_id, "subject": "Hello", "only_new": True}, time_zone="UTC", notify="never",
        state="off", created_at=now,
    )  # fmt: skip
    rubric = make_action(session, workflow, "", "Essay", kind="rubric_text")
    criterion = Criterion(action_id=rubric.id, column_id=column_id, position=1, created_at=now)
    report = make_action(session, workflow, "", "All marks", kind="email_report")
    session.add_all([schedule, view, run, upload, version, question, criterion])
    session.flush()
    attachment = Attachment(action_id=report.id, view_id=view.id, format="csv", position=1, created_at=now)
    session.add(attachment)
    session.flush()
    message = Message(
        run_id=run.id, lane="ses", row_id=1, recipient="ada@uni.example", values={}, flags={}, state="sent", rank=50
    )  # fmt: skip
    session.add(message)
    session.flush()
    return {
        "action_id": action.id, "condition_id": condition.id, "column_id": column_id, "view_id": view.id,
        "survey_id": survey.id, "question_id": question.id, "rubric_id": rubric.id, "criterion_id": criterion.id,
        "report_id": report.id, "attachment_id": attachment.id,
        "schedule_id": schedule.id,
        "run_id": run.id, "message_id": message.id, "upload_id": upload.id, "version_id": version.id,
        "event_id": event.id, "job_id": job.id, "row_id": 1,
    }  # fmt: skip


#: Segments that name a step; a route that knows none of them answers 404 to one's own objects, too.
STEPS = ("delete", "type", "copy", "restrict", "pause", "resume", "cancel", "undo", "look", "match", "check", "arrived",
         "numbers")  # fmt: skip
#: Rows are numbered in each table, so their ids are nobody's; imports belong to people, see tests/exchange.
OF_NOBODY = {"workflow_id", "row_id", "import_id"}
FOREIGN = [
    (*route, name)
    for route in IN_WORKFLOWS
    for name in re.findall(r"{(\w+_id)}", route[1])
    if name not in OF_NOBODY
]  # fmt: skip


#: Parts of the pages of one kind of action, which a message does not have, and whose they are.
OF_KINDS = {
    re.compile(r"/actions/{action_id}/(questions|answers|results|form$)"): "survey_id",
    re.compile(r"/actions/{action_id}/rubric"): "rubric_id",
    re.compile(r"/actions/{action_id}/attachments"): "report_id",
}  # fmt: skip


def owner(pattern: str) -> str:
    """Return which of the actions in `furnish` the path belongs to."""
    return next((name for which, name in OF_KINDS.items() if which.search(pattern)), "action_id")


def paths(pattern: str, ids: dict[str, int]) -> list[str]:
    pattern = pattern.replace("{action_id}", f"{{{owner(pattern)}}}")
    path = re.sub(r"{(\w+_id)}", lambda found: str(ids.get(found[1], 999_999)), pattern)
    return [re.sub(r"{(step|kind)}", step, path) for step in STEPS] if re.search(r"{(step|kind)}", path) else [path]


#: Pages of what is not ready in `furnish`: the file of a job that waits, the pages of other kinds of jobs.
NOT_YET = {
    "/workflows/{workflow_id}/actions/{action_id}/zip/{job_id}",
    "/workflows/{workflow_id}/downloads/{job_id}/file", "/workflows/{workflow_id}/export/{job_id}",
    "/workflows/{workflow_id}/log/files/{job_id}", "/workflows/{workflow_id}/table/work/{job_id}",
}  # fmt: skip


@pytest.mark.parametrize(("method", "pattern", "name"), FOREIGN, ids=str)
def test_an_object_of_another_workflow_looks_like_none(
    session: Session, user: User, workflow: Workflow, method: str, pattern: str, name: str
) -> None:
    stranger = make_user(session, "stranger@uni.example")
    theirs = furnish(session, workflows.create(session, stranger.id, "Theirs"), stranger)
    mine = furnish(session, workflow, user) | {"workflow_id": workflow.id}
    browser = signed_in(session, user)
    if name == "action_id":
        name = owner(pattern)
    for path in paths(pattern, mine | {name: theirs[name]}):
        page = browser.get(path) if method == "GET" else browser.post(path, {"name": "x", "value": "x"})
        assert page.status == 404, path


def test_ones_own_objects_are_there(session: Session, user: User, workflow: Workflow) -> None:
    """Otherwise the test before could not fail."""
    ids = furnish(session, workflow, user) | {"workflow_id": workflow.id}
    browser = signed_in(session, user)
    hidden = {
        route[1] for route in sorted({(method, pattern) for method, pattern, _ in FOREIGN})
        if route[0] == "GET" and all(browser.get(path).status == 404 for path in paths(route[1], ids))
    }  # fmt: skip
    assert hidden <= NOT_YET


#: Addresses of programs.
CLOSED = sorted(
    ((one.method, one.path) for one in programs.declarations if not one.is_open), key=str
)  # fmt: skip
NEEDED = {(one.method, one.path): one.role for one in programs.declarations}
CLOSED_IN_WORKFLOWS = [route for route in CLOSED if NEEDED[route] is not None]


def call(client: Program, route: tuple[str, str], workflow: Workflow | None = None) -> Answer:
    method, pattern = route
    path = pattern.replace("{workflow_id}", str(workflow.id if workflow else 999_999))
    path = re.sub(r"{\w+_id}", "999999", path)
    return client.send(method, re.sub(r"{\w+}", "nothing", path), {})


@pytest.mark.parametrize("route", CLOSED, ids=" ".join)
def test_a_program_needs_a_token_of_an_instructor(session: Session, workflow: Workflow, route: tuple[str, str]) -> None:
    assert call(Program(), route, workflow).status == 401
    assert call(Program("0" * 40), route, workflow).status == 401
    learner = make_user(session, "learner@uni.example", Role.LEARNER)
    assert call(program(session, learner), route, workflow).status == 403


@pytest.mark.parametrize("route", CLOSED, ids=" ".join)
def test_a_token_for_reading_changes_nothing(
    session: Session, user: User, workflow: Workflow, route: tuple[str, str]
) -> None:
    answer = call(program(session, user, "read"), route, workflow)
    assert (answer.status == 403) == (route[0] != "GET")


@pytest.mark.parametrize("route", CLOSED_IN_WORKFLOWS, ids=" ".join)
def test_a_program_may_do_in_a_workflow_what_its_person_may(
    session: Session, workflow: Workflow, route: tuple[str, str]
) -> None:
    assert call(program(session, make_user(session, "stranger@uni.example")), route, workflow).status == 404
    needed = NEEDED[route]
    assert needed is not None
    for role in WorkflowRole:
        status = call(program(session, member(session, workflow, role)), route, workflow).status
        assert status != 500
        assert (status == 403) == (not role.covers(needed)), f"a {role} and {route}"
        if status == 204:
            workflow.deleted_at = None  # for the roles that follow
            session.flush()
