"""From the HTML of a text to what ReportLab lays out: paragraphs, lists, tables, pictures.

It reads what `actions.html.clean` lets through; what has no like on paper is left out, its words stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from typing import Any

from chalicelib.delivery.pdf import letters

#: Elements that begin and end a paragraph.
BLOCKS = {
    "blockquote", "caption", "center", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ol", "p",
    "pre", "table", "td", "th", "tr", "ul",
}  # fmt: skip
_INLINE = {
    "b": "b", "strong": "b", "i": "i", "em": "i", "u": "u", "ins": "u", "s": "strike", "del": "strike", "sub": "sub",
    "sup": "super",
}  # fmt: skip
_SIZES = {"h1": 20.0, "h2": 16.0, "h3": 13.5, "h4": 12.0, "h5": 11.0, "h6": 10.5}
SIZE, LEADING = 10.5, 1.4
INDENT, PADDING = 16.0, 4.0
LINK_COLOUR = "#1a5fb4"
_STYLE_OF = {
    name: re.compile(rf"(?:^|;)\s*{name}\s*:\s*([^;]+)", re.IGNORECASE)
    for name in ("color", "text-align", "font-weight", "font-style")
}  # fmt: skip
_COLOUR = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})|[a-z]{3,20}", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\n\r\f]+")
_ALIGNMENTS = {"center": 1, "right": 2, "justify": 4}

Attributes = dict[str, str]
#: What a picture's address leads to: a flowable of at most this width, or None when there is none.
Picture = Callable[[str, float], Any]


@dataclass
class _Table:
    """A table while it is read: rows of cells, each a column number, its span and what stands in it."""

    has_lines: bool
    rows: list[list[tuple[int, int, list[Any]]]] = field(default_factory=list)
    heads: set[int] = field(default_factory=set)
    #: Cells that reach down: column number → rows that are still covered.
    covered: dict[int, int] = field(default_factory=dict)
    spans: list[tuple[int, int, int, int]] = field(default_factory=list)


class Reader(HTMLParser):
    """Reads HTML; `story` is what comes of it, for a frame of `width` points."""

    def __init__(self, width: float, picture: Picture) -> None:
        super().__init__(convert_charrefs=True)
        self.story: list[Any] = []
        self.seen: set[str] = set()
        self._width, self._picture = width, picture
        self._inline: list[str] = []
        self._plain: list[str] = []
        #: Open inline elements: name, the tag that opens it for ReportLab, the tag that closes it.
        self._marks: list[tuple[str, str, str]] = []
        self._blocks: list[tuple[str, Attributes]] = []
        self._lists: list[int | None] = []
        self._bullet = ""
        self._tables: list[_Table] = []
        self._outer: list[tuple[list[Any], float, list[int | None], str]] = []

    def close(self) -> None:
        """End the last paragraph."""
        super().close()
        self._flush()

    # -- what the parser finds

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        found = {name: value or "" for name, value in attrs}
        if tag in BLOCKS:
            self._flush()
            self._open_block(tag, found)
        elif tag == "br":
            self._inline.append("<br/>")
            self._plain.append("\n")
        elif tag == "hr":
            from reportlab.platypus import HRFlowable

            self._flush()
            self.story.append(HRFlowable(width="100%", color="#c5c8d0", spaceBefore=6, spaceAfter=6))
        elif tag == "img":
            self._image(found)
        else:
            self._open_inline(tag, found)

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        if tag in BLOCKS:
            self._flush()
            self._close_block(tag)
            return
        for number in range(len(self._marks) - 1, -1, -1):
            if self._marks[number][0] == tag:
                over = self._marks[number:]  # those opened later are closed with it, and opened again
                self._inline += [closing for *_, closing in reversed(over)] + [opening for _, opening, _ in over[1:]]
                del self._marks[number]
                return

    def handle_data(self, data: str) -> None:
        """Take words in."""
        is_pre = any(tag == "pre" for tag, _ in self._blocks)
        text = data if is_pre else _BLANKS.sub(" ", data)
        self.seen |= letters.missing(text)
        self._plain.append(text)
        if is_pre:
            lines = text.replace("\t", "    ").replace(" ", "\u00a0").split("\n")
            self._inline.append("<br/>".join(map(letters.marked, lines)))
        else:
            self._inline.append(letters.marked(text))

    # -- inside of paragraphs

    def _open_inline(self, tag: str, found: Attributes) -> None:
        opens, closes = "", ""
        if name := _INLINE.get(tag):
            opens, closes = f"<{name}>", f"</{name}>"
        elif tag == "a" and found.get("href"):
            opens = f'<a href="{escape(found["href"])}" color="{LINK_COLOUR}">'
            closes = "</a>"
        elif tag == "small":
            opens, closes = f'<font size="{SIZE - 2}">', "</font>"
        colour = _of_style(found, "color") or (found.get("color", "") if tag == "font" else "")
        if colour := _colour(colour):
            opens, closes = f'{opens}<font color="{colour}">', f"</font>{closes}"
        if _of_style(found, "font-weight") in {"bold", "bolder", "600", "700", "800"}:
            opens, closes = f"{opens}<b>", f"</b>{closes}"
        if _of_style(found, "font-style") in {"italic", "oblique"}:
            opens, closes = f"{opens}<i>", f"</i>{closes}"
        self._marks.append((tag, opens, closes))
        self._inline.append(opens)

    def _image(self, found: Attributes) -> None:
        shown = self._picture(found.get("src", ""), self._room())
        if shown is None:
            if alt := found.get("alt", "").strip():
                self.handle_data(f"[{alt}]")
            return
        self._flush()
        self.story.append(shown)

    # -- paragraphs

    def _flush(self) -> None:
        """End the paragraph that is being read; the elements that are open go on in the next."""
        text, plain = "".join(self._inline), "".join(self._plain)
        opens = "".join(opening for _, opening, _ in self._marks)
        closes = "".join(closing for _, _, closing in reversed(self._marks))
        self._inline, self._plain = [opens], []
        if plain.strip():
            self.story.append(self._paragraph(text + closes, plain))

    def _paragraph(self, text: str, plain: str) -> Any:
        from reportlab.lib.styles import ParagraphStyle
        from reportlab.platypus import Paragraph

        heading = next((tag for tag, _ in reversed(self._blocks) if tag in _SIZES), "")
        size = _SIZES.get(heading, SIZE)
        tags = {tag for tag, _ in self._blocks}
        bold = bool(heading) or "th" in tags or "dt" in tags or "caption" in tags
        style = ParagraphStyle(
            "text", fontName=f"{letters.FAMILY}-Bold" if bold else letters.FAMILY, fontSize=size,
            leading=size * LEADING, spaceBefore=8 if heading else 0, spaceAfter=2 if self._lists else 6,
            leftIndent=self._indent(), alignment=self._alignment(), bulletFontName=letters.FAMILY, bulletFontSize=SIZE,
            bulletIndent=self._indent() - INDENT, keepWithNext=bool(heading), splitLongWords=1, textColor="#1b1d24",
        )  # fmt: skip
        bullet, self._bullet = self._bullet, ""
        if letters.is_from_the_right(plain):
            style.alignment = 2
            text = "<br/>".join(letters.marked(line) for line in _lines(plain, style, self._room()))
        return Paragraph(text, style, bulletText=bullet or None)

    def _indent(self) -> float:
        quotes = sum(tag in {"blockquote", "dd"} for tag, _ in self._blocks)
        return INDENT * (len(self._lists) + quotes)

    def _room(self) -> float:
        return max(self._width - self._indent(), 20.0)

    def _alignment(self) -> int:
        for tag, found in reversed(self._blocks):
            if tag == "center":
                return 1
            if asked := (_of_style(found, "text-align") or found.get("align", "")):
                return _ALIGNMENTS.get(asked.lower(), 0)
            if tag in {"td", "th"}:
                return 0
        return 0

    # -- lists and tables

    def _open_block(self, tag: str, found: Attributes) -> None:
        self._blocks.append((tag, found))
        if tag in {"ul", "ol"}:
            start = found.get("start", "1")
            self._lists.append((int(start) if start.isdigit() else 1) if tag == "ol" else None)
        elif tag == "li" and self._lists:
            number = self._lists[-1]
            self._bullet = "\u2022" if number is None else f"{number}."
            self._lists[-1] = None if number is None else number + 1
        elif tag == "table":
            is_layout = found.get("role") == "presentation" or found.get("border") == "0"
            self._tables.append(_Table(has_lines=not is_layout))
        elif tag == "tr" and self._tables:
            self._tables[-1].rows.append([])
        elif tag in {"td", "th"} and self._tables and self._tables[-1].rows:
            self._open_cell(tag, found)

    def _open_cell(self, tag: str, found: Attributes) -> None:
        table = self._tables[-1]
        row, number = len(table.rows) - 1, len(table.rows[-1])
        at = table.rows[-1][-1][0] + table.rows[-1][-1][1] if number else 0
        while table.covered.get(at, 0) > row:
            at += 1
        across, down = _span(found, "colspan"), _span(found, "rowspan")
        if across > 1 or down > 1:
            table.spans.append((at, row, at + across - 1, row + down - 1))
            table.covered |= dict.fromkeys(range(at, at + across), row + down)
        if tag == "th":
            table.heads.add(row)
        story: list[Any] = []
        table.rows[-1].append((at, across, story))
        self._outer.append((self.story, self._width, self._lists, self._bullet))
        # How many columns there are is known at the end; pictures are fitted then.
        self.story, self._width, self._lists, self._bullet = story, self._room() / 2, [], ""

    def _close_block(self, tag: str) -> None:
        number = next((n for n in range(len(self._blocks) - 1, -1, -1) if self._blocks[n][0] == tag), None)
        if number is None:
            return
        del self._blocks[number:]
        if tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
            self._bullet = ""
        elif tag in {"td", "th"} and self._outer:
            self.story, self._width, self._lists, self._bullet = self._outer.pop()
        elif tag == "table" and self._tables:
            made = _laid_out(self._tables.pop(), self._room())
            if made is not None:
                self.story.append(made)


def _laid_out(table: _Table, width: float) -> Any:
    from reportlab.platypus import Table

    count = max((at + across for row in table.rows for at, across, _ in row), default=0)
    if not count:
        return None
    cells: list[list[Any]] = [[""] * count for _ in table.rows]
    for number, row in enumerate(table.rows):
        for at, across, story in row:
            cells[number][at] = story or ""
            _fit(story, width / count * across - 2 * PADDING)
    style: list[tuple[Any, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), PADDING),
        ("RIGHTPADDING", (0, 0), (-1, -1), PADDING),
    ]  # fmt: skip
    if table.has_lines:
        style.append(("GRID", (0, 0), (-1, -1), 0.5, "#c5c8d0"))
    last = len(cells) - 1
    style += [("SPAN", (left, top), (right, min(bottom, last))) for left, top, right, bottom in table.spans]
    heads = next((n for n in range(len(cells)) if n not in table.heads), len(cells) - 1)
    return Table(
        cells, colWidths=[width / count] * count, repeatRows=heads, style=style, splitInRow=1, spaceAfter=6,
        hAlign="LEFT",
    )  # fmt: skip


def _fit(story: list[Any], width: float) -> None:
    """Make pictures small enough for their cell."""
    for shown in story:
        if (drawn := getattr(shown, "drawWidth", 0)) > width > 0:
            shown.drawWidth, shown.drawHeight = width, shown.drawHeight * width / drawn


def _span(found: Attributes, name: str) -> int:
    asked = found.get(name, "1")
    return min(max(int(asked), 1), 50) if asked.isascii() and asked.isdigit() and len(asked) < 4 else 1


def _of_style(found: Attributes, name: str) -> str:
    value = _STYLE_OF[name].search(found.get("style", ""))
    return value[1].strip().lower() if value else ""


def _colour(asked: str) -> str:
    from reportlab.lib import colors

    asked = asked.strip().lower()
    if not _COLOUR.fullmatch(asked):
        return ""
    if not asked.startswith("#"):
        return asked if asked in colors.getAllNamedColors() else ""
    return asked if len(asked) == 7 else "#" + "".join(digit * 2 for digit in asked[1:])


def _lines(text: str, style: Any, width: float) -> list[str]:
    """Return a paragraph from right to left as lines that fit: they are broken before their order is turned."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    lines = []
    for part in text.strip().split("\n"):
        line = ""
        for word in part.split():
            longer = f"{line} {word}".strip()
            if line and stringWidth(letters.in_order(longer), style.fontName, style.fontSize) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines
