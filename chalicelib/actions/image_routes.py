"""Pictures for texts: sent by whoever writes, loaded by whoever reads."""

from __future__ import annotations

from chalice import Blueprint, Response

from chalicelib import errors
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.actions import images
from chalicelib.actions.routes import ACTION, open_editor
from chalicelib.web import urls
from chalicelib.web.page import page
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, data

bp = Blueprint(__name__)

IMAGE_PATH = "/images/{name}"
# No transaction here: a mail's pictures load even while the database sleeps.
urls.register("actions.show_image", IMAGE_PATH)


@bp.route(IMAGE_PATH)
def show_image(name: str) -> Response:
    """Lead to a picture of a mail; its address is the proof that it was put there by us."""
    address = images.where(name)
    if address is None:
        return Response("There is no such picture.", status_code=404, headers={"Content-Type": "text/plain"})
    headers = {"Location": address, "Cache-Control": "private, max-age=120", "Referrer-Policy": "no-referrer"}
    return Response("", status_code=302, headers=headers)


@page(bp, ACTION + "/images", method="POST", role=WorkflowRole.EDITOR)
def add_image(request: Request, action_id: int) -> Answer:
    """Begin to send a picture, or say that it has arrived; answers in JSON to the script."""
    open_editor(request, action_id)
    workflow_id = request.workflow.id
    try:
        if name := request.form.get("arrived"):
            shown = images.arrived(workflow_id, name)
            return data({"address": urls.absolute_url_for("actions.show_image", name=shown)})
        name, form = images.begin(workflow_id, request.form.get("type"), request.form.whole("size") or 0)
    except errors.Invalid as error:
        return data({"message": error.message}, error.status)
    return data({"name": name, "url": form.url, "fields": form.fields})
