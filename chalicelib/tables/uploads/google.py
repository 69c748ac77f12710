"""Fetch a Google Sheet that everybody with its link may read, as the CSV file of one of its tabs.

Only Google's own hosts are asked, over HTTPS, and only what Google itself leads to.
"""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from email.message import Message
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from chalicelib import errors
from chalicelib.settings import settings

SHEETS_HOST = "docs.google.com"
#: Where Google keeps the files that its sheets are exported to.
FILES_HOST = ".googleusercontent.com"
MAX_LINK_LENGTH = 1024
MAX_REDIRECTS = 5
CONNECT_SECONDS = 15
WHOLE_SECONDS = 120
CHUNK = 1 << 16

_SHEET = re.compile(r"/spreadsheets/(?:u/\d+/)?d/([\w-]{10,})")
_PUBLISHED = re.compile(r"/spreadsheets/(?:u/\d+/)?d/e/([\w-]{10,})")
_TAB = re.compile(r"[?#&]gid=(\d+)")
NOT_PUBLIC = (
    "Google does not show this sheet to everybody. In the sheet choose Share, then General access: Anyone with the "
    "link, and try again."
)


def path_of(link: str) -> str:
    """Return the path of the CSV export behind a link as it stands in the browser's address bar.

    Raises errors.Invalid when it leads to no Google Sheet.
    """
    link = link.strip()
    if len(link) > MAX_LINK_LENGTH:
        raise errors.Invalid(f"A link has at most {MAX_LINK_LENGTH} characters.")
    parts = urlsplit(link)
    if parts.scheme != "https" or parts.netloc.lower() != SHEETS_HOST:
        raise errors.Invalid("This is no link to a Google Sheet. It begins with https://docs.google.com/spreadsheets/.")
    tab = _TAB.search(link)
    if published := _PUBLISHED.match(parts.path):
        return f"/spreadsheets/d/e/{published[1]}/pub?output=csv" + (f"&single=true&gid={tab[1]}" if tab else "")
    if sheet := _SHEET.match(parts.path):
        return f"/spreadsheets/d/{sheet[1]}/export?format=csv" + (f"&gid={tab[1]}" if tab else "")
    raise errors.Invalid("This link leads to Google, but to no sheet. Open the sheet and copy the address from there.")


def fetch(link: str, target: IO[bytes]) -> str:
    """Write the tab behind `link` into `target` as CSV; return what Google calls the file, or nothing.

    Raises errors.Invalid when there is no such sheet or not everybody may read it, errors.Limit when it is too large
    or takes too long, errors.Unavailable when Google can't be reached.
    """
    address, until = settings().google_sheets_url + path_of(link), time.monotonic() + WHOLE_SECONDS
    try:
        with _open(address) as answer:
            if "html" in answer.headers.get_content_type():
                raise errors.Invalid(NOT_PUBLIC)
            _copy(answer, target, until)
            return _name(answer.headers)
    except urllib.error.HTTPError as error:
        if error.code in {401, 403}:
            raise errors.Invalid(NOT_PUBLIC) from error
        if error.code in {400, 404, 410}:
            message = "Google has no such sheet or tab. Open it once more and copy the address from there."
            raise errors.Invalid(message) from error
        raise errors.Unavailable("Google Sheets can't be reached just now. This is tried again in a minute.") from error
    except OSError as error:
        raise errors.Unavailable("Google Sheets can't be reached just now. This is tried again in a minute.") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves it to `_open` to judge where an answer leads."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        """Follow nothing."""
        return


def _open(address: str) -> Any:
    # Without a proxy handler: what a proxy is told in the environment is for other partners.
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    opener.addheaders = [("Accept", "text/csv")]
    for _ in range(MAX_REDIRECTS):
        if not _is_google(address):
            raise errors.Invalid(NOT_PUBLIC)  # such as the page to sign in
        try:
            return opener.open(address, timeout=CONNECT_SECONDS)
        except urllib.error.HTTPError as error:
            if error.code not in {301, 302, 303, 307, 308} or not error.headers.get("Location"):
                raise
            address = error.headers["Location"]
            error.close()
    raise errors.Invalid("Google leads from one address to the next. Open the sheet and copy its address once more.")


def _is_google(address: str) -> bool:
    if address.startswith(f"{settings().google_sheets_url}/"):
        return True
    parts = urlsplit(address)
    host = parts.netloc.lower()
    return parts.scheme == "https" and (host == SHEETS_HOST or host.endswith(FILES_HOST))


def _copy(answer: IO[bytes], target: IO[bytes], until: float) -> None:
    limit, size = settings().max_upload_mb, 0
    while chunk := answer.read(CHUNK):
        size += len(chunk)
        if size > limit * 1_000_000:
            raise errors.Limit(f"The sheet has more than {limit} MB; that is the limit.", status=413)
        if time.monotonic() > until:
            raise errors.Limit(f"Google sent for more than {WHOLE_SECONDS} seconds without an end.", status=413)
        target.write(chunk)


def _name(headers: Message) -> str:
    found = re.search(r"filename\*=UTF-8''([^;]+)", headers.get("Content-Disposition", ""))
    return unquote(found[1]).strip() if found else ""
