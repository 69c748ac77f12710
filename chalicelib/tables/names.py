"""What a column may be called, and how a header of any file becomes such a name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

MAX_NAME_LENGTH = 255
_CONTROL = {"Cc", "Zl", "Zp"}
#: Nobody sees them, and files have them by accident: the byte order mark of a file that was pasted into another.
_ZERO_WIDTH = {"\u200b", "\ufeff"}
#: Quotes would end a name inside a message's text.
_QUOTES = str.maketrans({'"': "”", "'": "’"})


#: Names that people give to what tells learners apart.
_KEY_WORDS = re.compile(
    r"\b(s?id|sis|e-?mail|key|login|user(name)?|identifier|(student|matric\w*) ?(no|number)?)\b", re.I
)


@dataclass(frozen=True)
class Header:
    """A column's name and, when it is not what the file said, what was done about it."""

    name: str
    repair: str = ""


def tidy(name: str) -> str:
    """Return the name in composed Unicode, without control and zero-width characters and with single blanks."""
    visible = (" " if unicodedata.category(char) in _CONTROL or char in _ZERO_WIDTH else char for char in name)
    return " ".join(unicodedata.normalize("NFC", "".join(visible)).split())


def problem(name: str) -> str:
    """Say what is wrong with a tidied name, in words for the field; empty when nothing is."""
    if not name:
        return "Type a name."
    if len(name) > MAX_NAME_LENGTH:
        return f"Use at most {MAX_NAME_LENGTH} characters; this has {len(name)}."
    if '"' in name or "'" in name:
        return "Leave out straight quotes; curly ones (’ or ”) are fine."
    if name.startswith("__"):
        return "Don't begin with two underscores."
    return ""


def headers(found: Sequence[str]) -> list[Header]:
    """Turn the first line of a file into names: all different, none empty, each repair told."""
    taken: set[str] = set()
    return [_header(text, number, taken) for number, text in enumerate(found, 1)]


def _header(text: str, number: int, taken: set[str]) -> Header:
    name, repair = tidy(text), ""
    if not name:
        name, repair = f"Column {number}", "had no name"
    if name != (plain := name.translate(_QUOTES)):
        name, repair = plain, "quotes in the name became curly ones"
    if name.startswith("__"):
        name, repair = name.lstrip("_") or f"Column {number}", "underscores at the beginning of the name were left out"
    if len(name) > MAX_NAME_LENGTH:
        repair = f"the name had {len(name)} characters and was cut"
        name = name[: MAX_NAME_LENGTH - 1].rstrip() + "…"
    if name in taken:
        name, repair = unused(name, taken), f"another column is called “{name}” too"
    taken.add(name)
    return Header(name, repair)


def unused(name: str, taken: Collection[str]) -> str:
    """Return the name with the smallest number that makes it different from all in `taken`."""
    number = 2
    while (candidate := f"{name[: MAX_NAME_LENGTH - 8]} ({number})") in taken:
        number += 1
    return candidate


def is_key_word(name: str) -> bool:
    """Tell whether a column of this name probably tells learners apart."""
    return bool(_KEY_WORDS.search(name.replace("_", " ")))
