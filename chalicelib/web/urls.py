"""Links. Every address comes from `url_for`, because the gateway's stage and a custom domain add a prefix."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode, urlsplit

from chalicelib.settings import settings

_paths: dict[str, str] = {}


def register(endpoint: str, path: str) -> None:
    """Remember the path of `endpoint`, such as `tables.show_table`.

    Raises ValueError when the name is taken by another path.
    """
    if _paths.setdefault(endpoint, path) != path:
        raise ValueError(f"{endpoint} is already the name of {_paths[endpoint]}")


def prefix() -> str:
    """Return the path part of the public address, such as `/api`, or nothing."""
    return urlsplit(settings().base_url).path.rstrip("/")


def public_path(path: str, pattern: str) -> str:
    """Return the path of a request as its visitor sees it: the gateway puts its stage in front, CloudFront hides it.

    `pattern` is the declared path, which has as many segments.
    """
    count = len([segment for segment in pattern.split("/") if segment])
    own = [segment for segment in path.split("/") if segment][-count:] if count else []
    return prefix() + "/" + "/".join(own) + ("/" if own and path.endswith("/") else "")


def path_for(endpoint: str, **values: object) -> str:
    """Return the path of `endpoint`; values that are not in the path become the query string.

    Raises KeyError for an unknown endpoint or a missing value.
    """
    pattern = _paths[endpoint]
    used: set[str] = set()

    def fill(match: re.Match[str]) -> str:
        used.add(match[1])
        return quote(str(values[match[1]]), safe="")

    path = re.sub(r"{(\w+)}", fill, pattern)
    query = [(k, v) for k, v in values.items() if k not in used and v is not None and v != ""]
    return path + ("?" + urlencode(query, doseq=True) if query else "")


def url_for(endpoint: str, **values: object) -> str:
    """Return a link to `endpoint` for a page of this site."""
    return prefix() + path_for(endpoint, **values)


def absolute_url_for(endpoint: str, **values: object) -> str:
    """Return the full address of `endpoint`, for mails and other systems."""
    return settings().base_url + path_for(endpoint, **values)
