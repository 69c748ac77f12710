"""From bytes in an unknown encoding to UTF-8 that PostgreSQL accepts."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from chalicelib import errors

CHUNK = 1 << 20
#: Looked at to tell text from pictures and to find UTF-16 without a mark.
HEAD = 1 << 16
ENCODINGS = {
    "utf-8": "UTF-8",
    "cp1252": "Windows-1252 (Western Europe)",
    "latin-1": "Latin-1 (ISO 8859-1)",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16 (big-endian)",
}
_MARKS = [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")]
_KINDS = [
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x1f\x8b", "a compressed file; unpack it first"),
    (b"\x7fELF", "a program"),
    (b"{\\rtf", "a text document"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
]
#: Every C0 control but tab, line feed, vertical tab, form feed, return, Ctrl-Z (an old end of file) and NUL.
_CONTROLS = bytes(code for code in range(1, 32) if code not in {9, 10, 11, 12, 13, 26})


@dataclass(frozen=True)
class Decoded:
    """UTF-8 text without NUL from byte `start` of `path` on, and what was repaired to get there."""

    path: Path
    start: int
    encoding: str
    repairs: list[str] = field(default_factory=list)


def decode(source: Path, target: Path, encoding: str = "") -> Decoded:
    """Make UTF-8 of `source`; writes `target` only when the bytes have to change. `encoding` is asked for, or guessed.

    Raises errors.Invalid when the file is empty or is no text.
    """
    with source.open("rb") as stream:
        head = stream.read(HEAD)
    if not head.strip(b"\0 \t\r\n"):
        raise errors.Invalid("The file is empty.")
    for magic, kind in _KINDS:
        if head.startswith(magic):
            raise errors.Invalid(f"This is {kind}, not a table. Save the table as CSV or Excel and upload that.")
    marked, start = _mark(head)
    guessed = encoding or marked or _wide(head) or _narrow(source)
    if not guessed.startswith("utf-16") and len(head.translate(None, _CONTROLS)) < 0.98 * len(head):
        raise errors.Invalid("This file holds no text. Save the table as CSV or Excel and upload that.")
    if guessed != marked:
        start = 0
    return _written(source, target, guessed, start)


def _mark(head: bytes) -> tuple[str, int]:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    return "", 0


def _wide(head: bytes) -> str:
    # In UTF-16 every second byte of Western text is zero.
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = max(len(head) // 2, 1)
    if odd > 0.3 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.3 * half and odd < 0.05 * half:
        return "utf-16-be"
    if even + odd > 0.1 * len(head):
        raise errors.Invalid("This file holds no text. Save the table as CSV or Excel and upload that.")
    return ""


def _narrow(source: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in _chunks(source, 0):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _chunks(source: Path, start: int) -> Iterator[bytes]:
    with source.open("rb") as stream:
        stream.seek(start)
        while chunk := stream.read(CHUNK):
            yield chunk


def _written(source: Path, target: Path, encoding: str, start: int) -> Decoded:
    nuls = lost = returns = feeds = 0
    plain = encoding == "utf-8"
    if plain:
        for chunk in _chunks(source, start):
            nuls, feeds, returns = nuls + chunk.count(0), feeds + chunk.count(b"\n"), returns + chunk.count(b"\r")
        if not nuls and (feeds or not returns) and _is_whole(source):
            return Decoded(source, start, encoding)
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    nuls = feeds = returns = 0
    with target.open("w", encoding="utf-8", newline="") as out:
        for chunk in chain(_chunks(source, start), [b""]):
            text = decoder.decode(chunk, final=not chunk)
            nuls, lost = nuls + text.count("\0"), lost + text.count("\ufffd")
            feeds, returns = feeds + text.count("\n"), returns + text.count("\r")
            out.write(text.replace("\0", ""))
    if returns and not feeds:  # line ends of an old Mac
        target.write_bytes(target.read_bytes().replace(b"\r", b"\n"))
    repairs = []
    if nuls:
        repairs.append(f"{nuls:,} invisible characters (code 0) were left out.")
    if lost:
        repairs.append(f"{lost:,} characters are unreadable in {ENCODINGS[encoding]} and shown as �.")
    return Decoded(target, 0, encoding, repairs)


def _is_whole(source: Path) -> bool:
    return _narrow(source) == "utf-8"
