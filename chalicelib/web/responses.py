"""What a view answers: a page, a part of one, a redirect, data. Pages are rendered after the commit."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from chalicelib.web.urls import url_for


@dataclass
class Answer:
    """An answer; either `template` with `context`, or a finished `body`."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    template: str = ""
    context: dict[str, Any] = field(default_factory=dict)
    body: str | bytes = ""
    flash: Flash | None = None
    #: Commit although the status is 400 or more: what was refused has to be counted.
    keep: bool = False


@dataclass(frozen=True)
class Flash:
    """One message shown on the next page, with a button that takes the change back when there is one."""

    message: str
    kind: str = "success"
    undo_url: str = ""
    undo_label: str = "Undo"


def render(template: str, *, status: int = 200, **context: Any) -> Answer:
    """Answer with a page. A status of 400 or more rolls the request's transaction back."""
    return Answer(status=status, template=template, context=context)


def redirect(endpoint: str, *, flash: Flash | str | None = None, **values: object) -> Answer:
    """Answer with 303 See Other (RFC 9110 §15.4.4), so that a reload does not repeat the change."""
    return redirect_to(url_for(endpoint, **values), flash=flash)


def redirect_to(url: str, *, flash: Flash | str | None = None) -> Answer:
    """Answer with 303 to an address that did not come from the visitor."""
    note = Flash(flash) if isinstance(flash, str) else flash
    return Answer(status=303, headers={"Location": url}, flash=note)


def data(value: Any, status: int = 200) -> Answer:
    """Answer with JSON."""
    return Answer(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(value))


def text(value: str, content_type: str = "text/plain; charset=utf-8", status: int = 200) -> Answer:
    """Answer with text of the given type."""
    return Answer(status=status, headers={"Content-Type": content_type}, body=value)


#: A mail is shown as its readers see it: its own styles and pictures, but nothing that runs.
DOCUMENT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: http: data:; "
    "frame-ancestors 'self'; form-action 'none'; base-uri 'none'; sandbox allow-popups"
)


def document(html: str) -> Answer:
    """Answer with people's own HTML, to be shown in a sandboxed frame of one of our pages."""
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": DOCUMENT_POLICY}
    return Answer(headers=headers, body=html)
