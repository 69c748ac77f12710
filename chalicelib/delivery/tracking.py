"""What mails link to: the pixel, the tracked links, and the way out (RFC 8058). Nobody is signed in here."""

from __future__ import annotations

from base64 import b64decode

from chalice import Blueprint, Response

from chalicelib import clock, errors
from chalicelib.aws import queue
from chalicelib.delivery import agents, links, suppression
from chalicelib.delivery.news import CLICK, OPEN
from chalicelib.logs import logger
from chalicelib.settings import settings
from chalicelib.web import urls
from chalicelib.web.page import Access, page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, render

bp = Blueprint(__name__)

PIXEL_PATH, LINK_PATH = "/o/{token}", "/c/{token}"
#: A transparent picture of one by one pixel.
PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
HEADERS = {"Cache-Control": "no-store, private", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}

# No transaction here: a pixel must answer at once even while the database sleeps. A queue takes note.
urls.register("delivery.open_pixel", PIXEL_PATH)
urls.register("delivery.follow_link", LINK_PATH)


@bp.route(PIXEL_PATH)
def open_pixel(token: str) -> Response:
    """Note that a mail was opened; answer with the picture, whatever the token."""
    message_id = links.message_of("open", token)
    if message_id is None:
        logger().info("pixel with a bad token")
    else:
        _note({"hit": OPEN, "message": message_id})
    accepts = bp.current_app.current_request.headers.get("accept", "")
    if "*/*" not in accepts and "image/gif" not in accepts:  # the gateway refuses to send it binary data
        return Response("", status_code=204, headers=HEADERS)
    return Response(PIXEL, headers={**HEADERS, "Content-Type": "image/gif"})


@bp.route(LINK_PATH)
def follow_link(token: str) -> Response:
    """Note that a link was followed and lead on to where it goes; an altered one leads nowhere."""
    target = (bp.current_app.current_request.query_params or {}).get("to", "")
    message_id = links.message_of("click", token, target)
    if message_id is None or not target.startswith(("http://", "https://")):
        body = "This link is damaged. Please open it from the mail again."
        return Response(body, status_code=404, headers={**HEADERS, "Content-Type": "text/plain; charset=utf-8"})
    _note({"hit": CLICK, "message": message_id, "url": target})
    return Response("", status_code=302, headers={**HEADERS, "Location": target})


def _note(hit: dict[str, object]) -> None:
    try:
        agent = bp.current_app.current_request.headers.get("user-agent", "")
        is_machine = agents.is_machine(agent)  # who it was is not kept
        queue.send(settings().events_queue, {**hit, "at": clock.now().isoformat(), "machine": is_machine})
    except errors.Unavailable:
        logger().warning("a hit was lost", extra={"message_id": hit["message"]})


@page(bp, "/u/{token}", access=Access.EVERYBODY)
def unsubscribe(request: Request, token: str) -> Answer:
    """Show what somebody gets and ask what they want: mail scanners follow links, too, so that this changes nothing."""
    return _wishes(request, token, "")


@page(bp, "/u/{token}", method="POST", access=Access.EVERYBODY, csrf=False)
def confirm_unsubscribe(request: Request, token: str) -> Answer:
    """Do what a person chose; at a mail program's word (RFC 8058) stop the mail of this workflow."""
    message_id, wish = _message(token), request.form.get("wish")
    if wish == "again":
        suppression.resume(request.session, message_id)
    else:
        suppression.stop(request.session, message_id, everywhere=wish == "nothing")
    request.session.flush()
    return _wishes(request, token, wish or "stop")


def _wishes(request: Request, token: str, done: str) -> Answer:
    address, name, is_here, is_everywhere = suppression.wishes(request.session, _message(token))
    return render(
        "delivery/unsubscribe.html", address=address, name=name, is_here=is_here, is_everywhere=is_everywhere,
        token=token, done=done,
    )  # fmt: skip


def _message(token: str) -> int:
    message_id = links.message_of("unsubscribe", token)
    if message_id is None:
        raise errors.NotFound("This link is damaged. Please open it from the mail again.")
    return message_id
