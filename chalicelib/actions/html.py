"""Cleans the HTML that people write, with nh3, and leaves the tags of our language in their places."""

from __future__ import annotations

import html
import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

from chalicelib.actions.language.scan import Tag, find_tags
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

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_MARKER = re.compile("<!--\ue000([0-9]+)\ue001-->|\ue000([0-9]+)\ue001")
_OUR_SIGNS = str.maketrans("", "", "\ue000\ue001")


def clean(source: str) -> tuple[str, list[str]]:
    """Return the text with nothing in it that runs, and the names of the elements and attributes taken out.

    Tags of our language stay where they are: between table rows they are comments for the cleaner, which leaves
    those in place; inside attributes they are letters. Cleaning twice changes nothing more.
    """
    source = _COMMENT.sub("", source.translate(_OUR_SIGNS))
    tags, _ = find_tags(source, is_html=True)
    marked, shown = _marked(source, tags)
    cleaned = _cleaner().clean(marked)
    restored = _MARKER.sub(lambda found: shown[int(found[1] or found[2])], cleaned)
    return _COMMENT.sub("", restored), _taken_out(marked)


def _marked(source: str, tags: list[Tag]) -> tuple[str, list[str]]:
    pieces, shown, position = [], [], 0
    for number, (tag, context) in enumerate(zip(tags, contexts(source, tags), strict=True)):
        in_markup = context.attribute is not None or not context.is_allowed
        marker = f"\ue000{number}\ue001"
        pieces += [source[position : tag.start], marker if in_markup else f"<!--{marker}-->"]
        open_, close = source[tag.start : tag.start + 2], source[tag.end - 2 : tag.end]
        shown.append(open_ + html.escape(tag.text, quote=in_markup) + close)
        position = tag.end
    return "".join([*pieces, source[position:]]), shown


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
    )


class _Names(HTMLParser):
    """Collects what the cleaner takes out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element, or those of its attributes that don't stay."""
        if tag not in ELEMENTS:
            self.found[tag] = None
            return
        stays = ATTRIBUTES["*"] | ATTRIBUTES.get(tag, set())
        # Classes and ids mean nothing in a mail: nobody has to be told.
        gone = [name for name, _ in attrs if name not in stays and name not in {"class", "id"}]
        self.found.update(dict.fromkeys(name for name in gone if not name.startswith("data-")))


def _taken_out(source: str) -> list[str]:
    names = _Names()
    names.feed(source)
    return list(names.found)
