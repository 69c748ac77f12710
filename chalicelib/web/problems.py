"""Errors as programs read them: RFC 9457, with a machine's word, the fields, and the id to ask about."""

from __future__ import annotations

import json
import re
from typing import Any

from chalicelib import errors
from chalicelib.accounts.tokens import Unrecognised
from chalicelib.web import waiting
from chalicelib.web.request import Request
from chalicelib.web.responses import Answer

TITLES = {
    400: "Bad request", 401: "Not recognised", 403: "Not allowed", 404: "Not found", 405: "Method not allowed",
    409: "Conflict", 412: "Changed meanwhile", 413: "Too large", 415: "Unsupported media type", 422: "Invalid",
    429: "Too many requests", 500: "Our fault", 503: "Not available now",
}  # fmt: skip


class Unreadable(errors.AppError):
    """Raised for a body that is no JSON."""

    status = 400


class Unsupported(errors.AppError):
    """Raised for a body of a kind that can't be read."""

    status = 415


class NotAllowed(errors.AppError):
    """Raised for an address that is there, but not with this verb."""

    status = 405

    def __init__(self, method: str, allowed: list[str]) -> None:
        super().__init__(f'Method "{method}" not allowed.')
        self.allowed = allowed


def headers_of(error: errors.AppError) -> dict[str, str]:
    """Return what the headers of the answer say about the error."""
    if isinstance(error, NotAllowed):
        return {"Allow": ", ".join(error.allowed)}
    if isinstance(error, Unrecognised):
        return {"WWW-Authenticate": 'Bearer realm="api"'}
    if isinstance(error, errors.Limit) and error.retry_after_seconds:
        return {"Retry-After": str(error.retry_after_seconds)}
    if isinstance(error, errors.Unavailable):
        is_long = isinstance(error, errors.Updating)
        return {"Retry-After": str(waiting.UPDATING_SECONDS if is_long else waiting.ASLEEP_SECONDS)}
    return {}


def problem(request: Request, error: errors.AppError) -> Answer:
    """Return the answer that tells the error."""
    told: dict[str, Any] = {
        "type": "about:blank", "title": TITLES.get(error.status, "Error"), "status": error.status,
        "detail": error.message, "code": _code(error), "request_id": request.id,
    }  # fmt: skip
    if isinstance(error, errors.Invalid) and error.fields:
        told["errors"] = [{"field": name, "detail": message} for name, message in error.fields.items()]
    headers = {"Content-Type": "application/problem+json", **headers_of(error)}
    return Answer(status=error.status, body=json.dumps(told, ensure_ascii=False), headers=headers)


def _code(error: errors.AppError) -> str:
    name = "error" if type(error) is errors.AppError else type(error).__name__
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
