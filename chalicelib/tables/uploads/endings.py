"""The kinds of files that can be uploaded: all that can be read, or those that the administrators allow.

A kind is known by the ending of the file's name, as what browsers say of a file's type is often wrong. What is in the
file is looked at, too: a workbook that is called .csv needs a kind of workbook.
"""

from __future__ import annotations

from pathlib import Path

from chalicelib import errors
from chalicelib.settings import settings
from chalicelib.tables.uploads import excel

TEXTS = ("csv", "tsv", "txt")
WORKBOOKS = ("xlsx", "xls", "xlsm", "xlsb", "ods")


def allowed() -> list[str]:
    """Return the endings of files that can be uploaded here."""
    wanted = {one.strip().lower().removeprefix(".") for one in settings().upload_kinds.split(",")} - {""}
    return [ending for ending in (*TEXTS, *WORKBOOKS) if not wanted or ending in wanted]


def check_name(filename: str) -> None:
    """Raise errors.Invalid (field `file`) when files of this name can't be uploaded here."""
    if not settings().upload_kinds.strip():
        return  # whatever it is called, it is looked at
    ending = filename.rpartition(".")[2].lower() if "." in filename else ""
    if ending not in allowed():
        is_what = f"This is a .{ending} file" if ending else "The name of this file has no ending"
        raise _refused(is_what)


def check_content(path: Path) -> None:
    """Raise errors.Invalid when a file of this content can't be uploaded here, whatever it is called."""
    is_workbook = excel.is_workbook(path)
    if not set(WORKBOOKS if is_workbook else TEXTS) & set(allowed()):
        raise _refused(f"This file is a {'workbook' if is_workbook else 'text file'}")


def _refused(is_what: str) -> errors.Invalid:
    kinds = ", ".join(f".{ending}" for ending in allowed())
    message = f"{is_what}; your administrators allow {kinds or 'no files at all'}."
    return errors.Invalid(message, {"file": message})
