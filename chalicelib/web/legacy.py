"""Errors of the older addresses, in the form that the programs of OnTask 11 know."""

from __future__ import annotations

import json
from typing import Any

from chalicelib import errors
from chalicelib.accounts.tokens import Unrecognised
from chalicelib.web import problems
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer


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
