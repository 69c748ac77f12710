"""The plain-text part of a mail, made once per run from the message's source: tags of our language pass through."""

from __future__ import annotations

import re
from html.parser import HTMLParser

#: Elements that begin on a line of their own; headings and paragraphs have an empty line around them.
BLOCKS = {"div", "li", "tr", "table", "ul", "ol", "section", "article", "header", "footer", "pre", "dl", "dt", "dd"}
SPACED = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "table", "pre", "dl"}
_BULLET = re.compile(r"(?:^|\n)(?:-|\d+\.) $")
HIDDEN = {"style", "script", "title", "head", "template"}


class _Writer(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._breaks = 0
        self._hidden = 0
        self._lists: list[int | None] = []
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line, a list item or a link."""
        given = {name: value or "" for name, value in attrs}
        if tag in HIDDEN:
            self._hidden += 1
        self._break(tag)
        if tag == "br":
            self.parts.append("\n")
        elif tag == "hr":
            self._write("----")
            self._breaks = 1
        elif tag in {"ul", "ol"}:
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._write(self._bullet())
        elif tag == "img" and given.get("alt"):
            self._write(given["alt"])
        elif tag == "a":
            self._links.append((given.get("href", ""), len(self.parts)))

    def handle_endtag(self, tag: str) -> None:
        """End what was begun; a link's address follows its text."""
        if tag in HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
        elif tag == "a" and self._links:
            href, start = self._links.pop()
            shown = "".join(self.parts[start:]).strip()
            if href and href not in {shown, f"mailto:{shown}"}:
                self._write(f" ({href})")
        elif tag in {"td", "th"}:
            self.parts.append("\t")
        self._break(tag)

    def handle_data(self, data: str) -> None:
        """Copy text; blanks and line ends are one blank, as browsers show them."""
        text = re.sub(r"[ \t\r\n\f]+", " ", data)
        if not self._hidden and (text != " " or not self._breaks):
            self._write(text)

    def _write(self, text: str) -> None:
        self.parts.append("\n" * self._breaks + text)
        self._breaks = 0

    def _break(self, tag: str) -> None:
        """Have the next text begin on a line of its own; the first paragraph of a list item stays at its bullet."""
        at_bullet = bool(self.parts) and bool(_BULLET.search(self.parts[-1]))
        if tag in SPACED and not (tag == "p" and (at_bullet or self._lists)):
            self._breaks = max(self._breaks, 2 if not self._lists else 1)
        elif (tag in BLOCKS or tag == "p") and not at_bullet:
            self._breaks = max(self._breaks, 1)

    def _bullet(self) -> str:
        if not self._lists or self._lists[-1] is None:
            return "- "
        self._lists[-1] += 1
        return f"{self._lists[-1]}. "


def plain_source(source: str) -> str:
    """Return the source of the plain text from that of the HTML text; `{{ … }}` and `{% … %}` stay as they are."""
    writer = _Writer()
    writer.feed(source)
    writer.close()
    return tidy("".join(writer.parts))


def tidy(text: str) -> str:
    """Return text without blanks at the ends of lines and with at most one empty line in a row."""
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()
