"""Lists in pieces: each answer has the address of the next one, whose cursor nobody has to understand."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

from chalicelib import errors
from chalicelib.web.request import Request

DEFAULT_SIZE, MAX_SIZE = 100, 1000
QUERY = {"limit": f"How many at most, up to {MAX_SIZE}", "cursor": "From the `next` of the answer before"}


def size(request: Request) -> int:
    """Return how many are wanted.

    Raises errors.Invalid (field `limit`) for what is no number from 1 to 1,000.
    """
    wanted = request.query.whole("limit")
    if wanted is None:
        return DEFAULT_SIZE
    if not 1 <= wanted <= MAX_SIZE:
        message = f"Ask for 1 to {MAX_SIZE:,} at once."
        raise errors.Invalid(message, {"limit": message})
    return wanted


def read(request: Request) -> str:
    """Return where the list goes on; "" for its beginning.

    Raises errors.Invalid (field `cursor`) for a cursor that is none.
    """
    written = request.query.get("cursor")
    try:
        return base64.urlsafe_b64decode(written.encode()).decode()
    except ValueError as error:
        raise refused() from error


def refused() -> errors.Invalid:
    """Return the error for a cursor that is none of this list's."""
    message = "This cursor does not belong to this list."
    return errors.Invalid(message, {"cursor": message})


def after(request: Request) -> int:
    """Return the id behind which the list goes on; 0 for its beginning.

    Raises errors.Invalid as `read` does.
    """
    written = read(request) or "0"
    if not written.isascii() or not written.isdigit() or len(written) > 18:
        raise refused()
    return int(written)


def page(url: str, request: Request, items: list[Any], following: str, **more: Any) -> dict[str, Any]:
    """Return a piece of a list; `following` is where it goes on, "" at its end."""
    target = None
    if following:
        others = {name: values for name, values in request.query.lists().items() if name != "cursor"}
        cursor = base64.urlsafe_b64encode(following.encode()).decode()
        target = url + "?" + urlencode({**others, "cursor": cursor}, doseq=True)
    return {"items": items, "next": target, **more}
