"""Pictures in texts: they go from the browser straight to the file store, and mails load them by an address of ours.

A picture belongs to no text: copies, exports and mails that were sent long ago go on showing it. Those that nothing has
shown for long are removed by `image_jobs`. Its name cannot be
guessed, and its address holds a signature that only those get whose picture was looked at.
"""

from __future__ import annotations

import io
import re
import secrets

from chalicelib import errors, signing
from chalicelib.aws import files
from chalicelib.aws.files import UploadForm

#: The job that takes those out that nothing shows any more.
SWEEP = "actions.unused_images"
FOLDER = "images/"
#: A mail with larger ones takes long to load on a phone.
MAX_BYTES = 2_000_000
#: What mail programs show, by the ending of the name: the type, and how such a file begins.
KINDS = {
    "png": ("image/png", b"\x89PNG\r\n\x1a\n"), "jpg": ("image/jpeg", b"\xff\xd8\xff"),
    "gif": ("image/gif", b"GIF8"), "webp": ("image/webp", b"RIFF"),
}  # fmt: skip
_STEM = re.compile(r"[0-9]+-[A-Za-z0-9_-]+")
_ENDINGS = {kind: ending for ending, (kind, _) in KINDS.items()}


def begin(workflow_id: int, kind: str, size: int) -> tuple[str, UploadForm]:
    """Return the name of a new picture, and the form that puts it into the file store.

    Raises errors.Invalid for other files than pictures, and for large ones.
    """
    if kind not in _ENDINGS:
        raise _refused("Choose a picture: PNG, JPEG, GIF or WebP.")
    if not 0 < size <= MAX_BYTES:
        raise _refused(f"The picture is too large: at most {MAX_BYTES / 1e6:.0f} MB. Make it smaller and try again.")
    name = f"{workflow_id}-{secrets.token_urlsafe(16)}.{_ENDINGS[kind]}"
    return name, files.upload_form(_key(name), MAX_BYTES)


def arrived(workflow_id: int, name: str) -> str:
    """Look at a picture that was sent; return the name in its address.

    Raises errors.Invalid when it did not arrive or is no picture.
    """
    stem, _, ending = name.rpartition(".")
    if ending not in KINDS or not _STEM.fullmatch(stem) or not stem.startswith(f"{workflow_id}-"):
        raise _refused("There is no such picture.")
    content = io.BytesIO()
    try:
        stored = files.look(_key(name))
    except errors.NotFound as error:
        raise _refused("The picture did not arrive. Please choose it again.") from error
    if stored.size > MAX_BYTES:
        raise _refused("The picture is too large.")
    files.fetch(stored, content)
    if not content.getvalue().startswith(KINDS[ending][1]):
        raise _refused("The file is no picture, whatever its name says.")
    return f"{stem}.{signing.digest('image', name, 20)}.{ending}"


def where(public_name: str) -> str | None:
    """Return where a picture can be loaded from for a while; None for a name that we did not make."""
    name = _own_name(public_name)
    return files.view_link(_key(name), KINDS[name.rpartition(".")[2]][0]) if name else None


def content(public_name: str) -> bytes | None:
    """Return the bytes of a picture; None for a name that we did not make, or when it is not kept any more."""
    name = _own_name(public_name)
    try:
        return files.read(_key(name)) if name else None
    except errors.NotFound:
        return None


def _own_name(public_name: str) -> str:
    stem, _, rest = public_name.partition(".")
    signature, _, ending = rest.partition(".")
    name = f"{stem}.{ending}"
    return name if ending in KINDS and signing.matches("image", name, signature, 20) else ""


def _key(name: str) -> str:
    return f"{FOLDER}{name}"


def _refused(message: str) -> errors.Invalid:
    return errors.Invalid(message, {"file": message})
