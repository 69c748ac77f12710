"""Files that go along with every mail of a run: from the browser to the file store, checked, read by the senders."""

from __future__ import annotations

import mimetypes
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from chalicelib import errors
from chalicelib.aws import files
from chalicelib.delivery.compose import Attached
from chalicelib.delivery.models import RunDraft
from chalicelib.settings import settings

FOLDER = "attachments"
#: The job that takes those out that nothing has any more.
SWEEP = "delivery.unused_files"
MAX_FILES = 10
MAX_NAME_LENGTH = 120
#: Base64 makes four bytes of three.
BASE64 = 4 / 3
#: Left for the text of the mail.
ROOM_FOR_TEXT = 500_000
#: SES refuses mails with these (SES Developer Guide, "Unsupported attachment types").
PROGRAMS = (
    "ade adp app asp bas bat cer chm cmd com cpl crt csh der exe fxp gadget hlp hta inf ins isp its js jse ksh lib lnk"
    " mad maf mag mam maq mar mas mat mau mav maw mda mdb mde mdt mdw mdz msc msh msh1 msh2 mshxml msh1xml msh2xml msi"
    " msp mst ops pcd pif plg prf prg reg scf scr sct shb shs sys ps1 ps1xml ps2 ps2xml psc1 psc2 tmp url vb vbe vbs"
    " vps vsmacros vss vst vsw vxd ws wsc wsf wsh xnk"
)


def max_bytes() -> int:
    """Return how many bytes the files of a mail may have together."""
    return max(0, int(settings().max_mail_mb * 1_000_000 / BASE64) - ROOM_FOR_TEXT)


def begin(draft: RunDraft, filename: str, size: int) -> tuple[str, files.UploadForm]:
    """Note that a file is about to come; return its key and the form by which the browser sends it.

    Raises errors.Invalid when there are too many, or it is of a kind that no mail can have, empty or too large.
    """
    name = safe_name(filename)
    here = arrived_files(draft)
    if len(here) >= MAX_FILES:
        raise errors.Invalid(f"A mail can have at most {MAX_FILES} files.")
    if name.rpartition(".")[2].lower() in PROGRAMS.split():
        raise errors.Invalid(f"The mail service takes no files like “{name}”, because they could be programs.")
    _check_size(name, size, total(here))
    key = f"{FOLDER}/{draft.workflow_id}/{secrets.token_hex(16)}"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    one = {"key": key, "name": _other(name, here), "content_type": kind, "size": size, "has_arrived": False}
    draft.attached = [*here, one]
    return key, files.upload_form(key, max_bytes())


def _check_size(name: str, size: int, others: int) -> None:
    if size <= 0:
        raise errors.Invalid(f"“{name}” is empty. Choose another one.")
    if size + others > max_bytes():
        together = f"{(size + others) / 1e6:,.1f} MB"
        raise errors.Invalid(
            f"With “{name}” the files would have {together}; a mail takes {max_bytes() / 1e6:,.1f} MB of them."
        )


def safe_name(filename: str) -> str:
    """Return the name of a file without folders and without signs that some system can't have, not too long."""
    plain = re.sub(r'[\x00-\x1f\x7f<>:"|?*]', " ", filename.replace("\\", "/").rpartition("/")[2])
    plain = " ".join(plain.split()).strip(". ") or "file"
    stem, dot, ending = plain.rpartition(".")
    plain = f"{stem.rstrip()}{dot}{ending}"
    return plain if len(plain) <= MAX_NAME_LENGTH else (stem[: MAX_NAME_LENGTH - 12] + dot + ending[:11])


def _other(name: str, here: Sequence[Mapping[str, Any]]) -> str:
    """Return the name, with a number where another file has it."""
    taken, (stem, dot, ending), number = {one["name"].lower() for one in here}, name.rpartition("."), 1
    made = name
    while made.lower() in taken:
        number += 1
        made = f"{stem} ({number}){dot}{ending}" if dot else f"{name} ({number})"
    return made


def arrived(draft: RunDraft, key: str) -> None:
    """Note that the browser has sent the file, and pin its version.

    Raises errors.NotFound when it has not, errors.Invalid when it is too large after all.
    """
    if all(one["key"] != key for one in draft.attached):
        raise errors.NotFound("This file was taken off meanwhile.")
    stored = files.look(key)
    others = [one for one in draft.attached if one["key"] != key]
    mine = next(one for one in draft.attached if one["key"] == key)
    _check_size(mine["name"], stored.size, total([one for one in others if one["has_arrived"]]))
    seen = {"size": stored.size, "version": stored.version, "has_arrived": True}
    draft.attached = [one | seen if one["key"] == key else one for one in draft.attached]


def take_off(draft: RunDraft, key: str) -> None:
    """Take a file off; one that is not there is fine."""
    draft.attached = [one for one in draft.attached if one["key"] != key]


def arrived_files(draft: RunDraft) -> list[dict[str, Any]]:
    """Return the files that have arrived."""
    return [one for one in draft.attached if one["has_arrived"]]


def total(attached: Sequence[Mapping[str, Any]]) -> int:
    """Return the bytes of the files together."""
    return sum(one["size"] for one in attached)


def check(attached: Sequence[Mapping[str, Any]]) -> str:
    """Return why these files can't go along; nothing when they can."""
    if total(attached) <= max_bytes():
        return ""
    return f"The files have {total(attached) / 1e6:,.1f} MB; a mail takes {max_bytes() / 1e6:,.1f} MB of them."


def link(attached: Sequence[Mapping[str, Any]], number: int) -> str:
    """Return a presigned address of a file of a run.

    Raises errors.NotFound when there is no such file.
    """
    if not 1 <= number <= len(attached):
        raise errors.NotFound
    return files.download_link(attached[number - 1]["key"], attached[number - 1]["name"])


class Common:
    """The files of a run, read when its first mail is written."""

    def __init__(self, attached: Sequence[Mapping[str, Any]]) -> None:
        self._attached = attached

    @cached_property
    def files(self) -> list[Attached]:
        """The files.

        Raises errors.NotFound when one is not kept any more, errors.Unavailable when it can't be read just now.
        """
        return [
            Attached(one["name"], one["content_type"], files.read(one["key"], one.get("version")))
            for one in self._attached
        ]
