"""A launch arrives: check it, open a session, send the browser on to where the launch was posted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode
from uuid import uuid4

from chalicelib import errors, signing
from chalicelib.accounts import recognition, service, sessions
from chalicelib.accounts.lti import launches, people, signature
from chalicelib.accounts.lti.credentials import Credential
from chalicelib.accounts.lti.refusals import Refused, way_back
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import Role
from chalicelib.audit import service as audit
from chalicelib.logs import logger
from chalicelib.web import cookies
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect, render
from chalicelib.web.urls import path_for, prefix

#: From the launch to the page that looks whether the browser keeps our cookie; a slow phone, not a forgotten tab.
ARRIVAL = timedelta(minutes=5)


def enter(request: Request) -> Answer:
    """Answer a launch: on with a new session, or a page that says why not."""
    request.may_be_framed = True
    told = request.form.as_dict()
    signed: dict[str, str] = {}
    try:
        path = request.path.removeprefix(prefix())
        credential = signature.check(request.session, path, request.query.lists(), request.body)
        signed = told
        user, is_learner = _person(request, credential, signed)
    except Refused as refused:
        return _refused(request, refused, signed)
    session_id = _session(request, user, is_learner=is_learner)
    launches.keep(request.session, session_id, credential.key, signed)
    claims = {"sid": session_id, "to": _target(path, request.query.lists()), "id": str(uuid4())}
    answer = redirect("accounts.show_arrival", token=signing.sign("arrival", claims, ARRIVAL))
    answer.cookies.append(cookies.of_session(cookies.LAUNCH, session_id))
    return answer


def _person(request: Request, credential: Credential, signed: Mapping[str, str]) -> tuple[User, bool]:
    """Return who comes, and whether they come with the rights of a learner only."""
    roles = people.roles(signed, credential)
    if not people.may_enter(roles):
        raise Refused("role")
    if not (email := people.email(signed)):
        raise Refused("no_email")
    proof = service.LaunchProof(email, people.name(signed), people.is_instructor(roles, credential))
    try:
        user = service.user_for(request.session, proof)
    except errors.Invalid as error:
        raise Refused("bad_email") from error
    except errors.Forbidden as error:
        raise Refused("closed") from error
    # No LMS is believed about administrators: whoever can set an address there would be one here.
    return user, not (proof.is_instructor and user.role == Role.INSTRUCTOR)


def _session(request: Request, user: User, *, is_learner: bool) -> str:
    """Return the session of this visit: the one that the frame beside has, for the same person; else a new one."""
    here = recognition.session_id_in(request, cookies.LAUNCH)
    for known, row in sessions.find(request.session, [here] if here else []):
        if known.id == user.id and row.kind == sessions.Kind.LAUNCH and row.is_learner == is_learner:
            sessions.keep_alive(request.session, row)
            return here
    agent = request.headers.get("user-agent", "")
    return sessions.begin(request.session, user, agent, sessions.Kind.LAUNCH, is_learner=is_learner)


def _target(path: str, query: dict[str, list[str]]) -> str:
    if path.rstrip("/") == path_for("accounts.show_arrival"):
        return path_for("accounts.show_home")
    return path + ("?" + urlencode(query, doseq=True) if query else "")


def _refused(request: Request, refused: Refused, signed: Mapping[str, str]) -> Answer:
    logger().warning("a launch was refused", extra={"reason": refused.reason})
    if signed:  # anybody can post what is not signed: it would fill the log
        key = signed.get("oauth_consumer_key", "")
        audit.record(request.session, "launch_refused", reason=refused.reason, consumer_key=key)
    back = way_back(signed, refused.message)
    answer = render("accounts/not_opened.html", status=refused.status, message=refused.message, back=back)
    answer.keep = True
    return answer
