"""Where the JSON of an action goes: an address, a method, headers. The token is delivery's, because it is a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from chalicelib import errors

MAX_URL_LENGTH, MAX_HEADERS, MAX_HEADER_LENGTH = 2048, 20, 1000
METHODS = ("POST", "PUT")
#: A header's name (RFC 9110 §5.6.2, token).
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
#: These are ours to say, or would be secrets in plain sight.
OURS = {
    "host", "content-length", "content-type", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect",
    "user-agent", "idempotency-key", "authorization", "proxy-authorization", "cookie", "accept-encoding",
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """Where JSON goes. With `is_form` its members are the fields of a form, as OnTask sends them."""

    url: str = ""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_form: bool = False

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> Target:
        """Return a stored one."""
        return cls(**stored) if stored else cls()

    def stored(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return asdict(self) | {"headers": dict(self.headers)}

    @property
    def host(self) -> str:
        """The host and, where it is not the usual one, the port."""
        found = urlsplit(self.url)
        return (found.hostname or "") + (f":{found.port}" if found.port else "")


def check(target: Target) -> Target:
    """Return the target without blanks around its parts.

    Raises errors.Invalid (fields `url`, `method`, `headers`).
    """
    target = Target(target.url.strip(), target.method, target.headers, target.is_form)
    problems = {
        name: problem
        for name, problem in (
            ("url", url_problem(target.url)), ("method", _method_problem(target.method)),
            ("headers", _headers_problem(target.headers)),
        )
        if problem
    }  # fmt: skip
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
    return target


def url_problem(url: str) -> str:
    """Say what is wrong with an address; nothing when it can be sent to."""
    if not url:
        return "Type the address of the other system, such as https://system.example/marks."
    if len(url) > MAX_URL_LENGTH:
        return f"Use at most {MAX_URL_LENGTH:,} characters; this has {len(url):,}."
    if re.search(r"[\s\x00-\x1f\x7f\\<>\"{}|^`]", url) or not url.isascii():
        return "An address has no blanks, quotes or letters with accents. Copy it from the other system’s page."
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError:
        return "This is not an address. Copy it from the other system’s page."
    return _parts_problem(found)


def _parts_problem(found: SplitResult) -> str:
    if found.scheme not in {"http", "https"}:
        return "The address must begin with https:// (or http://)."
    if not found.hostname:
        return "The name of the host is missing in this address."
    if found.username is not None or found.password is not None:
        return "Leave name and password out of the address. The token is for that."
    if found.fragment:
        return "Leave out the part from # on: it is never sent."
    return ""


def _method_problem(method: str) -> str:
    return "" if method in METHODS else "Choose POST or PUT."


def _headers_problem(headers: Mapping[str, str]) -> str:
    if len(headers) > MAX_HEADERS:
        return f"Use at most {MAX_HEADERS} headers."
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            return f"“{name[:40]}” can’t be the name of a header. Write one a line, such as X-Course: Biology."
        if name.lower() in OURS:
            return f"The header {name} is set by the product. For a token use the field below."
        if len(value) > MAX_HEADER_LENGTH or not value.isascii() or (value and not value.isprintable()):
            return f"The header {name} may have at most {MAX_HEADER_LENGTH:,} plain letters, digits and signs."
    return ""


def headers_of(text: str) -> dict[str, str]:
    """Return headers from lines such as `X-Course: Biology`.

    Raises errors.Invalid (field `headers`) for a line without a colon.
    """
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, value = line.partition(":")
        if not colon:
            message = f"A colon is missing in “{line[:40]}”. Write one header a line, such as X-Course: Biology."
            raise errors.Invalid(message, {"headers": message})
        found[name.strip()] = value.strip()
    return found


def headers_text(headers: Mapping[str, str]) -> str:
    """Return headers as people write them."""
    return "\n".join(f"{name}: {value}" for name, value in headers.items())
