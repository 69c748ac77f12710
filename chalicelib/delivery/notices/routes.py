"""The page on which administrators write the mail about ended sendings."""

from __future__ import annotations

from typing import Any

from chalice import Blueprint

from chalicelib import errors
from chalicelib.delivery.notices import service, words
from chalicelib.delivery.notices.service import Wording
from chalicelib.web.page import Access, page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, document, redirect, render

bp = Blueprint(__name__)

NOTICES = "/admin/notices"


@page(bp, NOTICES, access=Access.ADMIN)
def show_notice(request: Request) -> Answer:
    """Show the wording, what it can tell, and the mail of a made-up sending; with `sample` only that, for its frame."""
    wording = service.stored(request.session)
    if request.query.get("sample"):
        return document(service.write(wording, service.sample(), request.user.time_zone).html)
    return render("delivery/notices.html", form=wording.shown(), problems={}, **_shown(request, wording))


@page(bp, NOTICES, method="POST", access=Access.ADMIN)
def change_notice(request: Request) -> Answer:
    """Save another wording, or go back to the one that came with the product."""
    if request.form.get("action") == "original":
        service.save(request.session, request.user.id, Wording().shown())
        return redirect("delivery.show_notice", flash="The mail has its original words again.")
    typed = Wording(request.form.get("from_name"), request.form.get("subject"), request.form.get("text"))
    try:
        service.save(request.session, request.user.id, typed)
    except errors.Invalid as error:
        wording = service.stored(request.session)
        return render(
            "delivery/notices.html", status=422, form=typed, problems=error.fields, **_shown(request, wording)
        )  # fmt: skip
    return redirect(
        "delivery.show_notice", flash="Saved. Mails about sendings that end from now on are written like this."
    )


def _shown(request: Request, wording: Wording) -> dict[str, Any]:
    return {
        "values": words.VALUES.values(), "tests": words.TESTS.values(), "is_original": wording == Wording(),
        "mail": service.write(wording, service.sample(), request.user.time_zone), "from_name": wording.from_name,
    }  # fmt: skip
