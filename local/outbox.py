"""`/dev/outbox`: the mails that were "sent" on this machine, as their readers would see them."""

from __future__ import annotations

import email
import html
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from typing import Any
from urllib.parse import parse_qs, quote

from chalicelib.web.static import static
from local.ses import Mail, Outbox

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Outbox</title><script src="{theme}"></script><link rel="stylesheet" href="{bootstrap}">
<link rel="stylesheet" href="{style}"></head>
<body><header class="topbar"><a class="brand" href="/dev/outbox"><span>Outbox of this machine</span></a>
<nav class="topbar-end" aria-label="Site"><a href="/">OnTask</a></nav></header>
<div class="frame"><main id="main" class="wide">{content}</main></div></body></html>"""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; frame-src 'self'; "
    "form-action 'self'"
)
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src * data:; sandbox allow-popups"


class Pages:
    """A WSGI app for paths under `/dev/outbox`; everything else goes to `inner`."""

    def __init__(self, outbox: Outbox, inner: Callable[..., Iterable[bytes]]) -> None:
        self._outbox = outbox
        self._inner = inner

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if not path.startswith("/dev/outbox"):
            return self._inner(environ, start)
        name, _, part = path.removeprefix("/dev/outbox").strip("/").partition("/")
        policy, kind, status = POLICY, "text/html; charset=utf-8", "200 OK"
        mail = self._outbox.mail(name) if name else None
        if not name:
            body = self._list(parse_qs(environ.get("QUERY_STRING", "")).get("q", [""])[-1])
        elif mail is None:
            status, body = "404 Not Found", _page("Not found", "<h1>There is no such mail</h1>")
        elif part == "body":
            policy, body = MAIL_POLICY, content(mail)[1]
        elif part == "source":
            kind, body = "text/plain; charset=utf-8", mail.raw.decode("utf-8", "replace")
        else:
            body = self._mail(mail)
        raw = body.encode()
        start(status, [("Content-Type", kind), ("Content-Security-Policy", policy), ("Content-Length", str(len(raw)))])
        return [raw]

    def _list(self, search: str) -> str:
        rows = "".join(
            f'<tr><td><a href="/dev/outbox/{quote(mail.id)}">{_text(_subject(mail))}</a></td>'
            f"<td>{_text(', '.join(mail.recipients))}</td><td>{_when(mail)}</td></tr>"
            for mail in self._outbox.mails(search)
        )
        form = (
            '<form class="field" role="search"><label class="form-label" for="q">Recipient</label>'
            f'<input class="form-control" type="search" id="q" name="q" value="{_text(search)}"></form>'
        )
        table = (
            f'<div class="table-responsive"><table class="table"><thead><tr><th scope="col">Subject</th>'
            f'<th scope="col">To</th><th scope="col">When (UTC)</th></tr></thead><tbody>{rows}</tbody></table></div>'
            if rows
            else '<div class="empty"><p>No mail yet. Send a message and it will be here.</p></div>'
        )
        intro = "<p>Nothing leaves this machine: what is sent ends here, newest first (at most 200 are listed).</p>"
        return _page("All mails", f"<h1>{self._outbox.count():,} mails</h1>{intro}{form}{table}")

    def _mail(self, mail: Mail) -> str:
        message = _parsed(mail)
        heads = "".join(
            f"<div><dt>{_text(name)}</dt><dd>{_text(str(message[name]))}</dd></div>"
            for name in ("From", "To", "Cc", "Reply-To", "List-Unsubscribe") if message[name]
        )  # fmt: skip
        return _page(
            _subject(mail),
            f'<p><a href="/dev/outbox">All mails</a></p><h1>{_text(_subject(mail))}</h1><dl class="mail-head">{heads}'
            f"<div><dt>Delivered to</dt><dd>{_text(', '.join(mail.recipients))}</dd></div></dl>"
            f'<iframe class="mail-body" title="The mail" src="/dev/outbox/{quote(mail.id)}/body" '
            f'sandbox="allow-popups"></iframe><h2>Plain-text part</h2><pre>{_text(content(mail)[0])}</pre>'
            f'<p><a href="/dev/outbox/{quote(mail.id)}/source">Source</a></p>',
        )


def content(mail: Mail) -> tuple[str, str]:
    """Return the plain-text and the HTML part of a mail."""
    message = _parsed(mail)
    parts = {kind: message.get_body((kind,)) for kind in ("plain", "html")}
    plain, rich = (part.get_content() if part is not None else "" for part in parts.values())
    return str(plain), str(rich)


def _parsed(mail: Mail) -> EmailMessage:
    message = email.message_from_bytes(mail.raw, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def _subject(mail: Mail) -> str:
    return str(_parsed(mail)["Subject"] or "(no subject)")


def _when(mail: Mail) -> str:
    return f"{datetime.fromtimestamp(mail.at, UTC):%d %b %H:%M:%S}"


def _text(value: str) -> str:
    return html.escape(value)


def _page(title: str, content: str) -> str:
    return PAGE.format(
        title=_text(title), content=content, theme=static("js/theme.js"),
        bootstrap=static("vendor/bootstrap.min.css"), style=static("css/app.css"),
    )  # fmt: skip
