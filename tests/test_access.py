"""Every route with every role: the declaration is what happens."""

from __future__ import annotations

import re

import pytest
from sqlalchemy.orm import Session

import app  # noqa: F401  all routes declare themselves
from chalicelib import clock
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role, WorkflowRole
from chalicelib.web.page import Access, declarations, without_csrf
from chalicelib.workflows.models import Member, Workflow
from tests.conftest import Browser, Page, make_user, signed_in

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
    assert is_sign_in(visit(visitor, route)) == (access is not Access.EVERYBODY) or route[1] == "/sign-out"
    assert visit(visitor, route).status != 500
    if access in {Access.STAFF, Access.ADMIN}:
        assert visit(learner, route).status == 404
    if access is Access.ADMIN:
        assert visit(instructor, route).status == 404
    assert visit(instructor, route).status != 500


FORMS = [route for route in ROUTES if route[0] == "POST" and route not in without_csrf]


@pytest.mark.parametrize("route", FORMS, ids=" ".join)
def test_a_form_from_another_site_changes_nothing(
    session: Session, user: User, workflow: Workflow, route: tuple[str, str]
) -> None:
    browser = signed_in(session, user)
    path = re.sub(r"{\w+\+?}", "999999", route[1].replace("{workflow_id}", str(workflow.id)))
    assert browser.request("POST", path, "name=x").status == 403
    assert browser.request("POST", path, "csrf_token=wrong&name=x").status == 403
