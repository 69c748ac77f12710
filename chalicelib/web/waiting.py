"""The page that waits for a database which was asleep or is being updated, and then repeats the request by itself.

Only a request that never reached the database is repeated, so that nothing is done twice. When the connection broke
later the page says what is known instead. Programs and parts of pages get the plain 503.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from chalicelib import errors
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer, data

#: Seconds until the request is repeated.
ASLEEP_SECONDS, UPDATING_SECONDS = 4, 10
#: A form comes back inside the page, where quotes and tags take more room; Lambda answers 6 MB at most.
MAX_FORM_BYTES = 1_000_000


def answer(raw: Any, request: Request, error: errors.Unavailable) -> Answer:
    """Return the waiting page, or for programs and parts of pages the bare 503."""
    seconds = UPDATING_SECONDS if isinstance(error, errors.Updating) else ASLEEP_SECONDS
    headers = {"Retry-After": str(seconds)}
    if request.wants_part:
        headers |= {"HX-Retarget": "#toasts", "HX-Reswap": "innerHTML"}  # a poll must not pile them up
        toast = {"message": error.message, "fields": {}}
        return Answer(status=error.status, template="_toast.html", context=toast, headers=headers)
    if _wants_data(request):
        found = data({"message": error.message}, error.status)
        found.headers |= headers
        return found
    # Reading again is harmless whenever the connection broke; anything else only when it never began.
    again = (
        (errors.Asleep, errors.Updating, errors.Lost) if request.method == "GET" else (errors.Asleep, errors.Updating)
    )
    is_harmless = isinstance(error, again)
    fields = _fields(raw) if is_harmless and request.method == "POST" else []
    context = {
        "message": error.message,
        "is_updating": isinstance(error, errors.Updating),
        "is_repeated": is_harmless and fields is not None,
        "is_too_long": fields is None,
        "fields": fields,
        "seconds": seconds,
    }
    return Answer(status=error.status, template="waiting.html", context=context, headers=headers)


def _wants_data(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def _fields(raw: Any) -> list[tuple[str, str]] | None:
    """Return the form's fields as they were sent, the CSRF token among them; None when they can't be sent again."""
    body = raw.raw_body
    if len(body) > MAX_FORM_BYTES:
        return None
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20_000, errors="strict")
    except ValueError:
        return None
