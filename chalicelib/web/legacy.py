"""Errors of the older addresses, in the form that the programs of OnTask 11 know."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from chalicelib import errors
from chalicelib.accounts.tokens import Unrecognised
from chalicelib.settings import settings
from chalicelib.web import problems
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer

DEFAULT_SIZE, MAX_SIZE = 100, 1000
Item = TypeVar("Item")


class Refused(errors.AppError):
    """Raised where OnTask 11 answers with a status and a body of its own; `body` is any JSON."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body


def problem(request: Request, error: errors.AppError) -> Answer:
    """Return the answer that tells the error: `detail`, or a list of messages by field."""
    status, told = error.status, _told(error)
    if isinstance(error, errors.Invalid):
        status = 400
    headers = {"Content-Type": "application/json", **problems.headers_of(error)}
    if isinstance(error, Unrecognised):
        headers["WWW-Authenticate"] = 'Basic realm="api"'
    if status == 500 and not isinstance(error, Refused):
        told["request_id"] = request.id
    return Answer(status=status, body=json.dumps(told, ensure_ascii=False), headers=headers)


def _told(error: errors.AppError) -> Any:
    if isinstance(error, Refused):
        return error.body
    if isinstance(error, errors.Invalid) and error.fields:
        return {"detail": error.message, **{name: [message] for name, message in error.fields.items()}}
    return {"detail": error.message}


def page(request: Request, path: str, items: Sequence[Item], shown: Callable[[Item], Any]) -> Answer:
    """Answer with a piece of a list, by `limit` and `offset`, and the addresses of the pieces beside it."""
    limit, offset = min(_number(request, "limit") or DEFAULT_SIZE, MAX_SIZE), _number(request, "offset")
    following = _link(request, path, limit, offset + limit) if offset + limit < len(items) else None
    previous = _link(request, path, limit, max(0, offset - limit)) if offset else None
    results = [shown(item) for item in items[offset : offset + limit]]
    told = {"count": len(items), "next": following, "previous": previous, "results": results}
    body = json.dumps(told, ensure_ascii=False, allow_nan=False)
    return Answer(status=200, body=body, headers={"Content-Type": "application/json"})


def _number(request: Request, name: str) -> int:
    """Return a number of the address; what is none counts as absent."""
    written = request.query.get(name)
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else 0


def _link(request: Request, path: str, limit: int, offset: int) -> str:
    others = {name: values for name, values in request.query.lists().items() if name not in {"limit", "offset"}}
    own = {"limit": [str(limit)]} | ({"offset": [str(offset)]} if offset else {})
    return f"{settings().base_url}{path}/?{urlencode({**others, **own}, doseq=True)}"
