"""The fonts of PDFs: which letters can be shown, from right to left as well, and which can't.

DejaVu goes into the files and has the letters of Europe, the Near East and many signs. Those of Chinese, Japanese and
Korean would make every file megabytes large: they are named, and shown in the font that the reader's program has.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from itertools import groupby
from typing import Any

from chalicelib.web import static

FAMILY = "DejaVuSans"
#: The same letters where other faces have none, such as those from right to left in oblique.
UPRIGHT = f"{FAMILY}-Upright"
_FACES = {"normal": FAMILY, "bold": f"{FAMILY}-Bold", "italic": f"{FAMILY}-Oblique", "boldItalic": f"{FAMILY}-Bold"}
#: Fonts that programs have of their own (Adobe's names), by the encoding of the letters that they are for.
_NAMED = (
    ("gbk", "STSong-Light"), ("shift_jis", "HeiseiMin-W3"), ("cp949", "HYSMyeongJo-Medium"), ("big5", "MSung-Light"),
)  # fmt: skip
#: What stands for a letter that no font has.
UNKNOWN = "\u25a1"
_RTL = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
#: Words from right to left, with the signs and figures between them.
_RUN = re.compile(f"[{_RTL}]+(?:[^A-Za-z\u00c0-\u024f\u0370-\u052f]*[{_RTL}]+)*")
_STRONG = re.compile(f"[A-Za-z\u00c0-\u024f\u0370-\u052f{_RTL}]")


@cache
def register() -> None:
    """Make the fonts known, once in a process."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfbase.ttfonts import TTFont

    for name in sorted(set(_FACES.values())):
        pdfmetrics.registerFont(TTFont(name, static.ROOT / "vendor" / "fonts" / f"{name}.ttf"))
    pdfmetrics.registerFontFamily(FAMILY, **_FACES)
    pdfmetrics.registerFont(TTFont(UPRIGHT, static.ROOT / "vendor" / "fonts" / f"{FAMILY}.ttf"))
    for _, name in _NAMED:
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    for name in [UPRIGHT, *(name for _, name in _NAMED)]:
        pdfmetrics.registerFontFamily(name, normal=name, bold=name, italic=name, boldItalic=name)


@cache
def _glyphs(face: str) -> Any:
    from reportlab.pdfbase import pdfmetrics

    register()
    return pdfmetrics.getFont(face).face.charToGlyph


@cache
def font_of(letter: str) -> str | None:
    """Return the font that has the letter: "" for the usual one, None when no font has it."""
    if letter.isspace() or all(ord(letter) in _glyphs(face) for face in _FACES.values()):
        return ""
    if ord(letter) in _glyphs(FAMILY):
        return UPRIGHT
    if ord(letter) > 0xFFFF:  # the named fonts are asked by two bytes a letter
        return None
    return next((name for encoding, name in _NAMED if _has(encoding, letter)), None)


def _has(encoding: str, letter: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def missing(text: str) -> set[str]:
    """Return the letters of a text that no font has; joiners and variants, which nobody sees, do not count."""
    return {letter for letter in set(text) if font_of(letter) is None and not _is_unseen(letter)}


def _is_unseen(letter: str) -> bool:
    return "\u200b" <= letter <= "\u200f" or "\u2060" <= letter <= "\u2064" or "\ufe00" <= letter <= "\ufe0f"


def is_from_the_right(text: str) -> bool:
    """Tell whether a paragraph is read from right to left: its first letter is."""
    found = _STRONG.search(text)
    return found is not None and re.match(f"[{_RTL}]", found[0]) is not None


def in_order(text: str) -> str:
    """Return a line with its words from right to left in the order, and the forms, in which they are seen."""
    from arabic_reshaper import reshape
    from bidi import get_display

    return str(get_display(reshape(text)))


def marked(text: str) -> str:
    """Return a text as ReportLab's paragraphs take it: every letter in a font that has it.

    Words from right to left stand in the order in which they are seen and are kept on one line.
    """
    if _RUN.search(text):
        text = _RUN.sub(lambda found: in_order(found[0]).replace(" ", "\u00a0"), text)
    pieces = []
    for font, group in groupby(text, key=font_of):
        letters = "".join(group)
        if font is None:
            pieces.append("".join("" if _is_unseen(letter) else UNKNOWN for letter in letters))
        else:
            shown = escape(letters, quote=False)
            pieces.append(f'<font name="{font}">{shown}</font>' if font else shown)
    return "".join(pieces)
