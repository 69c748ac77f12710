"""Our style sheets, scripts and the libraries they use, under names that change with their content."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from chalicelib import errors
from chalicelib.web.urls import prefix

ROOT = Path(__file__).parent.parent / "static"
#: Types that travel as text; anything else must be one of the app's binary types.
BINARY_TYPES = ["image/png", "image/x-icon", "image/gif", "font/woff2"]


@cache
def version() -> str:
    """Return the content hash of the whole folder: modules import each other by relative names, so all share one."""
    return version_of(ROOT)


def version_of(folder: Path) -> str:
    """Return the hash that `version` gives when the static files are those in `folder`."""
    hashed = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            hashed.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()[:12]


def static(name: str) -> str:
    """Return the address of a static file, such as `css/app.css`."""
    return f"{prefix()}/static/{version()}/{name}"


def read(path: str) -> tuple[bytes, str]:
    """Return content and type of `<version>/<name>`.

    Raises errors.NotFound when there is no such file; an old version gets today's content.
    """
    _, _, name = path.partition("/")
    file = (ROOT / name).resolve()
    if not name or not file.is_relative_to(ROOT) or not file.is_file():
        raise errors.NotFound
    kind = {".js": "text/javascript", ".woff2": "font/woff2"}.get(file.suffix) or mimetypes.guess_type(file.name)[0]
    return file.read_bytes(), kind or "text/plain"
