"""Where launches are posted, and the way from a frame of the LMS into a window of its own."""

from __future__ import annotations

from chalice import Blueprint

from chalicelib import errors, signing
from chalicelib.accounts.lti import hand_over
from chalicelib.web import cookies
from chalicelib.web.page import Access, page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect_to, render
from chalicelib.web.urls import prefix

bp = Blueprint(__name__)


@page(bp, "/lti_entry", method="POST", access=Access.EVERYBODY)
def no_launch(_request: Request) -> Answer:
    """Refuse a form that is no launch; a launch never comes this far."""
    return _refused("This address is for your LMS alone. Please open OnTask from your course.", 403)


@page(bp, "/lti_entry", access=Access.EVERYBODY)
def show_arrival(request: Request) -> Answer:
    """Look whether the browser has kept the cookie of the launch; lead on, or explain."""
    request.may_be_framed = True
    if not (given := request.query.get("token")):
        return no_launch(request)
    claims = signing.read("arrival", given)
    if claims is None:
        return _refused("This page was open for too long. Please open it again in your course.", 422)
    is_first = hand_over.use_up(request, "arrival", claims)
    if claims["sid"] in request.session_ids:
        return redirect_to(prefix() + claims["to"])
    if not is_first:
        return _refused(hand_over.WORKS_ONCE, 422)
    return render("accounts/lti/no_cookies.html", token=hand_over.token(claims["sid"], claims["to"]))


def _refused(message: str, status: int) -> Answer:
    return render("accounts/not_opened.html", status=status, message=message, back="")


@page(bp, "/hand-over", method="POST", access=Access.EVERYBODY, csrf=False)
def go_on_in_a_window(request: Request) -> Answer:
    """Go on in this window with the visit of a frame; the token in the form is the proof, and good once."""
    try:
        session_id, path = hand_over.take(request, request.form.get("token"))
    except errors.Invalid as error:
        return _refused(error.message, error.status)
    answer = redirect_to(prefix() + path)
    answer.cookies.append(cookies.of_session(cookies.LAUNCH, session_id))
    return answer
