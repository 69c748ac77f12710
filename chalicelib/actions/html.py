"""Cleans the HTML that people write, with nh3, and leaves the tags of our language in their places."""

from __future__ import annotations

import html
import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

from chalicelib.actions.language.scan import find_tags
from chalicelib.actions.language.structure import contexts


def _words(text: str) -> set[str]:
    return set(text.split())


#: What mail programs show. Anything else is taken out; its text stays.
ELEMENTS = _words("""
    a abbr b blockquote br caption center code col colgroup dd del div dl dt em font h1 h2 h3 h4 h5 h6 hr i img ins
    li ol p pre s small span strong sub sup table tbody td tfoot th thead tr u ul
""")
#: These go with all that is inside.
WITH_CONTENT = {"script", "style", "title", "template", "noscript", "iframe", "object", "svg", "math"}
ATTRIBUTES = {
    "*": {"style", "dir", "lang", "title", "align"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height", "border"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type"},
    "table": {"border", "cellpadding", "cellspacing", "width", "bgcolor", "role"},
    "tr": {"valign", "bgcolor"},
    "td": {"colspan", "rowspan", "valign", "width", "height", "bgcolor"},
    "th": {"colspan", "rowspan", "valign", "width", "height", "bgcolor", "scope"},
    "col": {"span", "width"},
    "colgroup": {"span"},
}
STYLES = _words("""
    background background-color border border-bottom border-collapse border-color border-left border-radius
    border-right border-spacing border-style border-top border-width color direction display font font-family
    font-size font-style font-variant font-weight height letter-spacing line-height list-style list-style-type
    margin margin-bottom margin-left margin-right margin-top max-width min-width padding padding-bottom padding-left
    padding-right padding-top text-align text-decoration text-decoration-line text-indent text-transform
    vertical-align white-space width word-break
""")
SCHEMES = {"http", "https", "mailto"}
#: Of a style that has one of these the declaration goes: some programs run them, others fetch what nobody sees.
_TRICK = re.compile(r"url\s*\(|expression|javascript|vbscript|behavior|binding|[\\@<>{}]|/\*", re.IGNORECASE)

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_MARKER = re.compile("<!--\ue000([0-9]+)\ue001-->|\ue000([0-9]+)\ue001")
_FIRST_ROW = re.compile(r"(<table\b[^<>]*>)(?=(?:\s|<!--\ue000[0-9]+\ue001-->)*<tr\b)", re.IGNORECASE)
#: Inside of these a marker would be no comment but letters.
_RAW_TEXT = re.compile(r"</?(?:textarea|xmp|plaintext|noembed|noframes|listing)\b[^<>]*>", re.IGNORECASE)
_OUR_SIGNS = str.maketrans("", "", "\ue000\ue001")
_SCHEME = re.compile(r"[\x00-\x20]*([a-zA-Z][a-zA-Z0-9+.-]*:)")


def clean(source: str) -> tuple[str, list[str]]:
    """Return the text with nothing in it that runs, and the elements, attributes and kinds of address taken out.

    Tags of our language stay where they are: between table rows they are comments for the cleaner, which leaves
    those in place; inside attributes they are letters. Cleaning twice changes nothing more.
    """
    marked, shown = _marked(source)
    cleaned = _cleaned(marked)
    restored = _MARKER.sub(lambda found: shown[int(found[1] or found[2])], cleaned)
    return _without_comments(restored), list(_Reader(marked).taken_out)


def displaced(source: str) -> str:
    """Return the first words that `clean`, as every browser, takes out of the part they were written in; or nothing.

    What stands in a table but in no cell is shown above the table: behind an `if` it would be there for everybody.
    """
    if "<table" not in source.lower():
        return ""
    marked, _ = _marked(source)
    before, after = _Reader(marked).parts, _Reader(_cleaned(marked)).parts
    pairs = ((old, new) for old, new in zip(before, after, strict=False) if old != new)
    return next((old or new for old, new in pairs), "")


def _marked(source: str) -> tuple[str, list[str]]:
    """Return the text with a marker for each tag of our language, and these tags."""
    source = _without_comments(source.translate(_OUR_SIGNS))
    tags, _ = find_tags(source, is_html=True)
    pieces, shown, position = [], [], 0
    for number, (tag, context) in enumerate(zip(tags, contexts(source, tags), strict=True)):
        in_markup = context.attribute is not None or not context.is_allowed
        marker = f"\ue000{number}\ue001"
        pieces += [source[position : tag.start], marker if in_markup else f"<!--{marker}-->"]
        open_, close = source[tag.start : tag.start + 2], source[tag.end - 2 : tag.end]
        shown.append(open_ + html.escape(tag.text, quote=in_markup) + close)
        position = tag.end
    # The cleaner opens a table's body before its first row: a tag between the two would be left outside.
    return _FIRST_ROW.sub(r"\1<tbody>", "".join([*pieces, source[position:]])), shown


def _without_comments(source: str) -> str:
    """Return the text without comments; one that never ends is text, as it would hide all that follows it."""
    # Up to the last end of one: a search for an end that is not there would begin again at each beginning.
    end = source.rfind("-->") + len("-->")
    return (_COMMENT.sub("", source[:end]) + source[end:]).replace("<!--", "&lt;!--")


def _cleaned(marked: str) -> str:
    cleaned: str = _cleaner().clean(_RAW_TEXT.sub("", marked))
    return cleaned


@cache
def _cleaner() -> Any:
    import nh3

    return nh3.Cleaner(
        tags=ELEMENTS,
        clean_content_tags=WITH_CONTENT,
        attributes=ATTRIBUTES,
        strip_comments=False,
        link_rel=None,
        url_schemes=SCHEMES,
        filter_style_properties=STYLES,
        attribute_filter=_attribute,
    )


def _attribute(_element: str, name: str, value: str) -> str | None:
    """Return the value of an attribute without tricks in its styles; None takes the attribute out."""
    if name != "style" or not _TRICK.search(value):
        return value
    return ";".join(one for one in value.split(";") if not _TRICK.search(one)).strip() or None


class _Reader(HTMLParser):
    """Reads a marked text as it was written, whatever a browser would make of it.

    `taken_out` is what the cleaner takes out; `parts` are the words between the tags of our language.
    """

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.taken_out: dict[str, None] = {}
        self._words: list[list[str]] = [[]]
        self._hidden = 0
        self.feed(source)
        self.close()

    @property
    def parts(self) -> list[str]:
        """The words between the tags, with single blanks."""
        return [" ".join("".join(words).split()) for words in self._words]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element, or what does not stay of its attributes."""
        if tag not in ELEMENTS:
            self._hidden += tag in WITH_CONTENT
            self.taken_out[tag] = None
            return
        if tag == "img":
            self._words[-1].append(" (a picture) ")
        for name, value in attrs:
            self._look_at(tag, name, value or "")

    def handle_endtag(self, tag: str) -> None:
        """Note where hidden content ends."""
        self._hidden = max(0, self._hidden - (tag in WITH_CONTENT))

    def handle_data(self, data: str) -> None:
        """Note words."""
        if not self._hidden:
            self._words[-1].append(data)

    def handle_comment(self, data: str) -> None:
        """Note where a tag of our language stands."""
        if data.startswith("\ue000"):
            self._words.append([])

    def _look_at(self, tag: str, name: str, value: str) -> None:
        if name == "style" and (trick := _TRICK.search(value)):
            self.taken_out[f"{trick[0].strip().rstrip('(')} in a style"] = None
        if name in {"href", "src"}:
            scheme = _SCHEME.match(value)
            if scheme and scheme[1].lower().rstrip(":") not in SCHEMES:
                self.taken_out[scheme[1].lower()] = None
        # Classes and ids mean nothing in a mail: nobody has to be told.
        elif name not in ATTRIBUTES["*"] | ATTRIBUTES.get(tag, set()) | {"class", "id"} and name[:5] != "data-":
            self.taken_out[name] = None


def for_page(rendered: str) -> str:
    """Return a finished text as a part of our own pages: what it means without how it looks, as styles are ours."""
    cleaned: str = _plain_cleaner().clean(rendered)
    return cleaned


def with_chips(page: str) -> str:
    """Return a text for our own pages with the tags of our language in it as people see them in the editor."""
    tags, _ = find_tags(page, is_html=True)
    pieces, position = [], 0
    for tag, context in zip(tags, contexts(page, tags), strict=True):
        if context.attribute is None and context.is_allowed:
            pieces += [page[position : tag.start], _chip(tag.kind, tag.text)]
            position = tag.end
    return "".join([*pieces, page[position:]])


def _chip(kind: str, text: str) -> str:
    words = " ".join(text.replace('"', " ").split())
    if kind == "value":
        return f'<span class="chip">{html.escape(words)}</span>'
    shown = {"else": "otherwise", "endif": "end"}.get(words, f"or {words[2:]}" if words.startswith("elif ") else words)
    return f'<span class="chip chip-other">{html.escape(shown)}</span>'


@cache
def _plain_cleaner() -> Any:
    import nh3

    return nh3.Cleaner(
        tags=ELEMENTS - {"font", "center"},
        clean_content_tags=WITH_CONTENT,
        attributes={
            "*": {"dir", "lang", "title"}, "a": {"href"}, "img": {"src", "alt"}, "ol": {"start"},
            "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan", "scope"},
        },
        link_rel="noopener noreferrer",
        url_schemes=SCHEMES,
    )  # fmt: skip
