"""The administrators' page of queue messages that were set aside, of whatever run, job or lane."""

from __future__ import annotations

from chalice import Blueprint

from chalicelib import clock, errors
from chalicelib.delivery.letters import service
from chalicelib.schedules import service as schedules
from chalicelib.web.page import Access, page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, redirect, render
from chalicelib.web.templates import plural

bp = Blueprint(__name__)

LETTERS = "/admin/dead-letters"


@page(bp, LETTERS, access=Access.ADMIN)
def list_letters(request: Request) -> Answer:
    """Show what waits for somebody's word, and where each belongs."""
    letters = service.open_letters(request.session)
    return render(
        "delivery/letters.html", letters=letters, names=service.NAMES,
        runs=service.places(request.session, letters),
    )  # fmt: skip


@page(bp, LETTERS, method="POST", access=Access.ADMIN)
def change_letters(request: Request) -> Answer:
    """Send one or all again, put them away, or have the queues looked at now."""
    wanted, letters = request.form.whole("letter"), service.open_letters(request.session)
    chosen = [letter for letter in letters if wanted in {None, letter.id}]
    match request.form.get("action"):
        case "again":
            count = service.send_again(request.session, request.user.id, chosen)
            said = f"{plural(count, 'message')} sent again."
        case "away":
            said = f"{plural(service.put_away(request.session, request.user.id, chosen), 'message')} put away."
        case "look":
            schedules.alarm(request.session, clock.now())
            said = "The queues are looked at within three minutes."
        case _:
            raise errors.NotFound
    return redirect("delivery.list_letters", flash=said)
