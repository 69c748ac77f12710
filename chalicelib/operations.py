"""What `make deploy` asks of an installation, through the function `migrate`: schema, first administrator, a try."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from chalicelib import clock, database
from chalicelib.accounts import service as accounts
from chalicelib.accounts.roles import Role
from chalicelib.aws import secrets
from chalicelib.database import migrate, roles
from chalicelib.delivery import doubt
from chalicelib.schedules import service as schedules
from chalicelib.schedules.jobs import Task, job
from chalicelib.settings import settings
from chalicelib.web.urls import absolute_url_for

TRY = "operations.try"


def do(event: dict[str, Any]) -> dict[str, Any]:
    """Do what the event asks: `migrate` (unless it says something else), `first admin`, `try`, `look`."""
    match event.get("do", "migrate"):
        case "first admin":
            return _first_admin(str(event["email"]))
        case "try":
            return _try()
        case "look":
            return _look(event["jobs"])
        case _:
            return _migrate()


def _migrate() -> dict[str, Any]:
    """Bring the schema up to date and give the working role its rights on it."""
    found = migrate.upgrade()
    secret = settings().app_database_secret
    if secret:
        secrets.forget()  # a warm function may have read it before it was rotated
        with database.scope() as session:
            roles.prepare(session, *secrets.login(secret))
    return found


def _first_admin(email: str) -> dict[str, Any]:
    """Make the administrator's account; return a link to set a password until there is one."""
    with database.scope() as session:
        user = accounts.find_by_email(session, email)
        if user is None:
            _, token = accounts.create_user(session, email, "", Role.ADMIN)
        elif user.password_hash is None:
            token = accounts.make_link(session, user)
        else:
            return {}
        return {"link": absolute_url_for("accounts.show_welcome", token=token)}


def _try() -> dict[str, Any]:
    """Add a job that the queue has to bring and one that an alarm has to wake; return their ids."""
    with database.scope() as session:
        queue = schedules.enqueue(session, TRY, {})
        alarm = schedules.enqueue(session, TRY, {}, due_at=clock.now() + timedelta(minutes=1))
        return {"jobs": {"queue": queue.id, "alarm": alarm.id}}


@job(TRY)
def tried(_task: Task) -> None:
    """Do nothing: that it was done is the proof."""


def _look(jobs: dict[str, int]) -> dict[str, Any]:
    """Return how the jobs of `try` stand, and when the latest mail of which an event arrived was sent."""
    with database.scope() as session:
        found: dict[str, Any] = {name: schedules.state(session, job_id) for name, job_id in jobs.items()}
        proven_at = doubt.proven_at(session, settings().ses_configuration_set)
        return {**found, "mail": proven_at.isoformat() if proven_at else None}
