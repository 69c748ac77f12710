"""Sign in, sign out, the one-time link, and one's own profile."""

from __future__ import annotations

from zoneinfo import available_timezones

from chalice import Blueprint

from chalicelib import clock, errors
from chalicelib.accounts import home, passwords, personal_links, service, sessions, tokens, visits
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import STAFF
from chalicelib.audit import service as audit
from chalicelib.web import cookies
from chalicelib.web.page import Access, page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, data, redirect, redirect_to, render
from chalicelib.web.urls import prefix, url_for

bp = Blueprint(__name__)


def _signed_in(request: Request, user: User, target: str) -> Answer:
    """Open a new session, never an old one's id: a planted cookie must not become a signed-in one."""
    is_remembered = request.form.checked("remember")
    agent = request.headers.get("user-agent", "")
    session_id = sessions.begin(request.session, user, agent, is_remembered=is_remembered)
    answer = redirect_to(target)
    lifetime = sessions.REMEMBERED if is_remembered else None
    answer.cookies += [cookies.of_session(cookies.SESSION, session_id, lifetime), cookies.remove(cookies.VISITOR)]
    return answer


def _safe_target(next_path: str, user: User | None) -> str:
    """Only paths of this site, else the home of this person.

    `//host` and `/\\host` would lead elsewhere, and browsers drop tabs and line ends before they look.
    """
    if next_path.startswith("/") and not next_path.startswith(("//", "/\\")) and next_path.isprintable():
        return next_path
    is_staff = user is None or user.role in STAFF
    return url_for("workflows.list_workflows" if is_staff else "accounts.show_home")


@page(bp, "/sign-in", access=Access.EVERYBODY)
def show_sign_in(request: Request) -> Answer:
    """Show the form; somebody who is signed in goes on."""
    if request.signed_in:
        return redirect_to(_safe_target(request.query.get("next"), request.signed_in))
    return render("accounts/sign_in.html", next=request.query.get("next"), email="", error="", remember=False)


@page(bp, "/sign-in", method="POST", access=Access.EVERYBODY)
def sign_in(request: Request) -> Answer:
    """Check address and password."""
    email, next_path = request.form.get("email"), request.form.get("next")
    try:
        proof = service.PasswordProof(email, request.form.get("password"), request.address)
        user = service.user_for(request.session, proof)
    except (errors.Invalid, errors.Limit) as error:
        answer = render(
            "accounts/sign_in.html", status=error.status, next=next_path, email=email, error=error.message,
            remember=request.form.checked("remember"),
        )  # fmt: skip
        answer.keep = True  # the brake on guessing counts
        return answer
    return _signed_in(request, user, _safe_target(next_path, user))


@page(bp, "/sign-out", method="POST", access=Access.LEARNER)
def sign_out(request: Request) -> Answer:
    """End every session of this browser, here and in the database."""
    for session_id in request.session_ids:
        sessions.end(request.session, session_id)
    answer = redirect("accounts.show_sign_in", flash="You are signed out.")
    answer.cookies += [cookies.remove(cookies.SESSION), cookies.remove(cookies.LAUNCH, is_partitioned=True)]
    return answer


@page(bp, "/keep_alive", method="POST", access=Access.LEARNER)
def keep_alive(_request: Request) -> Answer:
    """Let the session go on: every request does."""
    return data({})


@page(bp, "/enter/{token}", access=Access.EVERYBODY)
def follow_personal_link(request: Request, token: str) -> Answer:
    """Open the address of a personal link for the person whom it names."""
    try:
        user = service.user_for(request.session, service.MailProof(token))
    except (errors.Invalid, errors.Forbidden) as error:
        return render("accounts/not_opened.html", status=error.status, message=error.message, back="")
    target = personal_links.read(token).path
    own = target.partition("?")[0]
    session_id = sessions.begin_by_link(request.session, user, request.headers.get("user-agent", ""), own)
    answer = redirect_to(prefix() + target)
    answer.cookies.append(cookies.of_session(cookies.LINK, session_id, sessions.LINK_LIFETIME, path=own))
    return answer


@page(bp, "/home", access=Access.LEARNER)
def show_home(request: Request) -> Answer:
    """List what is open to this person as a learner."""
    return render("accounts/home.html", classes=home.open_to(request.session, request.user.id))


@page(bp, "/welcome/{token}", access=Access.EVERYBODY)
def show_welcome(request: Request, token: str) -> Answer:
    """Show the form that sets the first password."""
    user = service.user_for(request.session, service.LinkProof(token))
    return render("accounts/welcome.html", token=token, email=user.email, error="")


@page(bp, "/welcome/{token}", method="POST", access=Access.EVERYBODY)
def set_first_password(request: Request, token: str) -> Answer:
    """Set the password, spend the link, take over the browser's time zone, sign in."""
    user = service.user_for(request.session, service.LinkProof(token))
    try:
        if request.form.get("password") != request.form.get("again"):
            raise errors.Invalid("", {"password": "The two passwords differ; type the same one twice."})
        service.set_password(request.session, user, request.form.get("password"))
    except errors.Invalid as error:
        return render(
            "accounts/welcome.html", status=422, token=token, email=user.email, error=error.fields["password"]
        )  # fmt: skip
    service.spend_link(request.session, token)
    if (zone := request.form.get("time_zone")) in available_timezones():
        service.change_profile(user, user.name, zone)
    return _signed_in(request, user, _safe_target("", user))


@page(bp, "/me", access=Access.SIGNED_IN)
def show_profile(request: Request) -> Answer:
    """Show one's own name, time zone and password form."""
    return _profile(request, {})


def _profile(request: Request, problems: dict[str, str], *, new_token: str = "") -> Answer:
    status = 422 if problems else 200
    zones = sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")
    return render(
        "accounts/profile.html", status=status, zones=zones, problems=problems, form=request.form.as_dict(),
        visits=visits.of_user(request.session, request.user.id, request.session_id),
        tokens=tokens.of_user(request.session, request.user.id), lifetimes=tokens.LIFETIMES, new_token=new_token,
        may_have_tokens=request.user.role in STAFF, now=clock.now(),
    )  # fmt: skip


@page(bp, "/me", method="POST", access=Access.SIGNED_IN)
def change_profile(request: Request) -> Answer:
    """Change name and time zone."""
    try:
        service.change_profile(request.user, request.form.get("name"), request.form.get("time_zone"))
        audit.record(request.session, "profile_changed", user_id=request.user.id, time_zone=request.user.time_zone)
    except errors.Invalid as error:
        return _profile(request, error.fields)
    return redirect("accounts.show_profile", flash="Saved.")


@page(bp, "/me/sessions", method="POST", access=Access.SIGNED_IN)
def end_sessions(request: Request) -> Answer:
    """End one of one's own sessions, or all but this one."""
    if request.form.checked("others"):
        sessions.end_others(request.session, request.user.id, request.session_id)
        return redirect("accounts.show_profile", flash="You are signed out everywhere else.")
    visits.end(request.session, request.user.id, request.form.get("end"))
    return redirect("accounts.show_profile", flash="That session is over.")


@page(bp, "/me/tokens", method="POST", access=Access.STAFF)
def change_tokens(request: Request) -> Answer:
    """Make a token for a program and show it, this once; or revoke one (`revoke`, its id)."""
    if (token_id := request.form.whole("revoke")) is not None:
        name = tokens.revoke(request.session, request.user.id, token_id)
        return redirect("accounts.show_profile", flash=f"“{name}” can’t come in any more.")
    try:
        made = tokens.make(
            request.session, request.user, request.form.get("program"), request.form.get("scope"),
            request.form.whole("days"),
        )  # fmt: skip
    except errors.Invalid as error:
        return _profile(request, error.fields)
    return _profile(request, {}, new_token=made)


@page(bp, "/me/password", method="POST", access=Access.SIGNED_IN)
def change_password(request: Request) -> Answer:
    """Change one's own password; other sessions end."""
    new = request.form.get("password")
    try:
        if not passwords.verify(request.user.password_hash, request.form.get("old")):
            raise errors.Invalid("", {"old": "This is not your present password."})
        if new != request.form.get("again"):
            raise errors.Invalid("", {"again": "The two new passwords differ; type the same one twice."})
        service.set_password(request.session, request.user, new, keep_session=request.session_id)
    except errors.Invalid as error:
        return _profile(request, error.fields)
    return redirect("accounts.show_profile", flash="Your password is changed. You were signed out everywhere else.")
